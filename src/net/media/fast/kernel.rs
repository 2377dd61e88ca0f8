//! The program in the kernel, by `aya`: loaded, attached at the ingress of interfaces, and its two maps.
//!
//! Links are those of the process (TCX, Linux 6.6 on): however it ends, the program is gone with it, and packets come up again. The
//! filters of older kernels would stay and go on with streams that nobody counts.

use super::Unavailable;
use super::bytes::{COUNTS_BYTES, KEY_BYTES, STREAM_BYTES};
use aya::maps::{Array, HashMap, MapData};
use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader};
use std::error::Error;

static OBJECT: &[u8] = aya::include_bytes_aligned!("relay.bpf.o");

pub(super) struct Kernel {
    streams: HashMap<MapData, [u8; KEY_BYTES], [u8; STREAM_BYTES]>,
    counts: Array<MapData, [u8; COUNTS_BYTES]>,
    /// Its links hold while it lives.
    _program: Ebpf,
}

impl Kernel {
    /// # Errors
    /// The kernel is too old, or refuses: what is missing is a right, as a rule.
    pub(super) fn load(interfaces: &[String]) -> Result<Kernel, Unavailable> {
        let version = KernelVersion::current().map_err(|error| refused("tell its version", &error))?;
        if version < KernelVersion::new(6, 6, 0) {
            return Err(Unavailable::Kernel {
                what: "attach it (it is older than 6.6)",
                why: "no TCX".into(),
            });
        }
        // Without the kernel's own types: the program reads none of its structures.
        let mut program =
            EbpfLoader::new().btf(None).load(OBJECT).map_err(|error| refused("take its maps", &error))?;
        let streams = program.take_map("STREAMS").ok_or(Unavailable::Broken)?;
        let counts = program.take_map("COUNTS").ok_or(Unavailable::Broken)?;
        let classifier: &mut SchedClassifier = program
            .program_mut("relay")
            .ok_or(Unavailable::Broken)?
            .try_into()
            .map_err(|_| Unavailable::Broken)?;
        classifier.load().map_err(|error| refused("take it", &error))?;
        for interface in interfaces {
            let order = TcAttachOptions::TcxOrder(LinkOrder::default());
            classifier
                .attach_with_options(interface, TcAttachType::Ingress, order)
                .map_err(|error| refused("attach it", &error))?;
        }
        Ok(Kernel {
            streams: HashMap::try_from(streams).map_err(|_| Unavailable::Broken)?,
            counts: Array::try_from(counts).map_err(|_| Unavailable::Broken)?,
            _program: program,
        })
    }

    /// Puts a stream in, or another in the place of the one with that key.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn insert(
        &mut self,
        key: &[u8; KEY_BYTES],
        stream: &[u8; STREAM_BYTES],
    ) -> Result<(), String> {
        self.streams.insert(key, stream, 0).map_err(|error| chain(&error))
    }

    /// Takes a stream out.
    ///
    /// # Errors
    /// What the kernel says, also where there is none.
    pub(super) fn remove(&mut self, key: &[u8; KEY_BYTES]) -> Result<(), String> {
        self.streams.remove(key).map_err(|error| chain(&error))
    }

    /// # Errors
    /// What the kernel says.
    pub(super) fn count(&self, slot: u32) -> Result<[u8; COUNTS_BYTES], String> {
        self.counts.get(&slot, 0).map_err(|error| chain(&error))
    }

    /// # Errors
    /// What the kernel says.
    pub(super) fn begin(&mut self, slot: u32, counts: &[u8; COUNTS_BYTES]) -> Result<(), String> {
        self.counts.set(slot, counts, 0).map_err(|error| chain(&error))
    }
}

fn refused(what: &'static str, error: &dyn Error) -> Unavailable {
    Unavailable::Kernel { what, why: chain(error) }
}

/// An error with what lies under it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text.push_str(": ");
        text.push_str(&error.to_string());
        below = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}
