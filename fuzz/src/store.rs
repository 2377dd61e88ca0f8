//! What the store reads back: values of every kind behind a sound checksum, and whole files: journal, manifest, snapshot, spending, trials,
//! an archive of generations. What can be read is written back as the same; what can't is refused; a file that is torn gives what
//! stood before the tear; and what has been opened goes on.

use super::bytes::Draw;
use ringtree::store::archive::Archive;
use ringtree::store::frame::{Frames, MAGIC_LEN, write_frame};
use ringtree::store::journal::{self, Journal, JournalEntry};
use ringtree::store::manifest::Manifest;
use ringtree::store::spending::{self, Spending};
use ringtree::store::trial::Trials;
use ringtree::store::value::{self, Kind, seal};
use ringtree::store::{GenerationInfo, snapshot};
use std::cell::LazyCell;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory of this thread's, which is written anew for each input.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

thread_local! {
    static DIRECTORY: LazyCell<Directory> = const { LazyCell::new(|| {
        let thread = format!("{:?}", std::thread::current().id());
        let name = format!("ringtree-fuzz-{}-{}", std::process::id(), thread.replace(['(', ')'], ""));
        let directory = std::env::temp_dir().join(name);
        let _ = fs::create_dir_all(directory.join("snapshots"));
        let _ = fs::create_dir_all(directory.join("rules/pbx.example"));
        Directory(directory)
    }) };
}

pub fn store(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 16 {
        0 => head(data),
        1 => binding(data),
        2 => record(data),
        3 => status(data),
        4 => raw(data),
        kind => DIRECTORY.with(|directory| files(kind, data, &directory.0)),
    }
}

fn key_of(kind: Kind, rest: &[u8]) -> Vec<u8> {
    [&kind.prefix()[..], rest].concat()
}

fn head(data: &[u8]) {
    let key = key_of(Kind::Head, b"pbx.example");
    let _ = value::decode_rules(&key, &seal(&key, data));
    if let Ok(head) = value::decode_head(&key, &seal(&key, data)) {
        let (key, value) = value::encode_head(&head).expect("it was read");
        assert_eq!(value::decode_head(&key, &value), Ok(head));
    }
}

fn binding(data: &[u8]) {
    let key = key_of(Kind::Binding, b"x");
    if let Ok(binding) = value::decode_binding(&key, &seal(&key, data)) {
        let (key, sealed) = value::encode_binding(&binding).expect("it was read");
        let again = value::decode_binding(&key, &sealed).expect("ours");
        let (key_again, sealed_again) = value::encode_binding(&again).expect("it was read");
        assert!((key, sealed) == (key_again, sealed_again), "another one comes back");
    }
}

fn record(data: &[u8]) {
    let key = key_of(Kind::Record, b"x");
    let sealed = seal(&key, data);
    let call_id = value::record_call_id(&key, &sealed);
    if let Ok(record) = value::decode_record(&key, &sealed) {
        assert!(call_id.is_ok());
        let (key, sealed) = value::encode_record(&record).expect("it was read");
        let again = value::decode_record(&key, &sealed).expect("ours");
        assert!(value::encode_record(&again).expect("ours") == (key.clone(), sealed.clone()), "another one");
        assert_eq!(value::record_call_id(&key, &sealed).ok(), Some(again.call_id.as_ref()));
    }
}

fn status(data: &[u8]) {
    let key = key_of(Kind::Status, b"x");
    if let Ok((of, status)) = value::decode_status(&key, &seal(&key, data)) {
        let (key, sealed) = value::encode_status(&of, &status).expect("it was read");
        let (of_again, again) = value::decode_status(&key, &sealed).expect("ours");
        assert!(value::encode_status(&of_again, &again).expect("ours") == (key, sealed), "another one");
    }
}

/// A key and a value as they are, without a seal that fits.
fn raw(data: &[u8]) {
    let (key, value) = data.split_at(data.len() / 2);
    if let Ok(payload) = value::unseal(key, value) {
        assert!(payload.len() < value.len());
    }
    let _ = (value::decode_head(key, value).is_ok(), value::decode_binding(key, value).is_ok());
    let _ = (value::decode_record(key, value).is_ok(), value::decode_status(key, value).is_ok());
}

/// A file with this magic: its payloads, framed as they have to be, and what is left as it is behind them.
fn framed(magic: &[u8; MAGIC_LEN], data: &[u8]) -> Vec<u8> {
    let mut draw = Draw(data);
    let mut out = magic.to_vec();
    for _ in 0..draw.byte() % 8 {
        let length = draw.pair();
        let payload = draw.take(usize::from(length));
        let _ = write_frame(&mut out, payload);
    }
    out.extend_from_slice(draw.0);
    frames(&out, *magic);
    out
}

