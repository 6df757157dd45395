//! From the tensors of the files to the parameters of a model.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{DType, Tensor, TensorData};

use super::Checkpoint;
use super::element;
use super::plan::{Plan, Slot};
use crate::error::{ModelError, Result, escape};
use crate::head::Network;
use crate::weights::{self, Change};

impl Checkpoint {
    /// Gives a model the weights of the files. What the files do not have stays lazy.
    pub(super) fn fill<M: Network>(&self, model: M) -> Result<M> {
        let plan = self.plan(&model)?;
        let mut fill = Fill {
            checkpoint: self,
            plan,
            pending: BTreeMap::new(),
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
    plan: Plan,
    /// Parameters whose tensor was read for one that came earlier.
    pending: BTreeMap<String, TensorData>,
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

impl Fill<'_> {
    fn data(&mut self, path: &str) -> Result<Option<TensorData>> {
        if let Some(data) = self.pending.remove(path) {
            return Ok(Some(data));
        }
        let Some(&(number, _)) = self.plan.places.get(path) else {
            return Ok(None);
        };
        let slot = &self.plan.slots[number];
        let Some(stored) = slot.stored else {
            return Ok(None);
        };
        let bytes = self.checkpoint.source.read(&slot.name)?;
        self.check_copies(number, slot, &bytes)?;
        let dtype: DType = self.checkpoint.options.dtype.into();
        let mut count = 0;
        for part in &slot.parts {
            let (data, wrong) = element::decode(&bytes, stored, part.window, &part.shape, dtype);
            count += wrong;
            self.pending.insert(part.path.clone(), data);
        }
        if count > 0 && !self.checkpoint.options.allow_non_finite {
            let tensor = escape(&slot.name);
            return Err(ModelError::NonFiniteWeights { tensor, count });
        }
        Ok(self.pending.remove(path))
    }

    /// A tensor that is declared to repeat this one must do so, bit by bit.
    fn check_copies(&self, number: usize, slot: &Slot, bytes: &[u8]) -> Result<()> {
        for (copy, _) in self.plan.copies.iter().filter(|(_, of)| *of == number) {
            let same = self
                .checkpoint
                .source
                .tensor(copy)
                .map(|stored| stored.dtype)
                == slot.stored
                && self.checkpoint.source.read(copy)? == bytes;
            if !same {
                let (tensor, tied_to) = (escape(copy), escape(&slot.name));
                return Err(ModelError::TiedMismatch { tensor, tied_to });
            }
        }
        Ok(())
    }
}
