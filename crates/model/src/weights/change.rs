//! Changes of single parameters.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use super::parameter;
use super::walk::{Change, flat};
use crate::error::{ModelError, Result};

pub(super) struct Update<'a> {
    pub(super) change: &'a mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>,
}

impl Change for Update<'_> {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.is_require_grad() {
            param.map(|tensor| renewed(tensor, |value| (self.change)(path, value)))
        } else {
            param
        }
    }
}

pub(super) struct MapValues<'a> {
    pub(super) change: &'a mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>,
}

impl Change for MapValues<'_> {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| renewed(tensor, |value| (self.change)(path, value)))
    }
}

/// A new leaf with another value, in the same autodiff context and trained or not as before.
fn renewed<const D: usize>(
    tensor: Tensor<D>,
    change: impl FnOnce(Tensor<1>) -> Tensor<1>,
) -> Tensor<D> {
    let (shape, trained) = (tensor.shape(), tensor.is_require_grad());
    let strategy = tensor.gradient_checkpointing_strategy();
    let new = change(flat(tensor.without_autodiff())).reshape::<D, _>(shape);
    // Lifting a tensor forgets how its graph recomputes, and burn refuses to mix two ways.
    let new = match strategy {
        Some(strategy) => new
            .autodiff()
            .with_gradient_checkpointing_strategy(strategy),
        None => new,
    };
    if trained { new.require_grad() } else { new }
}

pub(super) struct SetTrainable<'a> {
    pub(super) trainable: &'a mut dyn FnMut(&str) -> bool,
}

impl Change for SetTrainable<'_> {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad((self.trainable)(path))
    }
}

pub(super) struct Import<'a, E> {
    pub(super) give: &'a mut dyn FnMut(&str) -> Result<Option<TensorData>, E>,
    pub(super) error: Option<E>,
}

impl<E: From<ModelError>> Change for Import<'_, E> {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        match (self.give)(path).and_then(|data| checked(path, &param, data).map_err(E::from)) {
            Ok(data) => replace(param, data),
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

fn checked<const D: usize>(
    path: &str,
    param: &Param<Tensor<D>>,
    data: Option<TensorData>,
) -> Result<TensorData> {
    let expected = param.lazy_shape();
    match data {
        None => Err(parameter(path, "found no values for it")),
        Some(data) if *data.shape() != expected => {
            let why = format!(
                "found values of shape {:?}; expected {:?}",
                data.shape().as_slice(),
                expected.as_slice()
            );
            Err(parameter(path, why))
        }
        Some(data) => Ok(data),
    }
}

/// A parameter with new values, in their own type, on its device, trained or not as before.
pub(crate) fn replace<const D: usize>(
    param: Param<Tensor<D>>,
    data: TensorData,
) -> Param<Tensor<D>> {
    let (device, dtype, id) = (param.lazy_device(), data.dtype(), param.id);
    param.transform_for_load(Tensor::from_data(data, (&device, dtype)), id)
}
