//! What all targets do.

use std::cell::OnceCell;

use finetune_data::load::{Loaders, OnError};
use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Loads bytes as a file of this name: whatever they are, there are documents or an error, and the counts add up.
///
/// # Panics
///
/// If that is not so; and if the file cannot be written.
pub fn load(name: &str, bytes: &[u8]) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a temporary folder"));
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file is written");
        if let Ok((documents, counts)) = Loaders::default().load_all(&[&path], &OnError::Skip) {
            assert!(counts.balanced(), "{counts}");
            assert_eq!(documents.len() as u64, counts.kept);
        }
    });
}
