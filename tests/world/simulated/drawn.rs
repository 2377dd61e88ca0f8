//! Who is there in a run, whom they call and when, and what happens to the switch meanwhile.

use super::agent::{Agent, Mischief, Timer};
use super::offices::TRUNKS;
use super::run::{CALLS, Happens, Operates, Run};

impl Run<'_> {
    /// Phones and trunks, and what they are going to do.
    pub fn people(&mut self, calls_max: usize) {
        for (device, _, address) in &self.office.phones {
            self.agents.push(Agent::new(*address, device, false));
        }
        let phones = self.agents.len();
        for address in TRUNKS.iter().flat_map(|(_, addresses)| *addresses) {
            self.agents.push(Agent::new(address.parse().expect("an address"), "trunk", true));
        }
        self.by_address = self.agents.iter().enumerate().map(|(at, agent)| (agent.address, at)).collect();
        for agent in 0..phones {
            // Some are never there.
            if self.dice.chance(92) {
                let wait = self.dice.below(1_500);
                self.queue(wait, Happens::Wakes { agent, timer: Timer::Register });
            }
        }
        // Calls come in gusts, so that they meet.
        let mut at = 3_000;
        for _ in 0..CALLS {
            at += self.dice.weighed(&[(3, 5), (3, 300), (3, 1_500), (1, 6_000)]);
            let agent =
                if self.dice.chance(75) { self.dice.index(phones) } else { phones + self.dice.index(3) };
            let to = self.number(agent >= phones, calls_max);
            self.queue(at, Happens::Wakes { agent, timer: Timer::Dial(to) });
        }
        while self.dice.chance(60) {
            let mischief = self.dice.pick(&Mischief::ALL);
            let (at, agent) = (self.dice.between(3_000, at), self.dice.index(self.agents.len()));
            self.queue(at, Happens::Wakes { agent, timer: Timer::Mischief(mischief) });
        }
        self.incidents(at);
    }

    fn number(&mut self, outside: bool, calls_max: usize) -> String {
        let user = self.dice.index(self.office.users.len());
        match self.dice.below(100) {
            _ if outside => format!("+120255501{user:02}"),
            0..68 => self.office.extensions[user].clone(),
            68..78 => "820".to_owned(),
            78..88 => format!("+1202555015{user}"),
            88..90 if calls_max > 100 => "911".to_owned(),
            90..94 => format!("*8{}", self.office.extensions[user]),
            94..97 => "999".to_owned(),
            _ => "100".to_owned(),
        }
    }

    fn incidents(&mut self, end: u64) {
        const OFTEN: &[(u64, Operates)] = &[
            (5, Operates::Edit),
            (5, Operates::SetStatus),
            (4, Operates::HangUp),
            (2, Operates::FlowFailed),
            (3, Operates::Partition),
        ];
        while self.dice.chance(75) {
            let what = self.dice.weighed(OFTEN);
            let at = self.dice.between(2_000, end + 5_000);
            self.queue(at, Happens::Operator(what));
        }
        if self.dice.chance(25) {
            let at = self.dice.between(500, end + 5_000);
            self.queue(at, Happens::Operator(Operates::Restart));
        }
        let close = end + self.dice.pick(&[100, 8_000, 25_000]);
        // Some runs last long enough for sessions to be refreshed.
        let long = self.config.session.expires_s == 120 && self.dice.chance(50);
        let close = if long { close + 150_000 } else { close };
        if self.dice.chance(8) {
            self.queue(close - 50, Happens::Operator(Operates::Drain));
        }
        self.queue(close, Happens::Operator(Operates::Close));
        for wait in [45_000, 90_000, 130_000] {
            self.queue(close + wait, Happens::Operator(Operates::HangUpAll));
        }
    }
}
