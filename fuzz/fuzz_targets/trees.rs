//! Trees as bytes: any bytes behind a sound header, and the trees of a real rule set with bytes changed. What decodes keeps its
//! invariants, so that whoever decides by it ends, inside of every table, whatever the facts are; and it encodes to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringtree::rules::Domain;
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::encoding::FORMAT_VERSION;
use ringtree::rules::source::load;
use ringtree::rules::tree::{Facts, Leaf, Path, Tree, Trees, WhiteList};
use std::sync::{Arc, LazyLock};

/// The bytes of a rule set that uses most of the language.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let files = [
        ("domain.toml", include_str!("../../routing-rules/behaviour/screening/domain.toml")),
        ("lists.toml", include_str!("../../routing-rules/behaviour/screening/lists.toml")),
        ("white_list.toml", include_str!("../../routing-rules/behaviour/screening/white_list.toml")),
        ("busy.toml", include_str!("../../routing-rules/behaviour/screening/busy.toml")),
        ("lists/breeders.txt", include_str!("../../routing-rules/behaviour/screening/lists/breeders.txt")),
    ];
    let files = Files(files.map(|(name, text)| (name.into(), text.into())).into());
    let model = load(&files).model.expect("a sound rule set");
    Domain::compile(&model, Secrets::default(), 1).expect("it compiles").encode_trees()
});

/// Version and checksum.
const HEADER_BYTES: usize = 6;

/// Facts drawn from the input: every question gets a bit.
struct Drawn<'a> {
    bits: &'a [u8],
    keys: Vec<Arc<str>>,
}

impl Drawn<'_> {
    fn bit(&self, question: usize) -> bool {
        let byte = self.bits.get(question / 8 % self.bits.len().max(1)).copied().unwrap_or_default();
        byte >> (question % 8) & 1 == 1
    }
}

impl Facts for Drawn<'_> {
    fn psap_callback(&self) -> bool {
        self.bit(0)
    }
    fn keys(&self) -> &[Arc<str>] {
        &self.keys
    }
    fn anonymous(&self) -> bool {
        self.bit(1)
    }
    fn unknown(&self) -> bool {
        self.bit(2)
    }
    fn unverified(&self) -> bool {
        self.bit(3)
    }
    fn passes(&self, _: &WhiteList) -> bool {
        self.bit(4)
    }
    fn frame(&self, timed: u32) -> bool {
        self.bit(16 + timed as usize % 64)
    }
    fn picked(&self) -> Option<u32> {
        self.bit(5).then(|| u32::from(self.bits.first().copied().unwrap_or_default()))
    }
    fn status_forward(&self) -> bool {
        self.bit(6)
    }
    fn status_dnd(&self) -> Option<bool> {
        self.bit(7).then(|| self.bit(8))
    }
    fn own_offline(&self) -> bool {
        self.bit(9)
    }
    fn active_calls(&self) -> u32 {
        u32::from(self.bits.last().copied().unwrap_or_default() % 4)
    }
    fn direct(&self) -> bool {
        self.bit(10)
    }
    fn by_trunk(&self) -> bool {
        self.bit(11)
    }
}

/// Every index of a leaf is inside its tree.
fn assert_inside(tree: &Tree, leaf: Leaf) {
    let rule = match leaf {
        Leaf::Ring { rule, .. }
        | Leaf::Forward { rule, .. }
        | Leaf::StatusForward { rule }
        | Leaf::Mailbox { rule, .. }
        | Leaf::Final { rule, .. }
        | Leaf::Goto { rule } => rule,
        Leaf::Refuse(_) | Leaf::Spare => return,
    };
    assert!((rule as usize) < tree.rules.len());
}

fn decide(trees: &Trees, bits: &[u8]) {
    let keys = ["+12025550171", "+19005550100", "102", ""].map(Arc::from).to_vec();
    let facts = Drawn { bits, keys };
    for named in trees.users.iter().chain(&trees.numbers) {
        let entries = named.tree.rules.iter().flat_map(|r| r.after.iter().copied().chain([r.entry]));
        for start in entries.chain([0]) {
            let mut path = Path::new();
            if let Some(decision) = named.tree.decide(&trees.lists, start, &facts, &mut path) {
                assert_inside(&named.tree, decision.leaf);
            }
            assert!(path.len() <= named.tree.nodes.len(), "a decision takes no node twice");
        }
    }
}

/// With the version and checksum that the body needs, so that it is read at all.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = FORMAT_VERSION.to_le_bytes().to_vec();
    bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let (bits, data) = data.split_at(data.len().min(16));
    let bytes = match mode % 4 {
        // As it comes: version, checksum and length are judged.
        0 => data.to_vec(),
        1 => sealed(data),
        // Bytes of sound trees changed: three of input make one change.
        _ => {
            let mut body = SOUND[HEADER_BYTES..].to_vec();
            for change in data.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % body.len();
                body[at] = change[2];
            }
            if mode % 4 == 3 {
                body.truncate(body.len() - usize::from(bits.first().copied().unwrap_or_default()) % body.len());
            }
            sealed(&body)
        }
    };
    if let Ok(trees) = Trees::decode(&bytes) {
        decide(&trees, bits);
        assert_eq!(Trees::decode(&trees.encode()).as_ref(), Ok(&trees), "it encodes to itself");
    }
});
