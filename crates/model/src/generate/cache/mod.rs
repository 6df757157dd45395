//! Keys and values of what was read before.

#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};

use crate::tokens::{Tokens, int_tensor};

/// Keys and values of every place that was read and can still be seen, one pair per block.
///
/// It lies outside the layers and is passed in. Room grows by doubling, so that adding one token copies nothing but
/// the token on most steps; where the end is known, [`Cache::with_room`] takes all of it at once.
///
/// A block that looks at a window keeps no more than twice the window: when its room is full, the places that can still
/// be seen move to the front, once for every window of new places.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    layers: Vec<Option<Kept>>,
    length: usize,
    room: usize,
}

/// One block's keys and values, `[batch, room, groups, head_width]` each, from the place `first` on; the places after
/// the last that was read are empty.
#[derive(Debug, Clone)]
struct Kept {
    key: Tensor<4>,
    value: Tensor<4>,
    first: usize,
    window: Option<usize>,
}

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty cache that takes room for `places` at once.
    pub fn with_room(places: usize) -> Self {
        Self {
            room: places,
            ..Self::default()
        }
    }

    /// The number of places that were read.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The number of places that there is room for, block by block.
    pub fn rooms(&self) -> Vec<usize> {
        let room = |kept: &Option<Kept>| kept.as_ref().map_or(0, |kept| kept.key.dims()[1]);
        self.layers.iter().map(room).collect()
    }

    /// Keeps the given rows of the batch, in the given order; a row may be kept more than once (beams) or not at all
    /// (finished rows).
    pub fn select(&mut self, rows: &[u32]) {
        let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        for kept in self.layers.iter_mut().flatten() {
            let device = kept.key.device();
            let of: Tensor<1, Int> = int_tensor(rows.clone(), [rows.len()], &device);
            kept.key = kept.key.clone().select(0, of.clone());
            kept.value = kept.value.clone().select(0, of);
        }
    }

    /// Adds the rows of another cache below its own. Both end at the same place, the `places`-th; what lies further back
    /// is forgotten, and what a row does not have is left empty.
    ///
    /// # Panics
    /// When the other cache is of another model.
    pub fn join(&mut self, more: Self, places: usize) {
        assert_eq!(
            self.layers.len(),
            more.layers.len(),
            "the caches are of models with different numbers of blocks"
        );
        let spare = |cache: &Self| cache.room.saturating_sub(cache.length);
        self.room = places + spare(self).max(spare(&more));
        for (own, new) in self.layers.iter_mut().zip(more.layers) {
            if let (Some(own), Some(new)) = (own, new) {
                let limit = own.window.map_or(usize::MAX, |window| 2 * window);
                let first = own.window.map_or(0, |w| (places + 1).saturating_sub(w));
                let end = End {
                    first,
                    places,
                    room: self.room.min(limit),
                };
                let together = |own: &Tensor<4>, new: Tensor<4>, old: usize, more_old: usize| {
                    let own = end.aligned(own.clone(), old, self.length);
                    Tensor::cat(vec![own, end.aligned(new, more_old, more.length)], 0)
                };
                own.key = together(&own.key, new.key, own.first, new.first);
                own.value = together(&own.value, new.value, own.first, new.first);
                own.first = first;
            }
        }
        self.length = places;
    }

    /// Prepares a pass that reads `tokens`.
    ///
    /// # Panics
    /// When the tokens do not continue what is kept, or have branches.
    pub(crate) fn begin(&mut self, tokens: &Tokens, depth: usize) {
        assert_eq!(
            tokens.past, self.length,
            "the tokens continue {} places, the cache holds {}",
            tokens.past, self.length
        );
        assert!(
            !tokens.is_branched(),
            "a cache keeps one text for each row; the tokens have branches"
        );
        self.layers.resize_with(depth, || None);
        self.length += tokens.length();
        if self.room < self.length {
            self.room = self.length.max(2 * self.room);
        }
    }

    /// The place of one block in this pass, which reads `length` places.
    ///
    /// # Arguments
    /// - `window`: how far the block sees, where nothing further back has to be kept
    pub(crate) fn layer(
        &mut self,
        number: usize,
        length: usize,
        window: Option<usize>,
    ) -> LayerCache<'_> {
        LayerCache {
            kept: &mut self.layers[number],
            begin: self.length - length,
            length: self.length,
            room: self.room,
            window,
        }
    }
}

