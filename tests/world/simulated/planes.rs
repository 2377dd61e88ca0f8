//! The planes beside the switch: relays that open and report, ears and voices that tell, and an operator who edits, hangs up, cuts wires
//! and pulls plugs.

use super::judge::{Invariant, Verdict, violated};
use super::run::{Operates, Run};
use crate::net::switch_address;
use ringtree::relay::{Audio, Command, Media, PortPair, Report, Side};
use ringtree::rules::{Status, UserStatus};
use ringtree::sip::{Flow, Transport};
use ringtree::switch::Input;
use ringtree::voice::digit::Digit;
use ringtree::voice::{self, Repeat, Spot, Subject};
use std::net::SocketAddr;
use std::time::Duration;

impl Run<'_> {
    pub fn media_plane(&mut self, command: &Command) {
        match command {
            Command::Grow { pairs } => {
                let opened = (*pairs).min(self.ports_left);
                let exhausted = opened < *pairs;
                self.ports_left -= opened;
                let pair = |port| PortPair {
                    rtp: SocketAddr::from(([127, 0, 0, 1], port)),
                    rtcp: SocketAddr::from(([127, 0, 0, 1], port + 1)),
                };
                let pairs = (0..opened).map(|_| pair(self.port())).collect();
                self.report(Input::Media(Report::Opened { pairs, exhausted }));
            }
            Command::Open { id, b, .. } => {
                if self.dice.chance(8) {
                    let audio = self.dice.pick(&[Audio::CallerSilent, Audio::CalleeSilent, Audio::Silent]);
                    let wait = self.dice.pick(&[3_000, 12_000]);
                    self.report_in(wait, Input::Media(Report::Audio { id: *id, audio }));
                    self.report_in(
                        wait + 2_000,
                        Input::Media(Report::Audio { id: *id, audio: Audio::BothWays }),
                    );
                }
                // Somebody who is asked presses a key, or the wrong one, or somebody's who isn't.
                if b.is_none() || self.dice.chance(3) {
                    while self.dice.chance(60) {
                        let digit = Digit::of_char(self.dice.pick(&['1', '1', '2', '#'])).expect("a key");
                        let wait = self.dice.pick(&[10, 500, 1_000, 2_000, 5_000]);
                        let side = if b.is_none() || self.dice.chance(50) { Side::A } else { Side::B };
                        let at = Spot { relay: *id, side };
                        self.report_in(wait, Input::Voice(voice::Report::Digit { at, digit }));
                    }
                }
            }
            Command::Close { id } => {
                self.report(Input::Media(Report::Closed { id: *id, media: Media::default() }))
            }
            Command::Succeed { id, .. } => {
                self.coverage.kind("relay succeeded");
                self.report(Input::Media(Report::Closed { id: *id, media: Media::default() }));
            }
            _ => {}
        }
    }

    pub fn voice_plane(&mut self, command: &voice::Command) -> Verdict {
        if let Some(ladder) = self.ladder.as_deref_mut() {
            ladder.note(self.now, format!("voice: {command:?}"));
        }
        if let Subject::Relay(relay) = command.subject()
            && !self.judge.is_open(relay)
        {
            let what = format!("a voice is asked for where no relay is open: {command:?}");
            return violated(Invariant::RelaysAreThoseOfCalls, what);
        }
        match command {
            voice::Command::Open { at, .. } => self.hears(*at, true),
            voice::Command::Close { at } => self.hears(*at, false),
            voice::Command::Play { at, number, sounds, repeat } => {
                if self.dice.chance(5)
                    && let Some(sound) = sounds.first().cloned()
                {
                    let missing =
                        voice::Report::Missing { at: *at, sound, why: "it is not there".to_owned() };
                    self.report_in(5, Input::Voice(missing));
                }
                if *repeat != Repeat::UntilStopped && self.dice.chance(85) {
                    let wait = self.dice.pick(&[5, 800, 4_000]);
                    self.report_in(wait, Input::Voice(voice::Report::Played { at: *at, number: *number }));
                }
            }
            voice::Command::Record { .. } | voice::Command::RecordRoom { .. } => {
                self.coverage.kind("recording")
            }
            voice::Command::EndRecording { of } => {
                let full = Err("the disk is full".to_owned());
                let result = if self.dice.chance(20) { full } else { Ok(Duration::from_secs(1)) };
                self.report(Input::Voice(voice::Report::Recorded { of: *of, result }));
            }
            _ => {}
        }
        Ok(())
    }

    pub fn operate(&mut self, what: Operates) -> Verdict {
        if let Some(ladder) = self.ladder.as_deref_mut() {
            ladder.note(self.now, format!("operator: {what:?}"));
        }
        match what {
            Operates::Edit if self.generation + 1 < self.office.generations.len() => {
                self.generation += 1;
                self.publish()?;
            }
            Operates::Edit => {}
            Operates::SetStatus => return self.set_status(),
            Operates::Restart => {
                self.coverage.kind("restart");
                return self.restart();
            }
            Operates::HangUp => {
                let calls = self.core.switch.calls();
                if !calls.is_empty() {
                    let call = calls[self.dice.index(calls.len())].id.clone();
                    return self.input(Input::Hangup { call });
                }
            }
            Operates::FlowFailed => {
                let remote = self.agents[self.dice.index(self.agents.len())].address;
                self.judge.flow_failed(remote);
                let flow =
                    Flow { transport: Transport::Udp, local: switch_address(), remote, connection: None };
                return self.input(Input::FlowFailed { flow });
            }
            Operates::Partition => {
                self.coverage.kind("partition");
                let address = self.agents[self.dice.index(self.agents.len())].address;
                let lasts = self.dice.pick(&[1_000, 8_000, 40_000]);
                self.cut_off.insert(address, self.now + lasts);
            }
            Operates::Drain => return self.input(Input::Drain),
            Operates::Close => {
                self.closing = true;
                self.end = Some(self.now + 240_000);
                self.cut_off.clear();
                for at in 0..self.agents.len() {
                    self.agent(at, |agent, desk| agent.leave(desk));
                }
            }
            Operates::HangUpAll => {
                for call in self.core.switch.calls() {
                    self.input(Input::Hangup { call: call.id })?;
                }
            }
        }
        Ok(())
    }

    fn set_status(&mut self) -> Verdict {
        let key = self.status_key();
        let until = self.dice.chance(40).then(|| self.at().wall + jiff::SignedDuration::from_secs(10));
        let status = match self.dice.below(4) {
            0 => None,
            1 => Some(UserStatus { dnd: Some(true), until, ..UserStatus::default() }),
            2 => Some(UserStatus { rule: Some("Away".to_owned()), until, ..UserStatus::default() }),
            _ => {
                let to = self.office.users.last().cloned().unwrap_or_default();
                Some(UserStatus { forward: Some(format!("user:{to}")), until, ..UserStatus::default() })
            }
        };
        let status = status.map(Status::User);
        match &status {
            Some(status) => _ = self.statuses.insert(key.clone(), status.clone()),
            None => _ = self.statuses.remove(&key),
        }
        self.input(Input::Status { key, status })
    }
}
