//! As much of Thrift's compact protocol as it takes to look at a Parquet file before the parquet crate does.
//!
//! That crate believes the numbers that it finds: a schema nested a hundred thousand deep ends the process with its
//! stack, and a page of two gibibytes is unpacked whole. Neither is an error that can be caught.

/// The kinds of values, as the protocol numbers them.
pub(super) const STRUCT: u8 = 12;
pub(super) const LIST: u8 = 9;
/// How deep values that are passed over may nest.
const DEPTH: u8 = 32;

/// Reads values one after the other; `None` where they end too early or make no sense.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Reads a struct. `field` is given the number and kind of each field, and says whether it has read its value.
    pub(super) fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, i64, u8) -> Option<bool>,
    ) -> Option<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            let (delta, kind) = (i64::from(head >> 4), head & 0x0F);
            id = if delta == 0 {
                self.integer()?
            } else {
                id + delta
            };
            if !field(self, id, kind)? {
                self.skip(kind, DEPTH)?;
            }
        }
    }

    /// The number of items of a list and their kind.
    pub(super) fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Some((count, head & 0x0F))
    }

    /// A signed integer of any width.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let bits = self.varint()?;
        Some((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at)?;
        self.at += 1;
        Some(*byte)
    }

    fn advance(&mut self, count: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        self.at = end;
        (end <= self.bytes.len()).then_some(())
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Truth values of fields are in the kind itself.
            1 | 2 => Some(()),
            3 => self.advance(1),
            4..=6 => self.varint().map(drop),
            7 => self.advance(8),
            8 => {
                let length = self.varint()?;
                self.advance(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    self.skip_item(kind, depth)?;
                }
                Some(())
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                for _ in 0..count {
                    self.skip_item(kinds >> 4, depth)?;
                    self.skip_item(kinds & 0x0F, depth)?;
                }
                Some(())
            }
            STRUCT => loop {
                let head = self.byte()?;
                if head == 0 {
                    return Some(());
                }
                if head >> 4 == 0 {
                    self.varint()?;
                }
                self.skip(head & 0x0F, depth)?;
            },
            _ => None,
        }
    }

    /// A truth value takes a byte in a list.
    fn skip_item(&mut self, kind: u8, depth: u8) -> Option<()> {
        match kind {
            1 | 2 => self.advance(1),
            kind => self.skip(kind, depth),
        }
    }
}
