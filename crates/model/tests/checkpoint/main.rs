//! Checkpoints and adapters as files: what is written, and what is refused. Files that are damaged, wrong or made to
//! harm get an error that says where and why.

#![allow(clippy::unwrap_used)]

mod adapter;
mod files;
mod header;
mod saved;
mod settings;
mod shards;
mod weights;
