#![no_main]

// The sitemap of a server, packed or not.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| finetune_data_fuzz::sitemap(bytes));
