//! The operations against the same arithmetic written with burn's own operations, values and gradients; the same bits
//! for any number of threads.
#![allow(clippy::unwrap_used, unreachable_pub)] // In a test a panic is the report, and nothing is exported.

mod agree;
mod attention;
mod composed;
mod half;
mod log_probs;
mod rows;
mod whole;
