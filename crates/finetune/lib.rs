//! Fine-tuning language models, whole and for real, on burn.
//!
//! Four crates under one name: [`data`] turns files into token ids, [`model`] holds weights and arithmetic, [`train`] is
//! the loop, [`eval`] asks, judges and reports.

pub use finetune_data as data;
pub use finetune_eval as eval;
pub use finetune_model as model;
pub use finetune_train as train;
