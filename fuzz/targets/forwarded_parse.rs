#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| topchat_fuzz::properties::forwarded_parse(data));
