//! The names that the records of a file repeat, so that they are read, sorted and allocated once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::document::Fields;

/// How many kinds of records of a file are known. A record of another kind has names of its own.
const KINDS: usize = 8;
/// The most names that a known kind has, and the most bytes that a name has there: what is remembered is bounded.
const NAMES: usize = 256;
const NAME_BYTES: usize = 256;

/// The kinds of records of a file, as they come up. Several threads read records; what they find is the same whoever
/// is first.
#[derive(Default)]
pub(super) struct Heads([OnceLock<Head>; KINDS]);

impl Heads {
    fn known(&self) -> impl Iterator<Item = &Head> {
        self.0.iter().map_while(OnceLock::get)
    }

    fn full(&self) -> bool {
        self.0[KINDS - 1].get().is_some()
    }

    /// Remembers the names of a record. Names that need escapes are not compared as they are written.
    fn learn(&self, written: Vec<String>) {
        let special = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let plain = |name: &String| name.len() <= NAME_BYTES && !name.bytes().any(special);
        if written.is_empty() || self.full() || !written.iter().all(plain) {
            return;
        }
        let mut head = Head::new(written);
        for place in &self.0 {
            match place.set(head) {
                Ok(()) => return,
                Err(back) => head = back,
            }
            if place
                .get()
                .is_some_and(|known| known.written == head.written)
            {
                return;
            }
        }
    }
}

/// The names of a kind of records.
pub(super) struct Head {
    /// As the file writes them.
    written: Vec<String>,
    /// The same with their quotes, as they are compared.
    quoted: Vec<Quoted>,
    /// As fields have them: sorted.
    names: Arc<Vec<String>>,
    /// Where each of the written names stands among the sorted ones.
    slots: Vec<usize>,
}

impl Head {
    /// A head of names of which none stands twice.
    fn new(written: Vec<String>) -> Self {
        let mut order: Vec<usize> = (0..written.len()).collect();
        order.sort_unstable_by_key(|index| &written[*index]);
        let mut slots = vec![0; written.len()];
        for (slot, index) in order.iter().enumerate() {
            slots[*index] = slot;
        }
        let names = order.iter().map(|index| written[*index].clone()).collect();
        Self {
            names: Arc::new(names),
            quoted: written.iter().map(|name| Quoted::new(name)).collect(),
            written,
            slots,
        }
    }

    fn len(&self) -> usize {
        self.written.len()
    }

    /// How many bytes a name of the head takes with its quotes, if it stands there.
    #[inline]
    fn quoted(&self, index: usize, text: &[u8]) -> Option<usize> {
        let name = self.quoted.get(index)?;
        name.begins(text).then_some(name.bytes.len())
    }

    fn nulls(&self) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.len());
        values.resize_with(self.len(), Value::default);
        values
    }
}

/// A name in its quotes.
struct Quoted {
    bytes: Box<[u8]>,
    /// The first eight bytes, or as many as there are, and which bits of a word they are.
    start: u64,
    mask: u64,
}

impl Quoted {
    fn new(name: &str) -> Self {
        let bytes = format!("\"{name}\"").into_bytes();
        let mut start = [0; 8];
        let short = bytes.len().min(8);
        start[..short].copy_from_slice(&bytes[..short]);
        Self {
            bytes: bytes.into(),
            start: u64::from_le_bytes(start),
            mask: u64::MAX >> (8 * (8 - short)),
        }
    }

    /// Whether a text begins with the name. Most names are short: one comparison of a word tells.
    #[inline]
    fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk() {
            Some(eight) if u64::from_le_bytes(*eight) & self.mask != self.start => false,
            Some(_) if self.bytes.len() <= 8 => true,
            _ => text.starts_with(&self.bytes),
        }
    }
}

