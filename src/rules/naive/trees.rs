//! Trees against the page: every question of a user's tree, asked of generated rules; and trees as bytes.

use super::answers::{Answers, Asked, FRAMES, after, decide};
use crate::number::Pattern;
use crate::rules::compile::Shared;
use crate::rules::compile_tree::user_tree;
use crate::rules::diagnostic::{Files, Span};
use crate::rules::encoding::TreeError;
use crate::rules::fold::Fold;
use crate::rules::model::{
    At, BusyWhen, Condition, Destination, Forward, ListEntry, Model, Name, Rule, Strategy, TargetTo, When,
    WhiteListed,
};
use crate::rules::tree::{NamedTree, Node, Path, RingOutcome, Test, Tree, Trees};
use proptest::prelude::*;
use proptest::strategy::Strategy as Gen;
use std::collections::BTreeSet;
use std::sync::Arc;

const NUMBERS: [&str; 4] = ["+12025550150", "+12025550171", "+442079460123", "102"];
const PATTERNS: [&str; 5] = ["+12025550150", "+1202.", "+1.", "+44XX79460123", "102"];

const BASE: &str = r#"
schema = 1
[domain]
name = "pbx.test"
timezone = "UTC"
country = "US"
[time_frame.day]
weekly = ["mon-fri 09:00-17:00"]
[time_frame.lunch]
weekly = ["daily 12:00-13:00"]
[time_frame.night]
weekly = ["daily 22:00-06:00"]
[list.one]
numbers = ["+1202555017X"]
[list.two]
numbers = ["+44.", "102"]
[user.ann]
ext = "101"
name = { first = "Ann", last = "X" }
[user.bob]
ext = "102"
name = { first = "Bob", last = "X" }
[device.a1]
user = "ann"
auth = { user = "a1", secret = "plain:x" }
"#;

