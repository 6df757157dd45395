#![no_main]

use finetune_data::generate::{Facts, Widening};

// Facts with their patterns, without phrasings of others.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = finetune_data_fuzz::written("facts.jsonl", bytes);
    if let Ok(facts) = Facts::open(&path, None) {
        let _ = facts.widen(&Widening::default());
    }
});
