#![no_main]

use finetune_data::load::{Loaders, Text};

// The encoding of a text is detected, and the text is cut at its empty lines.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let loaders = Loaders::default().with(Text::paragraphs());
    finetune_data_fuzz::load_with(&loaders, "a.txt", bytes);
});