fn base() -> Model {
    let loaded = crate::rules::source::load(&Files([("domain.toml".into(), BASE.into())].into()));
    loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn at<T>(value: T) -> At<T> {
    At { value, span: Span::default() }
}

fn any_forward() -> impl Gen<Value = Option<Forward>> {
    proptest::option::weighted(0.3, any::<bool>()).prop_map(|direct_only| {
        direct_only.map(|direct_only| Forward {
            span: Span::default(),
            to: Destination::User("bob".into()),
            confirm: None,
            caller_id: None,
            direct_only,
        })
    })
}

fn any_rule(template: Rule) -> impl Gen<Value = Rule> {
    let when = proptest::collection::vec((0..3_usize, any::<bool>()), 0..3);
    let forwards = proptest::collection::vec(any_forward(), 8);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let ring = (0..4_usize, any::<bool>());
    (when, forwards, flags, ring).prop_map(
        move |(when, mut forwards, (enabled, dnd, screen), (targets, initial))| {
            let mut rule = template.clone();
            let condition = |(frame, negated): (usize, bool)| Condition {
                frame: FRAMES[frame].into(),
                negated,
                span: Span::default(),
            };
            rule.when = match when.is_empty() {
                true => When::Always,
                false => When::AnyOf(when.into_iter().map(condition).collect()),
            };
            rule.enabled = enabled;
            rule.dnd = dnd.then(Span::default);
            rule.screen = screen.then(Span::default);
            let mut next = || forwards.pop().flatten();
            rule.forward.always = next();
            rule.forward.dnd = next();
            rule.forward.on_active = next();
            rule.forward.busy = next();
            rule.forward.no_answer = next();
            rule.forward.declined = next();
            rule.forward.offline = next();
            rule.forward.otherwise = next();
            let bob = TargetTo::Destination(Destination::User("bob".into()));
            let list = match targets {
                0 => vec![TargetTo::SelfAll],
                1 => vec![bob],
                2 => vec![TargetTo::SelfPrimary, bob],
                _ => Vec::new(),
            };
            rule.ring.strategy = if targets == 3 { Strategy::Own } else { Strategy::Simultaneous };
            let one = rule.ring.targets[0].clone();
            rule.ring.targets = list
                .into_iter()
                .map(|to| crate::rules::model::Target { to: vec![at(to)], ..one.clone() })
                .collect();
            rule.ring.initial = (initial && targets != 3).then(|| std::time::Duration::from_secs(5));
            rule
        },
    )
}

fn any_list() -> impl Gen<Value = Vec<At<ListEntry>>> {
    let entry = prop_oneof![
        proptest::sample::select(&PATTERNS[..])
            .prop_map(|text| ListEntry::Pattern(Pattern::parse(text).unwrap(), text.into())),
        proptest::sample::select(vec!["one", "two"]).prop_map(|name| ListEntry::List(name.into())),
    ];
    proptest::collection::vec(entry.prop_map(at), 0..4)
}

fn any_model() -> impl Gen<Value = Model> {
    let model = base();
    let template = model.users["ann"].rules[0].clone();
    let rules = proptest::collection::vec(any_rule(template.clone()), 0..5);
    let flags = proptest::array::uniform7(any::<bool>());
    let busy =
        proptest::sample::select(vec![BusyWhen::AllPaths, BusyWhen::AnyCall, BusyWhen::DeviceSaysBusy]);
    (rules, any_list(), any_list(), flags, busy, 1..4_u32).prop_map(
        move |(mut rules, allow, block, flags, busy_when, paths)| {
            let mut model = model.clone();
            model.policy.allow_beats_block = flags[0];
            // What the loader guarantees: the last rule always matches.
            rules.push(template.clone());
            for (index, rule) in rules.iter_mut().enumerate() {
                rule.name = Name::from(format!("rule {index}"));
            }
            let ann = model.users.get_mut("ann").unwrap();
            ann.rules = rules;
            ann.allow = allow;
            ann.block = block;
            ann.block_anonymous = flags[1].then(Span::default);
            ann.block_unknown = flags[2].then(Span::default);
            ann.block_unverified = flags[6].then(Span::default);
            ann.white_list = if flags[3] { vec![at(WhiteListed::User("bob".into()))] } else { Vec::new() };
            ann.call_waiting = flags[4];
            ann.mailbox = flags[5];
            ann.busy_when = busy_when;
            ann.call_paths = paths;
            model
        },
    )
}

fn any_answers() -> impl Gen<Value = Answers> {
    let keys = proptest::collection::vec(proptest::sample::select(&NUMBERS[..]), 0..3);
    let frames = proptest::array::uniform3(any::<bool>());
    let picked = proptest::option::weighted(0.2, 0..7_u32);
    let rare = || proptest::bool::weighted(0.15);
    let identity = (any::<bool>(), any::<bool>(), any::<bool>());
    let first = (rare(), keys, identity, any::<bool>(), frames);
    let second = (picked, rare(), proptest::option::weighted(0.2, any::<bool>()), any::<bool>(), 0..4_u32);
    (first, second, any::<bool>(), any::<bool>()).prop_map(|(first, second, direct, from_trunk)| {
        let (psap_callback, keys, (anonymous, unknown, unverified), passes, frames) = first;
        let (picked, status_forward, status_dnd, own_offline, active_calls) = second;
        Answers {
            psap_callback,
            keys: keys.into_iter().map(Arc::from).collect(),
            anonymous,
            unknown,
            unverified,
            passes,
            frames,
            picked,
            status_forward,
            status_dnd,
            own_offline,
            active_calls,
            direct,
            from_trunk,
            followed: false,
        }
    })
}

fn trees(model: &Model) -> Trees {
    let shared = Shared::of(model);
    let name: Name = "ann".into();
    let tree = user_tree(&shared, &name, &model.users[&name]);
    shared.trees(vec![NamedTree { name, tree }], Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_compiled_tree_decides_as_the_page_says(model in any_model(), answers in any_answers()) {
        let trees = trees(&model);
        let tree = &trees.users[0].tree;
        let mut path = Path::new();
        let asked = Asked(&answers, &trees.timed, &trees.frames);
        let decision = tree.decide_call(&trees.lists, &asked, &mut path).unwrap();
        prop_assert_eq!(decision.leaf, decide(&model, &"ann".into(), &answers).leaf);
        prop_assert!(path.len() <= tree.depth() + 1, "no decision asks more than its bound");
        // No node is asked twice, and every path goes forwards.
        let visited: Vec<u32> = path.iter().map(|visit| visit >> 1).collect();
        prop_assert!(visited.is_sorted());
        prop_assert_eq!(visited.iter().collect::<BTreeSet<_>>().len(), visited.len());
    }

    #[test]
    fn after_the_ringing_the_tree_goes_on_as_the_page_says(model in any_model(), answers in any_answers()) {
        let trees = trees(&model);
        let tree = &trees.users[0].tree;
        let user = &model.users["ann"];
        for (index, rule) in user.rules.iter().enumerate() {
            for outcome in RingOutcome::ALL {
                let asked = Asked(&answers, &trees.timed, &trees.frames);
                let node = tree.rules[index].after[outcome as usize];
                let decision = tree.decide(&trees.lists, node, &asked, &mut Path::new()).unwrap();
                prop_assert_eq!(decision.leaf, after(user, rule, index as u32, outcome, &answers));
            }
        }
    }

    #[test]
    fn a_folded_tree_decides_as_the_tree_does_with_the_status_as_facts(model in any_model(), answers in any_answers()) {
        let trees = trees(&model);
        let tree = &trees.users[0].tree;
        let fold = Fold { dnd: answers.status_dnd, forward: answers.status_forward, picked: answers.picked };
        let folded = tree.folded(fold);
        let without = Answers { status_dnd: None, status_forward: false, picked: None, ..answers.clone() };
        let decide = |tree: &Tree, answers: &Answers| {
            let asked = Asked(answers, &trees.timed, &trees.frames);
            tree.decide_call(&trees.lists, &asked, &mut Path::new()).unwrap()
        };
        let whole = decide(tree, &answers);
        prop_assert_eq!(decide(&folded, &without), whole);
        prop_assert_eq!(decide(&folded, &answers), whole, "the status may stand among the facts all the same");
        prop_assert!(folded.nodes.len() <= tree.nodes.len() && folded.depth() <= tree.depth());
        let live = |node: &Node| {
            matches!(node, Node::Picked { .. } | Node::Ask { test: Test::StatusForward | Test::Dnd { by_rule: false }, .. })
        };
        prop_assert!(!folded.nodes.iter().any(live), "nothing is asked that is known");
        let named = NamedTree { name: "ann".into(), tree: folded };
        let sound = Trees { users: vec![named], ..trees.clone() }.check();
        prop_assert_eq!(sound, Ok(()));
    }

    #[test]
    fn an_encoded_tree_decodes_to_itself(model in any_model()) {
        let trees = trees(&model);
        let bytes = trees.encode();
        prop_assert_eq!(Trees::decode(&bytes).unwrap(), trees.clone());
        prop_assert_eq!(Trees::decode(&bytes).unwrap().encode(), bytes, "the same trees are the same bytes");
    }

    #[test]
    fn damaged_bytes_are_an_error(model in any_model(), at in any::<proptest::sample::Index>(), bit in 0..8_u8) {
        let bytes = trees(&model).encode();
        let at = at.index(bytes.len());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        prop_assert!(Trees::decode(&flipped).is_err());
        prop_assert!(Trees::decode(&bytes[..at]).is_err());
    }

    #[test]
    fn bytes_that_were_forged_never_panic_and_never_loop(
        model in any_model(),
        answers in any_answers(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = trees(&model).encode();
        for (at, byte) in damage {
            let at = 6 + at.index(bytes.len() - 6);
            bytes[at] = byte;
        }
        let checksum = crc32fast::hash(&bytes[6..]).to_le_bytes();
        bytes[2..6].copy_from_slice(&checksum);
        if let Ok(trees) = Trees::decode(&bytes)
            && let Some(named) = trees.users.first()
        {
            // Frames may be called anything now: none of them holds.
            let answers = Answers { frames: [false; 3], ..answers };
            let asked = Asked(&answers, &[], &[]);
            if named.tree.nodes.iter().all(|node| !format!("{node:?}").contains("Frame")) {
                prop_assert!(named.tree.decide_call(&trees.lists, &asked, &mut Path::new()).is_some());
            }
        }
    }
}

#[test]
fn trees_of_another_format_say_which() {
    let mut bytes = trees(&base()).encode();
    bytes[0] = 99;
    assert_eq!(Trees::decode(&bytes), Err(TreeError::Version { found: 99 }));
    assert_eq!(Trees::decode(&[]), Err(TreeError::Truncated));
}
