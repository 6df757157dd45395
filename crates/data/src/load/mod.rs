//! Loaders: one file per format, and the list of them.
