//! Data sets larger than memory: read one item after the other, shuffled in a buffer, resumed at any item.
//!
//! Nothing but two numbers says where a stream is: the epoch, and how many items of it have come. What a buffer holds
//! at that place is computed from them and read again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::document::Document;
use crate::error::{DataError, Result};
use crate::load::Loaders;

/// Items, one after the other. An error stands in the place of an item and counts as one.
pub type Items<'a, T> = Box<dyn Iterator<Item = Result<T>> + Send + 'a>;

/// A data set that can be read again, from any item on.
///
/// This is the seam for data that does not fit into memory: the same epoch gives the same items in the same order
/// each time that it is opened.
#[diagnostic::on_unimplemented(
    note = "implement `Source`: the items of an epoch from any of them on, the same each time"
)]
pub trait Source: Send + Sync {
    /// What it is made of.
    type Item: Send;

    /// The items of an epoch from number `from` on, both counted from 0. Nothing, if there are no more than `from`.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    fn open(&self, epoch: u64, from: u64) -> Result<Items<'_, Self::Item>>;
}

/// Items in memory, in the same order in every epoch.
impl<T: Clone + Send + Sync> Source for Vec<T> {
    type Item = T;

    fn open(&self, _: u64, from: u64) -> Result<Items<'_, T>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Box::new(self.iter().skip(from).cloned().map(Ok)))
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    type Item = S::Item;

    fn open(&self, epoch: u64, from: u64) -> Result<Items<'_, S::Item>> {
        (**self).open(epoch, from)
    }
}

/// The documents of files and folders, one after the other, in the same order in every epoch.
///
/// A broken record is an error in its place. To begin in the middle the records before are read and passed over, at the
/// speed of the loader.
#[derive(Clone)]
pub struct Files {
    loaders: Loaders,
    paths: Vec<PathBuf>,
}

impl Files {
    /// The documents that these loaders find under these paths.
    pub fn new(loaders: Loaders, paths: Vec<PathBuf>) -> Self {
        Self { loaders, paths }
    }
}

impl Source for Files {
    type Item = Document;

    fn open(&self, _: u64, from: u64) -> Result<Items<'_, Document>> {
        let documents = self
            .paths
            .iter()
            .flat_map(|path| match self.loaders.load(path) {
                Ok(documents) => documents,
                Err(error) => Box::new(std::iter::once(Err(error))),
            });
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Box::new(documents.skip(from)))
    }
}

/// A source in another order in each epoch, shuffled in a buffer.
///
/// The buffer is filled; then each item that is asked for is one of the buffer's, whose place the next of the source
/// takes. So an item comes at most `buffer` places earlier than in the source, and about as much later; a buffer of at
/// least the source's length shuffles it whole. The order is a function of the seed, the epoch and the buffer's size.
///
/// Memory: `buffer` items. To begin in the middle costs the items of the buffer, and those of the source between the
/// oldest of them and the newest: about `buffer · ln(buffer)` items are read, however far the place is.
#[derive(Debug, Clone)]
pub struct Shuffled<S> {
    source: S,
    buffer: usize,
    seed: u64,
}

impl<S: Source> Shuffled<S> {
    /// Shuffles a source in a buffer of so many items.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the buffer holds nothing.
    pub fn new(source: S, buffer: usize, seed: u64) -> Result<Self> {
        if buffer == 0 {
            return Err(DataError::Setting {
                name: "shuffle buffer".into(),
                found: "0".into(),
                expected: "at least 1 item, which keeps the source's order".into(),
            });
        }
        Ok(Self {
            source,
            buffer,
            seed,
        })
    }
}

impl<S: Source> Source for Shuffled<S> {
    type Item = S::Item;

    fn open(&self, epoch: u64, from: u64) -> Result<Items<'_, S::Item>> {
        let draws = Draws {
            seed: self.seed,
            epoch,
        };
        // How many items the source has is known only if it ends here: then what the buffer holds is computed again.
        let mut length = None;
        loop {
            let held = draws.held(self.buffer, from, length);
            let first = held.iter().min().copied().unwrap_or_default();
            let mut items = self.source.open(epoch, first)?;
            let mut buffer: Vec<Option<Result<S::Item>>> = held.iter().map(|_| None).collect();
            let mut order: Vec<usize> = (0..held.len()).collect();
            order.sort_unstable_by_key(|slot| held[*slot]);
            let mut next = first;
            for slot in order {
                let skip = usize::try_from(held[slot] - next).unwrap_or(usize::MAX);
                next = held[slot] + 1;
                buffer[slot] = items.nth(skip);
                if buffer[slot].is_none() {
                    break;
                }
            }
            if length.is_none() && buffer.iter().any(Option::is_none) {
                length = Some(self.count(epoch, first)?);
                continue;
            }
            // All have been read, though the buffer need not hold the last of them any more.
            if length.is_some() {
                items = Box::new(std::iter::empty());
            }
            return Ok(Box::new(Shuffling {
                items,
                buffer: buffer.into_iter().flatten().collect(),
                draws,
                step: from,
            }));
        }
    }
}