/// Where the buffers of caches that are joined begin and end.
struct End {
    first: usize,
    places: usize,
    room: usize,
}

impl End {
    /// A buffer whose last of `length` places is the last of all; it holds its places from `old` on.
    fn aligned(&self, buffer: Tensor<4>, old: usize, length: usize) -> Tensor<4> {
        let begin = old.max((self.first + length).saturating_sub(self.places));
        let to = begin + self.places - length - self.first;
        let part = buffer.narrow(1, begin - old, length - begin);
        written(room_like(&part, self.room), to, part)
    }
}

/// One block's part of the cache during a pass.
pub(crate) struct LayerCache<'a> {
    kept: &'a mut Option<Kept>,
    /// Places that were filled before this pass.
    begin: usize,
    /// Places that are filled when this pass is over.
    length: usize,
    room: usize,
    window: Option<usize>,
}

impl LayerCache<'_> {
    /// The first place that a query of this pass can see; [`Self::extend`] returns nothing before it.
    pub(crate) fn first(&self) -> usize {
        let seen = |window| (self.begin + 1).saturating_sub(window);
        self.window.map_or(0, seen)
    }

    /// Adds the keys and values of this pass, `[batch, length, groups, head_width]`, and returns those of all places
    /// from the [first](Self::first) on.
    pub(crate) fn extend(self, key: Tensor<4>, value: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (old_key, old_value, old) = match self.kept.take() {
            Some(kept) => (Some(kept.key), Some(kept.value), kept.first),
            None => (None, None, 0),
        };
        let (key, all_keys, first) = self.grow(old_key, old, key);
        let (value, all_values, _) = self.grow(old_value, old, value);
        *self.kept = Some(Kept {
            key,
            value,
            first,
            window: self.window,
        });
        (all_keys, all_values)
    }

    /// The buffer with what is new, all that can be seen of it, and the place that it begins at.
    fn grow(
        &self,
        old: Option<Tensor<4>>,
        old_first: usize,
        new: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>, usize) {
        let (first, begin, length) = (self.first(), self.begin, self.length);
        let limit = self.window.map_or(usize::MAX, |window| 2 * window);
        let seen = |buffer: &Tensor<4>, from: usize| {
            let whole = from == first && buffer.dims()[1] == length - first;
            let buffer = buffer.clone();
            if whole {
                buffer
            } else {
                buffer.narrow(1, first - from, length - first)
            }
        };
        // The buffer is moved, not shared, so that a backend can write into it where it lies.
        let old = match old {
            Some(buffer) if buffer.dims()[1] >= length - old_first => {
                let buffer = written(buffer, begin - old_first, new);
                let seen = seen(&buffer, old_first);
                return (buffer, seen, old_first);
            }
            old => old.filter(|_| begin > first),
        };
        let old = old.map(|old| old.narrow(1, first - old_first, begin - first));
        if length - first > limit {
            // More at once than the block will ever look at again.
            let all = Tensor::cat(old.into_iter().chain([new]).collect(), 1);
            let kept = length - limit / 2;
            let tail = all.clone().narrow(1, kept - first, length - kept);
            return (written(room_like(&tail, limit), 0, tail), all, kept);
        }
        let room = self.room.min(limit);
        // A first pass that fills all the room keeps what it got, without a copy.
        let buffer = match old {
            None if length - begin == room => new,
            None => written(room_like(&new, room), begin - first, new),
            Some(old) => {
                let buffer = written(room_like(&new, room), 0, old);
                written(buffer, begin - first, new)
            }
        };
        let seen = seen(&buffer, first);
        (buffer, seen, first)
    }
}

/// An empty buffer of `room` places for what is like `part`.
fn room_like(part: &Tensor<4>, room: usize) -> Tensor<4> {
    let [batch, _, groups, width] = part.dims();
    Tensor::zeros([batch, room, groups, width], (&part.device(), part.dtype()))
}

/// The buffer with `part` from the place `at` on.
fn written(buffer: Tensor<4>, at: usize, part: Tensor<4>) -> Tensor<4> {
    let [batch, length, groups, width] = part.dims();
    buffer.slice_assign([0..batch, at..at + length, 0..groups, 0..width], part)
}
