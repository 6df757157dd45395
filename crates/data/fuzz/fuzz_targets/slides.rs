#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| finetune_data_fuzz::load_parts("a.pptx", bytes));
