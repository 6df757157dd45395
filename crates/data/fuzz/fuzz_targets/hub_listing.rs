#![no_main]

// The listing of a repository, as a server of the hub sends it.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| finetune_data_fuzz::listing(bytes));
