//! Mappings: from the fields of a record to an example.
