//! Any description: where it can be anchored, it points at the relay and anchoring it again changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringtree::sdp::{anchor, audio};

fuzz_target!(|data: &[u8]| {
    let relay = [192, 0, 2, 1].into();
    let Ok(once) = anchor(data, relay, 20_000, 20_001) else { return };
    let audio = audio(&once);
    if let Ok(audio) = audio {
        assert!(audio.on_hold || audio.rtp == (relay, 20_000).into());
    }
    assert_eq!(anchor(&once, relay, 20_000, 20_001).as_ref(), Ok(&once));
});
