//! Making new tokens.

pub mod cache;