impl<S: Source> Shuffled<S> {
    /// How many items the source has, if it has at least `known`; else, counted from its start.
    fn count(&self, epoch: u64, known: u64) -> Result<u64> {
        match self.source.open(epoch, known)?.count() as u64 {
            0 if known > 0 => Ok(self.source.open(epoch, 0)?.count() as u64),
            more => Ok(known + more),
        }
    }
}

struct Shuffling<'a, T> {
    items: Items<'a, T>,
    buffer: Vec<Result<T>>,
    draws: Draws,
    step: u64,
}

impl<T> Iterator for Shuffling<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.buffer.is_empty() {
            return None;
        }
        let slot = self.draws.slot(self.step, self.buffer.len());
        self.step += 1;
        Some(match self.items.next() {
            Some(item) => std::mem::replace(&mut self.buffer[slot], item),
            None => self.buffer.swap_remove(slot),
        })
    }
}

/// Which place of the buffer is asked for at each step of an epoch.
#[derive(Debug, Clone, Copy)]
struct Draws {
    seed: u64,
    epoch: u64,
}

impl Draws {
    fn slot(&self, step: u64, length: usize) -> usize {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&self.epoch.to_le_bytes());
        place[8..].copy_from_slice(&step.to_le_bytes());
        let hash = xxh3_64_with_seed(&place, self.seed);
        // The high half of a product: a number below `length`, with a bias below length / 2^64.
        ((u128::from(hash) * length as u128) >> 64) as usize
    }

    /// The numbers of the items that a buffer holds before a step, by their places in it.
    ///
    /// # Arguments
    ///
    /// - `length`: how many items the source has; `None` if there are enough
    fn held(&self, buffer: usize, step: u64, length: Option<u64>) -> Vec<u64> {
        let length = length.unwrap_or(u64::MAX);
        let places = length.min(buffer as u64);
        // While the source lasts, a place holds what came to it when it was asked for last. So the steps are gone
        // through backwards, until all places have been seen.
        let full = step.min(length - places);
        let mut held: Vec<Option<u64>> = vec![None; places as usize];
        let mut unseen = held.len();
        for before in (0..full).rev() {
            if unseen == 0 {
                break;
            }
            let slot = &mut held[self.slot(before, places as usize)];
            unseen -= usize::from(slot.is_none());
            slot.get_or_insert(places + before);
        }
        let numbered = held.into_iter().zip(0..);
        let mut held: Vec<u64> = numbered
            .map(|(item, place)| item.unwrap_or(place))
            .collect();
        for step in full..step {
            if held.is_empty() {
                break;
            }
            held.swap_remove(self.slot(step, held.len()));
        }
        held
    }
}

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamState {
    /// The epoch, from 0.
    pub epoch: u64,
    /// How many items of it have come.
    pub step: u64,
}

/// The items of a source, epoch after epoch.
///
/// ```
/// use finetune_data::stream::{Shuffled, Stream};
///
/// let source = Shuffled::new((0..100).collect::<Vec<u32>>(), 16, 1)?;
/// let mut stream = Stream::new(&source, 2);
/// let first: Vec<u32> = stream.by_ref().take(130).collect::<Result<_, _>>()?;
/// let state = stream.state(); // two numbers, and can be saved
/// let rest: Vec<u32> = stream.collect::<Result<_, _>>()?;
/// let resumed: Vec<u32> = Stream::new(&source, 2).resume(state).collect::<Result<_, _>>()?;
/// assert_eq!((first.len(), &rest), (130, &resumed));
/// # Ok::<(), finetune_data::DataError>(())
/// ```
pub struct Stream<'a, S: Source> {
    source: &'a S,
    epochs: u64,
    state: StreamState,
    open: Option<Items<'a, S::Item>>,
}

impl<'a, S: Source> Stream<'a, S> {
    /// A source, read so many times.
    pub fn new(source: &'a S, epochs: u64) -> Self {
        Self {
            source,
            epochs,
            state: StreamState::default(),
            open: None,
        }
    }

    /// The same, from a state on.
    pub fn resume(mut self, state: StreamState) -> Self {
        self.state = state;
        self.open = None;
        self
    }

    /// Where it is: what follows it is what follows here.
    pub fn state(&self) -> StreamState {
        self.state
    }
}

impl<S: Source> Iterator for Stream<'_, S> {
    type Item = Result<S::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.state.epoch < self.epochs {
            if self.open.is_none() {
                match self.source.open(self.state.epoch, self.state.step) {
                    Ok(items) => self.open = Some(items),
                    Err(error) => {
                        self.epochs = 0;
                        return Some(Err(error));
                    }
                }
            }
            if let Some(item) = self.open.as_mut().and_then(Iterator::next) {
                self.state.step += 1;
                return Some(item);
            }
            // An epoch without items will not be followed by one that has any.
            if self.state.step == 0 {
                self.epochs = 0;
            }
            self.state = StreamState {
                epoch: self.state.epoch + 1,
                step: 0,
            };
            self.open = None;
        }
        None
    }
}
