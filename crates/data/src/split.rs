//! A split into training, validation and test parts that is stable when data grows.
