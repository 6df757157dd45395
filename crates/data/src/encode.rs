//! Encoding conversations and texts into token ids.
