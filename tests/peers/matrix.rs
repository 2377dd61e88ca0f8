//! Every pairing of phones of other people's making, as caller and as callee: register, call, hear each other, hold, resume, DTMF, cancel,
//! busy, and both kinds of transfer.
//!
//! Each pairing plays the same scenes. What a maker's phone can't be made to do stands in [`Maker::lacks`], and in `docs/clients.md`
//! for operators.

use crate::support::baresip::Baresip;
use crate::support::daemon::{Daemon, Home};
use crate::support::linphone::Linphone;
use crate::support::phone::{Heard, Line, Phone, hear_each_other};
use crate::support::pjsua::Pjsua;
use crate::support::sipp::Over;
use crate::support::sipp_phone::SippPhone;
use crate::support::until;
use serde_json::Value;

const RULES: &[(&str, &str)] = &[("domain.toml", include_str!("rules/matrix.toml"))];
/// What Ann, Bob and Cleo play.
const ANNS: u32 = 600;
const BOBS: u32 = 1000;
const CLEOS: u32 = 1700;
/// Half a second of sound, at 50 packets a second.
const PACKETS_MIN: u64 = 25;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Maker {
    Baresip,
    Linphone,
    Pjsua,
    Sipp,
}

/// What can be beyond a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lack {
    AttendedTransfer,
    /// After a description that is not the call's first it neither sends nor records anything.
    SoundAfterHold,
}

impl Maker {
    fn lacks(self) -> &'static [Lack] {
        match self {
            Maker::Baresip => &[Lack::AttendedTransfer, Lack::SoundAfterHold],
            Maker::Linphone | Maker::Pjsua | Maker::Sipp => &[],
        }
    }

    /// By what it speaks where the pairing is to be by `over`.
    fn over(self, over: Over) -> Over {
        match (self, over) {
            (Maker::Sipp, Over::Tls) => Over::Tcp, // Debian's is built without TLS
            (_, over) => over,
        }
    }

    fn phone(self, line: Line<'_>) -> Box<dyn Phone> {
        match self {
            Maker::Baresip => Box::new(Baresip::by_hand(line)),
            Maker::Linphone => Box::new(Linphone::register(line, 2)),
            Maker::Pjsua => Box::new(Pjsua::register(line)),
            Maker::Sipp => Box::new(SippPhone::register(line)),
        }
    }
}

/// A daemon, and the three phones of a pairing: Ann and Cleo have one of the caller's maker, Bob one of the callee's.
struct Scene {
    caller: Maker,
    callee: Maker,
    over: Over,
    ann: Box<dyn Phone>,
    bob: Box<dyn Phone>,
    cleo: Box<dyn Phone>,
    /// How many calls are over.
    calls: usize,
    daemon: Daemon,
    _home: Home,
}

impl Scene {
    fn set(caller: Maker, callee: Maker, over: Over) -> Scene {
        let home = Home::new("matrix.example", RULES);
        let home = if over == Over::Tls { home.secure() } else { home };
        let daemon = home.start();
        let phone = |maker: Maker, user, hz| {
            let over = maker.over(over);
            let (at, transport) = match over {
                Over::Udp => (daemon.udp, "UDP"),
                Over::Tcp => (daemon.tcp, "TCP"),
                Over::Tls => (daemon.tls.expect("it listens by TLS"), "TLS"),
            };
            let phone = maker.phone(Line { user, daemon: at, over, hz });
            let registered = daemon.list("/v1/registrations");
            let its = registered.iter().find(|binding| binding["device"] == user);
            assert_eq!(its.map(|its| &its["transport"]), Some(&transport.into()), "{registered:#?}");
            phone
        };
        let ann = phone(caller, "ann", ANNS);
        let bob = phone(callee, "bob", BOBS);
        let cleo = phone(caller, "cleo", CLEOS);
        Scene { caller, callee, over, ann, bob, cleo, calls: 0, daemon, _home: home }
    }

    fn ann_calls_bob(&mut self) {
        self.ann.call("102");
        self.bob.hears(Heard::Rings);
        self.ann.hears(Heard::Ringback);
        self.bob.answer();
        self.ann.hears(Heard::Answered);
        self.bob.hears(Heard::Answered);
    }

    /// The record of the call that ended last.
    fn record(&mut self) -> Value {
        self.calls += 1;
        let calls = self.calls;
        until(&format!("{calls} records"), || {
            let records = self.daemon.list("/v1/records");
            (records.len() >= calls).then(|| records.into_iter().next()).flatten()
        })
    }

    /// Whether sound is listened for after a call's first second of it. By TLS it isn't: how the signalling travels is nothing to the packets.
    fn listens_again(&self, makers: &[Maker]) -> bool {
        self.over != Over::Tls && !makers.iter().any(|maker| maker.lacks().contains(&Lack::SoundAfterHold))
    }

