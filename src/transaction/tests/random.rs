//! Any sequence of events: no panic, no deadline in the past, and nothing left in the end.

use super::bench::Bench;
use crate::sip::Transport;
use crate::transaction::{ClientId, ServerId};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u8),
    Answered(u16, u8, u8),
    Receive(u8, u8),
    Respond(u64, u16),
    Cancel(u64),
    TransportFailed,
    Wait(u16),
}

const METHODS: [&str; 4] = ["INVITE", "OPTIONS", "ACK", "CANCEL"];

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(100u16), Just(180), Just(200), Just(302), Just(486), Just(699)];
    prop_oneof![
        (0..2u8).prop_map(Step::Send),
        (status.clone(), 0..4u8, 0..4u8)
            .prop_map(|(status, method, branch)| Step::Answered(status, method, branch)),
        (0..4u8, 0..4u8).prop_map(|(method, branch)| Step::Receive(method, branch)),
        (0..8u64, status).prop_map(|(id, status)| Step::Respond(id, status)),
        (0..8u64).prop_map(Step::Cancel),
        Just(Step::TransportFailed),
        (0..40_000u16).prop_map(Step::Wait),
    ]
}

fn method(index: u8) -> &'static str {
    METHODS[usize::from(index)]
}

fn run(transport: Transport, steps: &[Step]) {
    let mut bench = Bench::new(transport);
    let mut elapsed_ms = 0;
    let mut sent = 0u64;
    for (n, step) in steps.iter().enumerate() {
        match *step {
            Step::Send(kind) => {
                sent += 1;
                bench.send(method(kind), &format!("z9hG4bKours{n}"));
            }
            Step::Answered(status, kind, branch) => {
                // Half of them hit a request that was sent.
                let branch = format!("z9hG4bKours{}", n.saturating_sub(usize::from(branch)));
                bench.answered(status, method(kind), &branch);
            }
            Step::Receive(kind, branch) => bench.receive(method(kind), &format!("z9hG4bKtheirs{branch}")),
            Step::Respond(id, status) => bench.respond(ServerId(id), status, "INVITE", "z9hG4bKx"),
            Step::Cancel(id) => bench.cancel(ClientId(id), &[]),
            Step::TransportFailed => bench.transport_failed(),
            Step::Wait(ms) => {
                elapsed_ms += u64::from(ms);
                bench.until(elapsed_ms);
            }
        }
        bench.seen();
    }
    // The transaction user does its duty: it answers everything and cancels what still rings.
    for id in 0..=steps.len() as u64 + 1 {
        bench.respond(ServerId(id), 500, "INVITE", "z9hG4bKx");
    }
    for id in 0..=sent {
        bench.cancel(ClientId(id), &[]);
    }
    elapsed_ms += 200_000;
    bench.until(elapsed_ms);
    assert_eq!(bench.layer.len(), (0, 0));
    assert_eq!(bench.layer.deadline(), None);
}

proptest! {
    #[test]
    fn whatever_happens_every_transaction_ends(steps in prop::collection::vec(step(), 0..60), tcp in any::<bool>()) {
        run(if tcp { Transport::Tcp } else { Transport::Udp }, &steps);
    }
}
