//! Checkpoints that a killed run goes on from, to the same bytes.
//!
//! ```text
//! run/LOCK                  held by the operating system for the process that trains; never deleted
//! run/metrics.jsonl         if an observer writes it there; cut back on a resumption
//! run/step-120/             appears by one rename, after everything in it is on the disk
//!     weights.safetensors   trainable parameters by path, in their own type
//!     moments.safetensors   the optimizer's state by path, in its own type
//!     state.json            step, place in the data, counts, best so far, observers
//!     manifest.json         fingerprints of configuration, data and frozen weights; size and SHA-256 of every file
//!     manifest.sha256       of the manifest itself
//! run/corrupt-step-140/     was damaged, set aside
//! ```
//!
//! There is no pointer to the newest checkpoint: the newest one that is whole wins. What is damaged is set aside with a
//! warning and the one before it is used; when all are damaged the run ends, it never starts anew by itself.

mod files;
mod folder;
mod lock;
mod manifest;
mod state;
mod tensors;

pub(crate) use files::hex;
pub(crate) use folder::{Contents, Fill, Loaded, RunFolder, Tensors};
pub(crate) use manifest::Identity;
pub(crate) use state::{SavedBest, State};
pub(crate) use tensors::{Entry, Sink, Stored};
