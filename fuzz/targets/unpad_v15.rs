#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| topchat_fuzz::properties::unpad_v15(data));
