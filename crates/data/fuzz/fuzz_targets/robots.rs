#![no_main]

// The `robots.txt` of a server.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| finetune_data_fuzz::robots(bytes));
