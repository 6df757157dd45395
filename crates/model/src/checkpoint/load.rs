//! From the tensors of the files to the parameters of a model.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use super::Checkpoint;
use super::decode::Decoder;
use super::dtype::Dtype;
use super::plan::{Plan, Slot};
use super::shard::Stream;
use crate::error::{ModelError, Result, escape};
use crate::head::Network;
use crate::weights::{self, Change};

/// The bytes that are read at once: few enough for the processor's cache, enough for all of its cores.
const PIECE: usize = 4 << 20;

/// How far the reading of weights has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// The bytes of weights that have been read and converted.
    pub done: u64,
    /// The bytes of all weights that the model takes from the files.
    pub total: u64,
}

/// Who hears how far the reading has come.
#[derive(Clone, Default)]
pub(super) struct Watch(pub(super) Option<Arc<dyn Fn(Loading) + Send + Sync>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch" } else { "-" })
    }
}

impl Checkpoint {
    /// Gives a model the weights of the files. What the files do not have stays lazy.
    pub(super) fn fill<M: Network>(&self, model: M) -> Result<M> {
        let plan = self.plan(&model)?;
        let stored = plan.slots.iter().filter(|slot| slot.stored.is_some());
        let total = stored.map(Slot::bytes).sum();
        let mut fill = Fill {
            checkpoint: self,
            plan: &plan,
            pending: BTreeMap::new(),
            buffers: [Vec::new(), Vec::new()],
            progress: Loading { done: 0, total },
            error: None,
        };
        let model = weights::map(model, &mut fill);
        match fill.error {
            Some(error) => Err(error),
            None => Ok(model),
        }
    }
}

struct Fill<'a> {
    checkpoint: &'a Checkpoint,
    plan: &'a Plan,
    /// Parameters whose tensor was read for one that came earlier.
    pending: BTreeMap<String, TensorData>,
    /// The bytes of a piece, and those of its copy.
    buffers: [Vec<u8>; 2],
    progress: Loading,
    error: Option<ModelError>,
}

impl Change for Fill<'_> {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        match self.data(path) {
            Ok(Some(data)) => weights::replace(param, data),
            Ok(None) => param,
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

impl<'a> Fill<'a> {
    fn data(&mut self, path: &str) -> Result<Option<TensorData>> {
        if let Some(data) = self.pending.remove(path) {
            return Ok(Some(data));
        }
        let plan = self.plan;
        let Some(&(number, _)) = plan.places.get(path) else {
            return Ok(None);
        };
        let slot = &plan.slots[number];
        let Some(stored) = slot.stored else {
            return Ok(None);
        };
        let (values, count) = self.values(number, slot, stored)?;
        if count > 0 && !self.checkpoint.options.allow_non_finite {
            let tensor = escape(&slot.name);
            return Err(ModelError::NonFiniteWeights { tensor, count });
        }
        let paths = slot.parts.iter().map(|part| part.path.clone());
        self.pending.extend(paths.zip(values));
        Ok(self.pending.remove(path))
    }

    /// Reads a tensor and what is declared to repeat it, piece by piece.
    fn values(
        &mut self,
        number: usize,
        slot: &'a Slot,
        stored: Dtype,
    ) -> Result<(Vec<TensorData>, usize)> {
        let Checkpoint {
            source, options, ..
        } = self.checkpoint;
        let mut stream = source.stream(&slot.name)?;
        let mut copies = self.copies(number, slot)?;
        let parts = slot.parts.iter();
        let parts = parts.map(|part| (part.window, part.shape.as_slice()));
        let mut decoder = Decoder::new(stored, parts, options.dtype.into());
        let row = decoder.row_bytes().max(1);
        let piece = PIECE.max(row) / row * row;
        let [buffer, other] = &mut self.buffers;
        let mut left = slot.bytes() as usize;
        while left > 0 {
            let length = left.min(piece);
            let bytes = room(buffer, length);
            stream.fill(bytes)?;
            for (name, copy) in &mut copies {
                let other = room(other, length);
                copy.fill(other)?;
                if bytes != other {
                    return Err(differs(name, slot));
                }
            }
            decoder.take(bytes);
            left -= length;
            self.progress.done += length as u64;
            if let Watch(Some(watch)) = &options.watch {
                watch(self.progress);
            }
        }
        stream.end()?;
        copies.into_iter().try_for_each(|(_, copy)| copy.end())?;
        Ok(decoder.finish())
    }

    /// The tensors that are declared to repeat this one, and must do so bit by bit.
    fn copies(&self, number: usize, slot: &Slot) -> Result<Vec<(&'a str, Stream<'a>)>> {
        let (checkpoint, plan) = (self.checkpoint, self.plan);
        let copies = plan.copies.iter().filter(|(_, of)| *of == number);
        copies
            .map(|(copy, _)| {
                let stored = checkpoint.source.tensor(copy);
                let alike = stored.is_some_and(|copy| {
                    Some(copy.dtype) == slot.stored && copy.shape == slot.shape
                });
                if !alike {
                    return Err(differs(copy, slot));
                }
                Ok((copy.as_str(), checkpoint.source.stream(copy)?))
            })
            .collect()
    }
}

fn differs(copy: &str, slot: &Slot) -> ModelError {
    let (tensor, tied_to) = (escape(copy), escape(&slot.name));
    ModelError::TiedMismatch { tensor, tied_to }
}

/// The beginning of a buffer that grows to the longest piece.
fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}
