//! The types that a safetensors file stores.

use std::fmt;

/// The type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtype {
    name: &'static str,
    bits: u64,
}

impl Dtype {
    pub(super) const F32: Self = Self::new("F32", 32);
    pub(super) const F16: Self = Self::new("F16", 16);
    pub(super) const BF16: Self = Self::new("BF16", 16);

    /// Every type of the format, so that tensors that no model uses can be carried along.
    const ALL: [Self; 21] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::new("F64", 64),
        Self::new("I64", 64),
        Self::new("U64", 64),
        Self::new("C64", 64),
        Self::new("I32", 32),
        Self::new("U32", 32),
        Self::new("I16", 16),
        Self::new("U16", 16),
        Self::new("I8", 8),
        Self::new("U8", 8),
        Self::new("BOOL", 8),
        Self::new("F8_E4M3", 8),
        Self::new("F8_E5M2", 8),
        Self::new("F8_E8M0", 8),
        Self::new("F8_E4M3FNUZ", 8),
        Self::new("F8_E5M2FNUZ", 8),
        Self::new("F4", 4),
        Self::new("F6_E2M3", 6),
    ];

    const fn new(name: &'static str, bits: u64) -> Self {
        Self { name, bits }
    }

    /// The type as the format spells it.
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// The size of an element.
    pub(super) fn bits(self) -> u64 {
        self.bits
    }

    /// The size of an element that has whole bytes.
    pub(super) fn bytes(self) -> usize {
        (self.bits / 8) as usize
    }

    /// The type that a header or a configuration names.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name == name)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
