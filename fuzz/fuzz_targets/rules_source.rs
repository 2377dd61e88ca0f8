#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringtree_fuzz::rules_source::rules_source(data));
