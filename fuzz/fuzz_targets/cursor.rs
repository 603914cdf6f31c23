#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xingfuma_fuzz::cursor_of_a_page(bytes));
