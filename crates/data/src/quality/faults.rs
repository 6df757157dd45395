//! The faults of one row in two bytes.

use std::collections::BTreeSet;

use super::funnel::Reason;

/// A set of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults(u16);

impl Faults {
    /// Adds a reason.
    pub fn insert(&mut self, reason: Reason) {
        self.0 |= 1 << reason as u16;
    }

    /// Whether a reason is among them.
    pub fn contains(self, reason: Reason) -> bool {
        self.0 & 1 << reason as u16 != 0
    }

    /// The reasons, in order.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        let all = Reason::ALL.into_iter();
        all.filter(move |&reason| self.contains(reason))
    }

    /// The first of them for which rows are dropped.
    pub(super) fn first_of(self, drop: &BTreeSet<Reason>) -> Option<Reason> {
        self.iter().find(|reason| drop.contains(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_bit_of_its_own() {
        let mut faults = Faults::default();
        for (count, reason) in Reason::ALL.into_iter().enumerate() {
            assert!(!faults.contains(reason));
            faults.insert(reason);
            assert_eq!(faults.iter().count(), count + 1);
        }
        assert!(faults.iter().eq(Reason::ALL));
        let drop = BTreeSet::from([Reason::Length, Reason::Leak]);
        assert_eq!(faults.first_of(&drop), Some(Reason::Leak));
        assert_eq!(Faults::default().first_of(&drop), None);
    }
}
