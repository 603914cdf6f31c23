#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xingfuma_fuzz::multipart(bytes));
