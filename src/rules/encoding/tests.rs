use super::*;
use crate::rules::diagnostic::{Files, Span};
use crate::rules::source;
use proptest::prelude::*;
use std::path::Path;

/// As its files lie there, without the lists: those are read by name.
fn example() -> Files {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("routing-rules/harbour-dental");
    let mut files = Files::default();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "toml" || e == "txt") {
                let name = path.strip_prefix(&top).unwrap().to_str().unwrap().into();
                files.0.insert(name, std::fs::read_to_string(&path).unwrap().into());
            }
        }
    }
    files
}

fn small() -> Files {
    let text = "schema = 1\n[domain]\nname = \"d.test\"\ntimezone = \"UTC\"\ncountry = \"US\"\n\
                [time_frame.open]\nweekly = [\"mon-fri 08:00-17:30\"]\n[list.spam]\nnumbers = [\"+1900.\"]\n\
                [user.ann]\next = \"101\"\nname = { first = \"A\", last = \"X\" }\nblock = [\"list:spam\", \"+12025550199\"]\n\
                [[user.ann.rule]]\nname = \"Open\"\nwhen = \"open\"\nforward.busy = \"user:bob\"\n\
                [[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\ndnd = true\n\
                [user.bob]\next = \"102\"\nname = { first = \"B\", last = \"Y\" }\n\
                [device.a1]\nuser = \"ann\"\nauth = { user = \"ann-desk\", secret = \"plain:secret\" }\n\
                [device.b1]\nuser = \"bob\"\nauth = { user = \"b1\", secret = \"env:BOB\" }\n\
                [number.\"+12025550100\"]\nto = \"user:ann\"\n";
    Files([("domain.toml".into(), text.into())].into())
}

fn compiled(files: &Files) -> Domain {
    let loaded = source::load(files);
    let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    Domain::compile(&model, Secrets::default(), 7).unwrap()
}

/// Everything that can be asked of it, asked.
fn ask(domain: &Domain) -> usize {
    let mut nodes = 0;
    for index in 0..domain.user_count() as u32 + 1 {
        nodes += domain.tree_of(index).map_or(0, |tree| tree.nodes.len());
    }
    for index in 0..domain.devices.len() as u32 + 1 {
        let _ = domain.devices.name(index).and_then(|name| domain.device(name));
        let _ = domain.number_at(index);
    }
    for name in ["101", "102", "ann", "a1", "ann-desk", "+12025550100", ""] {
        let _ = (
            domain.tree(name),
            domain.user(name),
            domain.device_by_auth(name),
            domain.user_of_extension(name),
        );
    }
    for start in 0..40 {
        let _ = domain.place(Span { file: start % 3, start: start * 17, end: start * 17 });
    }
    nodes
}

#[test]
fn a_domain_out_of_the_store_is_the_one_that_was_compiled() {
    for files in [example(), small()] {
        let domain = compiled(&files);
        let stored = Domain::decode(domain.encoded().to_vec(), 9).unwrap();
        assert_eq!((domain.generation(), stored.generation()), (7, 9));
        assert_eq!(stored.common, domain.common);
        assert!(ask(&domain) > 0 && ask(&stored) == ask(&domain));
        for (one, other) in domain.users().zip(stored.users()) {
            assert_eq!((one, domain.user_tree(&one.name)), (other, stored.user_tree(&one.name)));
            for extension in &one.extensions {
                assert_eq!(stored.user_of_extension(extension), Some(one));
                assert_eq!(stored.tree(extension), domain.user_tree(&one.name));
            }
            for device in &one.devices {
                let device = stored.device(device).unwrap();
                assert_eq!(stored.device_by_auth(device.auth_user.as_ref().unwrap()), Some(device));
            }
        }
        for (index, text) in (0_u32..).zip(files.0.values()) {
            for at in (0..text.len() + 3).step_by(7) {
                let span = Span { file: index, start: at as u32, end: at as u32 };
                assert_eq!(stored.place(span), files.place(span));
            }
        }
    }
}

#[test]
fn secrets_of_the_rules_are_at_hand_and_others_are_asked_for() {
    let mut domain = Domain::decode(compiled(&small()).encoded().to_vec(), 1).unwrap();
    let asked: Vec<&str> = domain.outside_secrets().iter().map(|(device, _)| &**device).collect();
    assert_eq!(asked, ["b1"]);
    let ha1 =
        |password: &str| crate::sip::auth::ha1(crate::sip::auth::Algorithm::Md5, "b1", "d.test", password);
    let given = crate::registrar::digest::Ha1 { md5: Some(ha1("x")), sha256: None };
    domain.unlock(Secrets { devices: [("b1".into(), given.clone())].into(), ..Secrets::default() });
    assert_eq!(domain.device("b1").unwrap().ha1, Some(given));
    let own = domain.device_by_auth("ann-desk").unwrap().ha1.clone().unwrap();
    assert_eq!(
        own.md5,
        Some(crate::sip::auth::ha1(crate::sip::auth::Algorithm::Md5, "ann-desk", "d.test", "secret"))
    );
    // The names of devices are no user names where they have another.
    assert_eq!(domain.device_by_auth("a1"), None);
}

/// If this fails, what is stored of a compiled domain has changed, or the order in which it is laid down: raise [`FORMAT_VERSION`], so
/// that stores out there are compiled again, and put all three new numbers here.
#[test]
fn the_compiled_format_stands_still() {
    let bytes = compiled(&small()).encoded().to_vec();
    assert_eq!((FORMAT_VERSION, bytes.len(), crc32fast::hash(&bytes)), (17, 1294, 4_045_703_726));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_domain_is_an_error(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let bytes = compiled(&small()).encoded().to_vec();
        let at = at.index(bytes.len());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        prop_assert!(Domain::decode(flipped, 1).is_err());
        prop_assert!(Domain::decode(bytes[..at].to_vec(), 1).is_err());
    }

    #[test]
    fn a_forged_domain_never_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = compiled(&small()).encoded().to_vec();
        for (at, byte) in damage {
            let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
            bytes[at] = byte;
        }
        let checksum = crc32fast::hash(&bytes[HEADER_BYTES..]).to_le_bytes();
        bytes[2..HEADER_BYTES].copy_from_slice(&checksum);
        if let Ok(domain) = Domain::decode(bytes, 1) {
            ask(&domain);
        }
    }
}
