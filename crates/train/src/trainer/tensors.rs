//! Between a model and the tensors of a checkpoint, by path.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use finetune_model::weights;
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainError};
use crate::optimizer::Moments;
use crate::resume::{Entry, Fill, Sink, Stored, Tensors, hex};

/// The trainable parameters of a model, to be written.
pub(super) fn weights_of<M: Module>(model: &M) -> Tensors<'static> {
    let mut values = weights::values(model);
    let (mut entries, mut tensors) = (Vec::new(), Vec::new());
    for parameter in weights::parameters(model)
        .into_iter()
        .filter(|parameter| parameter.trainable)
    {
        if let Some(tensor) = values.remove(&parameter.path) {
            entries.push(Entry {
                name: parameter.path,
                shape: parameter.shape,
                dtype: parameter.dtype,
            });
            tensors.push(tensor);
        }
    }
    (entries, fill(tensors))
}

/// The optimizer's state, to be written.
pub(super) fn moments_of(moments: &BTreeMap<String, Moments>) -> Tensors<'static> {
    let (mut entries, mut tensors) = (Vec::new(), Vec::new());
    for (path, moments) in moments {
        for (name, tensor) in [("first", &moments.first), ("second", &moments.second)] {
            entries.push(Entry {
                name: format!("{path}.{name}"),
                shape: tensor.dims().to_vec(),
                dtype: tensor.dtype(),
            });
            tensors.push(tensor.clone());
        }
    }
    (entries, fill(tensors))
}

/// Reads tensors from the device one at a time.
fn fill(tensors: Vec<Tensor<1>>) -> Fill<'static> {
    Box::new(move |sink: &mut Sink| {
        for tensor in tensors {
            sink.put(&data(tensor, "checkpoint")?)?;
        }
        Ok(())
    })
}

fn data(tensor: Tensor<1>, what: &str) -> Result<TensorData> {
    tensor.try_into_data().map_err(|error| TrainError::Device {
        what: what.to_owned(),
        why: error.to_string(),
    })
}

/// A model with the saved values of its trainable parameters, bit by bit.
pub(super) fn with_weights<M: Module>(model: M, mut stored: Stored) -> Result<M> {
    let mut shapes = Shapes::new("weights");
    for parameter in weights::parameters(&model)
        .into_iter()
        .filter(|parameter| parameter.trainable)
    {
        match stored.get(&parameter.path) {
            None => shapes.missing.push(parameter.path),
            Some(found) if found.dtype() != parameter.dtype => shapes.misshapen.push(format!(
                "{} (found {:?}, expected {:?})",
                parameter.path,
                found.dtype(),
                parameter.dtype
            )),
            Some(found) => {
                shapes.compare(&parameter.path, found.shape().as_slice(), &parameter.shape);
            }
        }
    }
    let known = weights::declared(&model);
    let is_known = |path: &String| known.iter().any(|parameter| parameter.path == *path);
    shapes.extra = stored
        .keys()
        .filter(|path| !is_known(path))
        .cloned()
        .collect();
    shapes.done()?;
    Ok(weights::update(
        model,
        &mut |path, value| match stored.remove(path) {
            Some(data) => flat(data, &value.device()),
            None => value,
        },
    ))
}

/// Saved numbers as a tensor of their own type.
fn flat(data: TensorData, device: &Device) -> Tensor<1> {
    let (bytes, shape, dtype) = data.into_parts();
    let count = shape.num_elements();
    Tensor::from_data(
        TensorData::from_bytes(bytes, [count], dtype),
        (device, dtype),
    )
}

pub(super) fn moments_from(
    mut stored: Stored,
    updates: &BTreeMap<String, u64>,
    device: &Device,
) -> Result<BTreeMap<String, Moments>> {
    let mut shapes = Shapes::new("moments");
    let mut moments = BTreeMap::new();
    for (path, updates) in updates {
        let mut take = |name: &str| {
            let name = format!("{path}.{name}");
            let found = stored.remove(&name);
            if found.is_none() {
                shapes.missing.push(name);
            }
            found
        };
        if let (Some(first), Some(second)) = (take("first"), take("second")) {
            let moment = Moments {
                first: flat(first, device),
                second: flat(second, device),
                updates: *updates,
            };
            moments.insert(path.clone(), moment);
        }
    }
    shapes.extra = stored.into_keys().collect();
    shapes.done()?;
    Ok(moments)
}

/// Checks that moments are those of this model's parameters, one for one.
pub(super) fn check_moments<M: Module>(
    model: &M,
    moments: &BTreeMap<String, Moments>,
) -> Result<()> {
    let mut shapes = Shapes::new("moments");
    shapes.extra = moments.keys().cloned().collect();
    for parameter in weights::parameters(model) {
        if let Some(found) = moments.get(&parameter.path) {
            shapes.extra.retain(|path| *path != parameter.path);
            let count = parameter.shape.iter().product::<usize>();
            shapes.compare(&parameter.path, &found.first.dims(), &[count]);
        }
    }
    shapes.done()
}

/// How saved tensors differ from the model's.
struct Shapes {
    what: &'static str,
    missing: Vec<String>,
    extra: Vec<String>,
    misshapen: Vec<String>,
}

impl Shapes {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            missing: Vec::new(),
            extra: Vec::new(),
            misshapen: Vec::new(),
        }
    }

    fn compare(&mut self, path: &str, found: &[usize], expected: &[usize]) {
        if found != expected {
            self.misshapen
                .push(format!("{path} (found {found:?}, expected {expected:?})"));
        }
    }

    fn done(self) -> Result<()> {
        if self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty() {
            return Ok(());
        }
        Err(TrainError::ParametersMismatch {
            what: self.what,
            missing: self.missing,
            extra: self.extra,
            misshapen: self.misshapen,
        })
    }
}

/// A fingerprint of the parameters that are not trained, and so not saved; empty when there are none.
pub(super) fn frozen<M: Module>(model: &M) -> Result<String> {
    let mut hash = Sha256::new();
    let mut values = weights::values(model);
    let mut any = false;
    for parameter in weights::parameters(model)
        .into_iter()
        .filter(|parameter| !parameter.trainable)
    {
        any = true;
        hash.update(format!(
            "{} {:?} {:?}\n",
            parameter.path, parameter.shape, parameter.dtype
        ));
        if let Some(value) = values.remove(&parameter.path) {
            hash.update(data(value, &parameter.path)?.as_bytes());
        }
    }
    Ok(if any {
        hex(&hash.finalize())
    } else {
        String::new()
    })
}
