//! The live walk: what the call machine sees, and what is not built yet.

use super::{ANN, OUTSIDE, domain, goes, never};
use crate::rules::facts::{CallFacts, Caller, Dialled, Live, Origin, UserStatus, Verified};
use crate::rules::plan::{LegEnd, LegOutcome};
use crate::rules::route::Idle;
use crate::rules::tree::Tree;
use crate::rules::{Domain, LegTarget, Next, Walk};
use std::sync::Arc;

fn walk(domain: &Arc<Domain>, origin: Origin, raw: &str, to: &str) -> Walk {
    let facts = CallFacts {
        at: "2026-11-24T15:00:00Z".parse().unwrap(),
        caller: Caller { origin, raw: raw.into(), name: None, anonymous: false },
        dialled: Dialled::Text(to.into()),
        psap_callback: false,
        verified: Verified::NotChecked,
        earlier_hops: 0,
    };
    Walk::new(domain.clone(), facts)
}

fn from_trunk(domain: &Arc<Domain>) -> Walk {
    walk(domain, Origin::Trunk("t".into()), OUTSIDE, ANN)
}

#[test]
fn a_call_rings_is_declined_and_gets_603_with_its_cause() {
    let mut walk = from_trunk(&domain("", "", ""));
    assert_eq!(walk.start(&Idle), Next::Ring);
    let plan = walk.plan().unwrap();
    assert_eq!(plan.legs[0].to, LegTarget::Device("a1".into()));
    assert_eq!(plan.legs[0].caller_id.number.as_deref(), Some(OUTSIDE));
    let next = walk.ended(&Idle, &[LegEnd { leg: 0, outcome: LegOutcome::Declined }]);
    assert_eq!(next, Next::Reject { status: 603, cause: Some(21) });
    assert_eq!(walk.did(), Some(ANN));
    assert_eq!(walk.user(), Some("ann"));
    assert_eq!(walk.caller_e164(), Some(OUTSIDE));
    assert_eq!(walk.explanation().outcome.status, Some(603));
}

#[test]
fn an_answered_leg_is_named_in_the_explanation() {
    let mut walk = from_trunk(&domain("", "", ""));
    assert_eq!(walk.start(&Idle), Next::Ring);
    walk.answered(0);
    assert_eq!(walk.explanation().tags.last().unwrap(), "answered:a1");
    assert_eq!(walk.explanation().outcome.kind, "ring");
}

#[test]
fn a_forward_is_kept_for_the_record() {
    let d =
        domain("[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\nforward.always = \"user:bob\"", "", "");
    let mut walk = from_trunk(&d);
    assert_eq!(walk.start(&Idle), Next::Ring);
    assert_eq!(walk.forwards(), [("ann".into(), "always", "user:bob".to_owned())]);
}

#[test]
fn a_live_call_that_needs_what_is_not_built_gets_480_and_is_told() {
    let screened = domain("[[user.ann.rule]]\nname = \"R\"\nwhen = \"always\"\nscreen = true", "", "");
    let mut walk = from_trunk(&screened);
    assert_eq!(walk.start(&Idle), Next::Reject { status: 480, cause: Some(79) });
    assert!(walk.explanation().steps.last().unwrap().why.contains("not carried out yet"));
    let mut inside = self::walk(&screened, Origin::Device("b1".into()), "102", "101");
    assert_eq!(inside.start(&Idle), Next::Ring, "screening asks callers from trunks only");
}

#[test]
fn a_mailbox_is_named_and_refused_while_there_is_none() {
    let mut walk = from_trunk(&domain("voicemail = { enabled = true }", "", ""));
    assert_eq!(walk.start(&Idle), Next::Ring);
    let next = walk.ended(&Idle, &[LegEnd { leg: 0, outcome: LegOutcome::NoAnswer }]);
    assert_eq!(next, Next::Service { what: "voicemail:ann/unavailable".into() });
    let explanation = walk.explanation();
    assert_eq!(explanation.outcome.status, Some(480));
    assert_eq!(explanation.tags[explanation.tags.len() - 2..], ["voicemail:ann/unavailable", "reject:480"]);
}

