#![no_main]

// The description of a part of a data set.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let part = finetune_data_fuzz::written("part-00000-of-00001.json", bytes);
    let _ = finetune_data::parts::merge(part.parent().expect("it lies in a folder"));
});
