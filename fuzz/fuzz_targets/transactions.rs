#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringtree_fuzz::transactions::transactions(data));