#[test]
fn an_emergency_call_says_so() {
    let mut walk = walk(&domain("", "", ""), Origin::Device("a1".into()), "101", "911");
    assert_eq!(walk.start(&Idle), Next::Ring);
    let plan = walk.plan().unwrap();
    assert!(walk.is_emergency());
    assert_eq!(plan.legs[0].to, LegTarget::Outside { number: "911".into(), trunks: vec!["t".into()] });
    assert_eq!(plan.legs[0].caller_id.number.as_deref(), Some("+12025550100"));
    let next = walk.ended(&Idle, &[LegEnd { leg: 0, outcome: LegOutcome::Failed }]);
    assert_eq!(next, Next::Reject { status: 500, cause: Some(38) });
}

#[test]
fn hops_taken_before_count_against_the_budget() {
    let facts = CallFacts {
        at: "2026-11-24T15:00:00Z".parse().unwrap(),
        caller: Caller {
            origin: Origin::Trunk("t".into()),
            raw: OUTSIDE.into(),
            name: None,
            anonymous: false,
        },
        dialled: Dialled::Text(ANN.into()),
        psap_callback: false,
        verified: Verified::NotChecked,
        earlier_hops: 8,
    };
    let mut walk = Walk::new(domain("", "", ""), facts);
    assert!(matches!(walk.start(&Idle), Next::Reject { status: 480, .. }));
    assert!(walk.explanation().tags.contains(&"hops".to_owned()));
}

#[test]
fn a_random_sequence_is_drawn_by_the_call_and_the_same_call_draws_the_same() {
    let cat = "[[user.cat.rule]]\nname = \"R\"\nwhen = \"always\"\nring.strategy = \"random\"\nring.each = \"10s\"\n\
               ring.targets = [\"device:c1\", \"device:c2\", \"user:bob\"]";
    let d = domain("", "", cat);
    let order = |milliseconds: i64| {
        let mut walk = walk(&d, Origin::Device("a1".into()), "101", "103");
        walk.call.at = jiff::Timestamp::from_millisecond(1_795_000_000_000 + milliseconds).unwrap();
        assert_eq!(walk.start(&Idle), Next::Ring);
        let plan = walk.plan().unwrap();
        assert!(plan.sequence);
        plan.legs.iter().map(|leg| leg.to.clone()).collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    let orders: std::collections::HashSet<_> = (0..64).map(order).collect();
    assert_eq!(orders.len(), 6, "every order comes up");
}

/// Everybody is idle, and ann has set a forward.
struct Forwards {
    status: UserStatus,
    tree: Option<Tree>,
}

impl Live for Forwards {
    fn offline(&self, _: &str) -> bool {
        false
    }
    fn active_calls(&self, _: &str) -> u32 {
        0
    }
    fn status(&self, user: &str) -> Option<&UserStatus> {
        (user == "ann").then_some(&self.status)
    }
    fn folded(&self, user: &str) -> Option<&Tree> {
        self.tree.as_ref().filter(|_| user == "ann")
    }
    fn frame_override(&self, _: &str) -> Option<bool> {
        None
    }
    fn trunk_down(&self, _: &str) -> bool {
        false
    }
}

#[test]
fn a_forward_set_to_what_the_rules_no_longer_have_is_as_if_it_were_not_set() {
    let d = domain("", "", "");
    let rings = |to: &str, fold: bool| {
        let status = UserStatus { forward: Some(to.to_owned()), ..UserStatus::default() };
        let tree = fold.then(|| d.folded("ann", &status).unwrap());
        let mut walk = from_trunk(&d);
        walk.start(&Forwards { status, tree });
        walk.explanation().tags
    };
    for to in ["user:gone", "handset:gone", "device:gone", "hunt:gone", "nonsense"] {
        for fold in [false, true] {
            let tags = rings(to, fold);
            goes(&tags, &["rule:ann", "ring:a1"]);
            never(&tags, &["forward:*", "reject:*"]);
        }
    }
    for fold in [false, true] {
        goes(&rings("user:bob", fold), &["forward:always", "user:bob", "ring:b1"]);
    }
}
