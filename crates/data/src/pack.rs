//! Packing rows into full ones.
