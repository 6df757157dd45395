//! Keys and values of what was read before.

use burn::tensor::{Int, Tensor};

use crate::tokens::{Tokens, int_tensor};

/// Keys and values of every place that was read, one pair per block.
///
/// It lies outside the layers and is passed in. Room grows by doubling, so that adding one token copies nothing but
/// the token on most steps; where the end is known, [`Cache::with_room`] takes all of it at once.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    layers: Vec<Option<Kept>>,
    length: usize,
    room: usize,
}

/// One block's keys and values, `[batch, room, groups, head_width]` each; only the first places are filled.
#[derive(Debug, Clone)]
struct Kept {
    key: Tensor<4>,
    value: Tensor<4>,
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

    /// Forgets everything after the first `length` places.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Prepares a pass that reads `tokens`.
    ///
    /// # Panics
    /// When the tokens do not continue what is kept.
    pub(crate) fn begin(&mut self, tokens: &Tokens, depth: usize) {
        assert_eq!(
            tokens.past, self.length,
            "the tokens continue {} places, the cache holds {}",
            tokens.past, self.length
        );
        self.layers.resize_with(depth, || None);
        self.length += tokens.length();
        if self.room < self.length {
            self.room = self.length.max(2 * self.room);
        }
    }

    /// The place of one block in this pass.
    pub(crate) fn layer(&mut self, number: usize) -> LayerCache<'_> {
        LayerCache {
            kept: &mut self.layers[number],
            length: self.length,
            room: self.room,
        }
    }
}

/// One block's part of the cache during a pass.
pub(crate) struct LayerCache<'a> {
    kept: &'a mut Option<Kept>,
    /// Places that are filled when this pass is over.
    length: usize,
    room: usize,
}

impl LayerCache<'_> {
    /// Adds the keys and values of this pass, `[batch, length, groups, head_width]`, and returns those of all places.
    pub(crate) fn extend(self, key: Tensor<4>, value: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let begin = self.length - key.dims()[1];
        let (old_key, old_value) = match self.kept.take() {
            Some(Kept { key, value }) => (Some(key), Some(value)),
            None => (None, None),
        };
        // A first pass that fills all the room keeps what it got, without a copy.
        let key = put(old_key, key, begin, self.room);
        let value = put(old_value, value, begin, self.room);
        let all = (filled(&key, self.length), filled(&value, self.length));
        *self.kept = Some(Kept { key, value });
        all
    }
}

/// Writes `new` at `begin` into a buffer of `room` places that keeps what `old` holds before.
fn put(old: Option<Tensor<4>>, new: Tensor<4>, begin: usize, room: usize) -> Tensor<4> {
    let [batch, length, groups, width] = new.dims();
    if begin == 0 && length == room {
        return new;
    }
    let buffer = match old {
        Some(old) if old.dims()[1] >= begin + length => old,
        old => {
            let empty = Tensor::zeros([batch, room, groups, width], (&new.device(), new.dtype()));
            match old {
                Some(old) if begin > 0 => {
                    let old = old.narrow(1, 0, begin);
                    empty.slice_assign([0..batch, 0..begin, 0..groups, 0..width], old)
                }
                _ => empty,
            }
        }
    };
    buffer.slice_assign([0..batch, begin..begin + length, 0..groups, 0..width], new)
}

fn filled(buffer: &Tensor<4>, length: usize) -> Tensor<4> {
    if buffer.dims()[1] == length {
        buffer.clone()
    } else {
        buffer.clone().narrow(1, 0, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Convention;
    use burn::tensor::{Device, TensorData};

    fn tokens(past: usize, length: usize) -> Tokens {
        let device = Device::default();
        let ids = Tensor::zeros([2, length], &device);
        Tokens {
            ids,
            kinds: None,
            spans: vec![Vec::new(); 2].into(),
            past,
            convention: Convention::Documents,
        }
    }

    fn numbers(from: usize, length: usize) -> Tensor<4> {
        let row = |start: usize| (start..start + length).map(|i| i as f32);
        let values: Vec<f32> = row(from).chain(row(100 + from)).collect();
        Tensor::from_data(
            TensorData::new(values, [2, length, 1, 1]),
            &Device::default(),
        )
    }

    fn read(tensor: &Tensor<4>) -> Vec<f32> {
        tensor.to_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn growing_step_by_step_keeps_every_place() {
        for room in [0, 3, 64] {
            let mut cache = Cache::with_room(room);
            let mut length = 0;
            for step in [3, 1, 1, 2, 1, 1, 1] {
                cache.begin(&tokens(length, step), 1);
                let (key, value) = cache
                    .layer(0)
                    .extend(numbers(length, step), numbers(length, step) * 2.0);
                length += step;
                assert_eq!(read(&key), read(&numbers(0, length)), "room {room}");
                assert_eq!(read(&value), read(&(numbers(0, length) * 2.0)));
            }
            assert_eq!(cache.len(), length);
        }
    }

    #[test]
    fn rows_can_leave_and_places_be_forgotten() {
        let mut cache = Cache::new();
        cache.begin(&tokens(0, 4), 1);
        let _ = cache.layer(0).extend(numbers(0, 4), numbers(0, 4));
        cache.truncate(2);
        cache.select(&[1]);
        let mut next = tokens(2, 1);
        next.ids = Tensor::zeros([1, 1], &Device::default());
        cache.begin(&next, 1);
        let new = numbers(7, 1).narrow(0, 0, 1);
        let (key, _) = cache.layer(0).extend(new.clone(), new);
        assert_eq!(read(&key), [100.0, 101.0, 7.0]);
    }
}
