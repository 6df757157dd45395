//! Templates: from a conversation to pieces of text, each learned or not.
