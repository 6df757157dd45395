//! What is to be predicted.

/// Which places are predicted, and what should come: the host's side of a loss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// `row * length + place` of the token that **predicts** (for a causal model the one before the target).
    pub places: Vec<u32>,
    /// The id that is right there, as many as places.
    pub ids: Vec<u32>,
}

impl Targets {
    /// The number of targets.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is predicted.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