/// Frames are written back as they were.
fn frames(bytes: &[u8], magic: [u8; MAGIC_LEN]) {
    let Ok(mut frames) = Frames::new(bytes, magic) else { return };
    let mut again = magic.to_vec();
    while let Some(Ok(payload)) = frames.next() {
        write_frame(&mut again, payload).expect("it was read");
    }
    assert_eq!(again, bytes[..frames.position()]);
}

fn files(kind: u8, data: &[u8], directory: &Path) {
    let put = |name: &str, bytes: &[u8]| {
        fs::write(directory.join(name), bytes).expect("a file in a directory of ours")
    };
    match kind {
        5 | 6 => {
            let bytes = if kind == 5 { framed(b"RTJRNL1\n", data) } else { data.to_vec() };
            put("edits.journal", &bytes);
            journal_goes_on(directory);
        }
        7 => {
            put("manifest", &framed(b"RTMANI1\n", data));
            let manifest = Manifest::new(directory);
            if let Ok(Some(marks)) = manifest.read() {
                manifest.write(&marks).expect("a file in a directory of ours");
                assert_eq!(manifest.read().ok(), Some(Some(marks)));
            }
        }
        8 => {
            put("snapshots/00000000000000000001-00000000000000000001.snapshot", &framed(b"RTSNAP1\n", data));
            if let Ok((Some(taken), _)) = snapshot::newest(directory) {
                let mut header = taken.header.clone();
                (header.generation, header.edit) = (2, 2);
                let path = snapshot::write(directory, &header, taken.entries.clone()).expect("written");
                let again = snapshot::newest(directory).expect("read").0.expect("there is one");
                assert!(again.entries == taken.entries && again.header == header);
                let _ = fs::remove_file(path);
            }
        }
        9 | 10 => {
            put("spending", &if kind == 9 { framed(b"RTSPENT1", data) } else { data.to_vec() });
            if let Ok(before) = spending::read(directory) {
                let (open, _) = Spending::open(directory).expect("it was read");
                drop(open);
                assert!(
                    spending::read(directory).expect("it goes on") == before,
                    "opening it changes what it says"
                );
            }
        }
        11 => {
            put("trials", &framed(b"RTTRIAL1", data));
            let (trials, _) = Trials::open(directory);
            let all = trials.all();
            if let Some(first) = all.first() {
                trials.put(first.clone()).expect("a file in a directory of ours");
                assert_eq!(Trials::open(directory).0.all(), all);
            }
        }
        _ => archive(data, directory),
    }
}

/// What is appended behind what could be read can be read after it.
fn journal_goes_on(directory: &Path) {
    let before = journal::read(directory).expect("a file in a directory of ours");
    let mut open = Journal::open(directory, &before).expect("the same");
    let entry = JournalEntry { edit: 7, key: b"s".to_vec(), value: None };
    open.append(std::slice::from_ref(&entry)).expect("the same");
    let after = journal::read(directory).expect("the same");
    assert_eq!(after.torn, None);
    assert!(after.entries.starts_with(&before.entries) && after.entries.last() == Some(&entry));
}

/// Two copies of a segment, of which the second has one byte otherwise: what either says of a generation is text, or an error.
fn archive(data: &[u8], directory: &Path) {
    let (change, data) = data.split_at(data.len().min(3));
    let bytes = framed(b"RTRULE1\n", data);
    let mut other = bytes.clone();
    if let [low, high, value] = *change {
        let at = usize::from(u16::from_le_bytes([low, high])) % other.len();
        other[at] = value;
    }
    let folder = directory.join("rules/pbx.example");
    for (copy, bytes) in [("a", &bytes), ("b", &other)] {
        fs::write(folder.join(format!("{:020}.{copy}", 1)), bytes).expect("a file in a directory of ours");
    }
    let archive = Archive::of(directory);
    let history: Vec<GenerationInfo> =
        archive.history("pbx.example", u64::MAX, 100).expect("the files are there");
    assert!(history.is_sorted_by(|one, next| one.generation > next.generation), "newest first");
    for info in history.iter().take(4) {
        if let Ok(read) = archive.read("pbx.example", info.generation)
            && info.generation > 0
        {
            assert_eq!(read.map(|(info, _)| info).as_ref(), Some(info));
        }
    }
    let _ = archive.newest().expect("the files are there");
}