    /// They hear each other, hold and resume each other, send each other a digit, and hang up.
    fn talk(&mut self) {
        self.ann_calls_bob();
        hear_each_other((&*self.ann, ANNS), (&*self.bob, BOBS));
        self.ann.dtmf('5');
        self.bob.hears(Heard::Dtmf('5'));
        self.bob.dtmf('7');
        self.ann.hears(Heard::Dtmf('7'));
        hold_and_resume(&mut *self.ann, &mut *self.bob);
        hold_and_resume(&mut *self.bob, &mut *self.ann);
        if self.listens_again(&[self.caller, self.callee]) {
            hear_each_other((&*self.ann, ANNS), (&*self.bob, BOBS));
        }
        self.ann.hang_up();
        self.bob.hears(Heard::Ended);
        self.ann.hears(Heard::Ended);
        let record = self.record();
        assert_eq!(record["outcome"], "answered", "{record:#}");
        for way in ["a_to_b", "b_to_a"] {
            let packets = record["media"][way]["packets"].as_u64().unwrap_or(0);
            assert!(packets >= PACKETS_MIN, "sound {way}: {record:#}");
        }
    }

    fn give_up(&mut self) {
        self.ann.call("102");
        self.bob.hears(Heard::Rings);
        self.ann.hears(Heard::Ringback);
        self.ann.hang_up();
        self.bob.hears(Heard::Ended);
        self.ann.hears(Heard::Ended);
        assert_eq!(self.record()["outcome"], "caller_gone");
    }

    fn refuse(&mut self) {
        self.ann.call("102");
        self.bob.hears(Heard::Rings);
        self.ann.hears(Heard::Ringback);
        let told = self.bob.refuse();
        self.ann.hears(told);
        let record = self.record();
        let status = if told == Heard::Busy { 486 } else { 603 };
        assert_eq!(record["legs"][0]["status"], status, "{record:#}");
    }

    /// Bob sends Ann to Cleo; then those two hear each other.
    fn transfer(&mut self) {
        self.ann_calls_bob();
        self.bob.transfer("103");
        self.cleo.hears(Heard::Rings);
        self.cleo.answer();
        self.cleo.hears(Heard::Answered);
        self.transferred();
        self.assert_transferred_to("device:cleo");
    }

    /// The same, but Bob asks Cleo first.
    fn attended_transfer(&mut self) {
        if self.callee.lacks().contains(&Lack::AttendedTransfer) {
            return;
        }
        self.ann_calls_bob();
        self.bob.hold();
        self.ann.hears(Heard::Held);
        self.bob.consult("103");
        self.cleo.hears(Heard::Rings);
        self.cleo.answer();
        self.cleo.hears(Heard::Answered);
        self.bob.hears(Heard::Answered);
        self.bob.join();
        self.transferred();
        // There were two calls, and the transfer stands with the one that was given up for it: the consultation.
        self.calls += 1;
        self.assert_transferred_to("device:ann");
    }

    fn transferred(&mut self) {
        self.bob.hears(Heard::Ended);
        if self.listens_again(&[self.caller]) {
            hear_each_other((&*self.ann, ANNS), (&*self.cleo, CLEOS));
        }
        self.cleo.hang_up();
        self.ann.hears(Heard::Ended);
        self.cleo.hears(Heard::Ended);
    }

    /// The newest record with a transfer.
    fn assert_transferred_to(&mut self, to: &str) {
        let record = self.record();
        let transfer = &record["transfers"][0];
        let told = (&transfer["by"], &transfer["status"], &transfer["answered_by"]);
        assert_eq!(told, (&"device:bob".into(), &200.into(), &to.into()), "{record:#}");
    }
}

fn hold_and_resume(one: &mut dyn Phone, other: &mut dyn Phone) {
    one.hold();
    other.hears(Heard::Held);
    one.resume();
    other.hears(Heard::Resumed);
}

fn play(caller: Maker, callee: Maker, over: Over) {
    let mut scene = Scene::set(caller, callee, over);
    scene.talk();
    scene.give_up();
    scene.refuse();
    scene.transfer();
    scene.attended_transfer();
}

macro_rules! pairings {
    ($over:ident as $variant:ident: $($name:ident: $caller:ident, $callee:ident;)*) => {
        mod $over {
            $(#[test]
            fn $name() {
                super::play(super::Maker::$caller, super::Maker::$callee, super::Over::$variant);
            })*
        }
    };
}

macro_rules! every_pairing {
    ($($over:ident as $variant:ident { $($more:tt)* })*) => {
        $(pairings! {
            $over as $variant:
            baresip_and_baresip: Baresip, Baresip;
            baresip_and_linphone: Baresip, Linphone;
            baresip_and_pjsua: Baresip, Pjsua;
            baresip_and_sipp: Baresip, Sipp;
            linphone_and_baresip: Linphone, Baresip;
            linphone_and_linphone: Linphone, Linphone;
            linphone_and_pjsua: Linphone, Pjsua;
            linphone_and_sipp: Linphone, Sipp;
            pjsua_and_baresip: Pjsua, Baresip;
            pjsua_and_linphone: Pjsua, Linphone;
            pjsua_and_pjsua: Pjsua, Pjsua;
            pjsua_and_sipp: Pjsua, Sipp;
            sipp_and_baresip: Sipp, Baresip;
            sipp_and_linphone: Sipp, Linphone;
            sipp_and_pjsua: Sipp, Pjsua;
            $($more)*
        })*
    };
}

every_pairing! {
    over_udp as Udp { sipp_and_sipp: Sipp, Sipp; }
    over_tcp as Tcp { sipp_and_sipp: Sipp, Sipp; }
    over_tls as Tls {} // of sipp and sipp none speaks it
}