/// A record that is being read. As long as its names are those of a known head they are compared, not read, and each
/// value is read into the place that it has among the sorted names: values are large, and moving them takes longer
/// than reading a short one.
pub(super) struct Row<'a> {
    heads: &'a Heads,
    /// The head whose first names it has; without one its names are its own.
    head: Option<&'a Head>,
    /// How many of the head's names it has.
    count: usize,
    /// A value for each of the head's names.
    values: Vec<Value>,
    /// The fields of a record with names of its own.
    own: BTreeMap<String, Value>,
    /// Their names in the order of the file, as far as there is something to be learned.
    written: Vec<String>,
}

impl<'a> Row<'a> {
    pub(super) fn new(heads: &'a Heads) -> Self {
        let head = heads.0[0].get();
        Self {
            heads,
            head,
            count: 0,
            values: head.map_or_else(Vec::new, Head::nulls),
            own: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    /// If the text goes on with the name that is due: how many bytes it takes with its quotes, and where its value is
    /// to be put. Otherwise the field is to be [inserted](Self::insert).
    #[inline]
    pub(super) fn known(&mut self, text: &[u8]) -> Option<(usize, &mut Value)> {
        let mut head = self.head?;
        let mut length = head.quoted(self.count, text);
        if length.is_none() {
            head = self.turn(text)?;
            length = head.quoted(self.count, text);
        }
        let value = &mut self.values[head.slots[self.count]];
        self.count += 1;
        Some((length?, value))
    }

    /// Whether a record with names of its own has this one already.
    pub(super) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }

    /// Adds a field with a name that is not known.
    pub(super) fn insert(&mut self, name: String, value: Value) {
        if self.written.len() < NAMES && !self.heads.full() {
            self.written.push(name.clone());
        }
        self.own.insert(name, value);
    }

    /// The fields at the end of the record.
    #[inline]
    pub(super) fn finish(&mut self) -> Fields {
        let whole = |head: &&Head| head.len() == self.count;
        if self.head.is_some_and(|head| !whole(&head)) {
            match self.like(|head| whole(&head)) {
                Some(head) => self.change(head),
                None => self.leave(),
            }
        }
        if let Some(head) = self.head {
            return Fields::sharing(Arc::clone(&head.names), std::mem::take(&mut self.values));
        }
        if self.written.len() == self.own.len() {
            self.heads.learn(std::mem::take(&mut self.written));
        }
        std::mem::take(&mut self.own).into()
    }

    /// Turns to another head that goes on as the text does, or to names of its own.
    #[cold]
    fn turn(&mut self, text: &[u8]) -> Option<&'a Head> {
        match self.like(|head| head.quoted(self.count, text).is_some()) {
            Some(head) => self.change(head),
            None => self.leave(),
        }
        self.head
    }

    /// Another head that begins with the names that the record has so far.
    fn like(&self, fits: impl Fn(&Head) -> bool) -> Option<&'a Head> {
        let (heads, head) = (self.heads, self.head?);
        let same =
            |other: &Head| other.written.get(..self.count) == Some(&head.written[..self.count]);
        heads.known().find(|other| fits(other) && same(other))
    }

    /// Goes on with a head that begins as the record does.
    fn change(&mut self, head: &'a Head) {
        let mut values = head.nulls();
        for (index, value) in self.take().enumerate() {
            values[head.slots[index]] = value;
        }
        (self.head, self.values) = (Some(head), values);
    }

    /// Goes on with names of its own, for there is no such record among the known ones.
    fn leave(&mut self) {
        let Some(head) = self.head else { return };
        let names = &head.written[..self.count];
        self.own = names.iter().cloned().zip(self.take()).collect();
        self.written = names.to_vec();
        self.head = None;
    }

    /// The values so far, in the order of the file.
    fn take(&mut self) -> impl Iterator<Item = Value> {
        let slots = self.head.map_or(&[][..], |head| &head.slots[..self.count]);
        let mut values = std::mem::take(&mut self.values);
        slots.iter().map(move |slot| values[*slot].take())
    }
}
