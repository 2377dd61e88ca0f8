//! Any sequence of REGISTERs, waits and restarts: the table stays sound, and a store that is fed by the changes alone holds what
//! the table holds.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Register { device: u8, source: u8, call: u8, cseq: u32, contacts: Vec<(u8, u32)> },
    RemoveAll { device: u8, cseq: u32 },
    Pass(u32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let contact = (0..14u8, prop_oneof![Just(0u32), Just(30), 60..300u32]);
    prop_oneof![
        8 => (0..4u8, 0..5u8, 0..2u8, 0..40u32, prop::collection::vec(contact, 0..4)).prop_map(
            |(device, source, call, cseq, contacts)| Step::Register { device, source, call, cseq, contacts }
        ),
        1 => (0..4u8, 0..60u32).prop_map(|(device, cseq)| Step::RemoveAll { device, cseq }),
        2 => (0..200u32).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// The store, fed by the changes alone.
type Mirror = std::collections::BTreeMap<BindingKey, Binding>;

fn mirror(kept: &mut Mirror, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Added(binding) => assert_eq!(kept.insert(binding.key.clone(), binding.clone()), None),
            Change::Refreshed(binding) => {
                assert!(kept.insert(binding.key.clone(), binding.clone()).is_some())
            }
            Change::Removed { key, .. } => assert!(kept.remove(key).is_some()),
        }
    }
}

fn run(steps: Vec<Step>) {
    let mut phone = Registrar::new();
    let mut kept = Mirror::new();
    for step in steps {
        match step {
            Step::Register { device: name, source, call, cseq, contacts } => {
                let flow = if source == 4 {
                    tcp(7)
                } else {
                    udp(&format!("198.51.100.9:{}", 5060 + u16::from(source)))
                };
                let contacts: Vec<String> =
                    contacts.iter().map(|(n, s)| format!("<sip:{n}@a>;expires={s}")).collect();
                let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
                let request = message(&format!("c{call}"), cseq, "198.51.100.9", &contacts, None);
                if phone.take(&device(&name.to_string()), flow, &request).is_err() {
                    assert!(phone.changes.is_empty(), "a refusal changes nothing");
                }
            }
            Step::RemoveAll { device: name, cseq } => {
                let _ = phone.take(
                    &device(&name.to_string()),
                    tcp(1),
                    &message("c0", cseq, "a", &["*"], Some("0")),
                );
            }
            Step::Pass(seconds) => {
                phone.pass_s(seconds);
                phone.changes.clear();
                let now = phone.now;
                phone.location.timeout(now, &mut phone.changes);
                assert!(phone.location.deadline().is_none_or(|deadline| deadline > now.mono));
                assert!(phone.location.iter().all(|binding| binding.expires > now.wall));
            }
            Step::Restart => {
                phone.changes.clear();
                phone.location = Location::default();
                for binding in kept.values_mut() {
                    binding.flow.connection = None;
                    phone.location.restore(phone.now, binding.clone());
                }
            }
        }
        mirror(&mut kept, &phone.changes);
        phone.check();
        let held: Mirror = phone.location.iter().map(|b| (b.key.clone(), b.clone())).collect();
        assert_eq!(held, kept, "the store and the table differ");
    }
    phone.pass_s(10_000);
    let now = phone.now;
    phone.location.timeout(now, &mut Vec::new());
    phone.check();
    assert!(phone.location.is_empty() && phone.location.deadline().is_none());
}

proptest! {
    #[test]
    fn the_changes_tell_the_whole_table(steps in prop::collection::vec(step(), 0..40)) {
        run(steps);
    }
}
