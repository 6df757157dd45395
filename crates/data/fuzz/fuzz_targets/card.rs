#![no_main]

use finetune_data::load::{DatasetFolder, Loaders};

// The front matter of a data set's README, with a file that it may name.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    finetune_data_fuzz::written("train.jsonl", b"{\"text\":\"a\"}\n");
    let readme = finetune_data_fuzz::written("README.md", bytes);
    if let Ok(folder) = DatasetFolder::open(readme.parent().expect("it lies in a folder")) {
        for split in &folder.splits {
            assert!(split.files.iter().all(|file| file.is_file()));
            let _ = folder
                .load(&split.name, &Loaders::default())
                .map(Iterator::count);
        }
    }
});
