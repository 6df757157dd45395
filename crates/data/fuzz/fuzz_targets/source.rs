#![no_main]

use finetune_data::load::Loaders;

// A file of a source tree: its language is told by its name or first line, its licence by its head.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    finetune_data_fuzz::load_with(&Loaders::repository(), "a", bytes);
});
