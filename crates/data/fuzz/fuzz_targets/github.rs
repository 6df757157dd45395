#![no_main]

use finetune_data::load::{GithubIssues, Loaders};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let loaders = Loaders::default().with(GithubIssues);
    finetune_data_fuzz::load_with(&loaders, "issues.json", bytes);
});
