//! Between a run and its checkpoints.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use finetune_model::weights;
use sha2::{Digest, Sha256};

use super::run::Run;
use crate::batch::{Batch, Batches};
use crate::error::{Result, TrainError};
use crate::event::{Event, Outcome, Saved};
use crate::objective::Objective;
use crate::optimizer::Moments;
use crate::resume::{Contents, Entry, Fill, Identity, Loaded, Sink, Stored, Tensors, hex};

impl<M, B, O, T> Run<'_, M, B, O, T>
where
    M: Module,
    B: Batch,
    O: Objective<M, B>,
    T: Batches<B> + ?Sized,
{
    /// Writes a checkpoint of the run as it is and deletes older ones.
    pub(super) fn save(&mut self) -> Result<()> {
        // Without a folder too: what an observer could not write is told here.
        self.state.observers = self.save_observers()?;
        self.state.seconds = self.elapsed();
        let moments = self.optimizer.state();
        self.state.updates = moments
            .iter()
            .map(|(path, moments)| (path.clone(), moments.updates))
            .collect();
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let path = folder.save(Contents {
            state: self.state.clone(),
            weights: weights_of(self.model()),
            moments: moments_of(moments),
        })?;
        let best = self.state.best.filter(|_| self.config.validation.keep_best);
        folder.prune(self.config.checkpoint.keep, best.map(|best| best.step))?;
        self.saved = Some(self.state.step);
        let saved = Saved::new(self.state.step, &path);
        self.tell(&Event::Saved(&saved));
        Ok(())
    }

    /// Puts the run where a checkpoint was.
    pub(super) fn restore(&mut self, loaded: Loaded) -> Result<()> {
        let device = self.device();
        let moments = moments_from(loaded.moments, &loaded.state.updates, &device)?;
        let model = self
            .model
            .take()
            .expect("the model is back after every step");
        self.model = Some(with_weights(model, loaded.weights)?);
        self.check_moments(&moments)?;
        self.optimizer.restore(moments);
        self.state = loaded.state;
        Ok(())
    }

    /// What makes this run the same as a saved one.
    pub(super) fn identity(&self) -> Result<Identity> {
        let validation = self
            .validation
            .map(Batches::fingerprint)
            .unwrap_or_default();
        Ok(Identity::new(
            &self.config,
            self.train.fingerprint(),
            validation,
            frozen(self.model())?,
            &format!("{:?}", self.device()),
        ))
    }

    pub(super) fn restore_observers(&mut self) -> Result<()> {
        let mut saved = self.state.observers.clone();
        for observer in &mut self.observers {
            // By name, and in order where several have the same.
            let at = saved.iter().position(|(name, _)| name == observer.name());
            let state = at.map(|at| saved.remove(at).1);
            observer.restore(state.as_ref())?;
        }
        Ok(())
    }

    /// The model to return and the step it is from.
    pub(super) fn take_model(&mut self) -> Result<(M, u64)> {
        let model = self
            .model
            .take()
            .expect("the model is back after every step");
        let last = self.state.step;
        let wanted =
            self.config.validation.keep_best && self.state.outcome != Some(Outcome::Interrupted);
        let Some(best) = self.state.best.filter(|best| wanted && best.step != last) else {
            return Ok((model, last));
        };
        if let Some(kept) = self.best.take() {
            return Ok((kept, best.step));
        }
        let Some(folder) = &self.folder else {
            return Ok((model, last));
        };
        match folder.load(best.step, &mut |_| {}) {
            Ok(loaded) => Ok((with_weights(model, loaded.weights)?, best.step)),
            Err(error @ TrainError::CheckpointInvalid { .. }) => {
                let warning = format!("{error}; the best model is lost, this is the last one");
                self.model = Some(model);
                self.tell(&Event::Warned(&warning));
                Ok((self.model.take().expect("it was just put there"), last))
            }
            Err(error) => Err(error),
        }
    }

    fn save_observers(&mut self) -> Result<Vec<(String, serde_json::Value)>> {
        let each = self.observers.iter_mut();
        each.map(|observer| Ok((observer.name().to_owned(), observer.save()?)))
            .collect()
    }

    fn device(&self) -> burn::tensor::Device {
        let device = self
            .model()
            .devices()
            .into_iter()
            .next()
            .unwrap_or_default();
        device.without_autodiff()
    }

    /// The moments are those of this model's trainable parameters, one for one.
    fn check_moments(&self, moments: &BTreeMap<String, Moments>) -> Result<()> {
        let mut shapes = Shapes::new("moments");
        let mut extra: Vec<String> = moments.keys().cloned().collect();
        for parameter in weights::parameters(self.model()) {
            if let Some(found) = moments.get(&parameter.path) {
                extra.retain(|path| *path != parameter.path);
                let count = parameter.shape.iter().product::<usize>();
                shapes.compare(&parameter.path, &found.first.dims(), &[count]);
            }
        }
        shapes.extra = extra;
        shapes.done()
    }
}

/// The trainable parameters of a model, to be written.
fn weights_of<M: Module>(model: &M) -> Tensors<'static> {
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
fn moments_of(moments: &BTreeMap<String, Moments>) -> Tensors<'static> {
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
fn with_weights<M: Module>(model: M, mut stored: Stored) -> Result<M> {
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
fn flat(data: TensorData, device: &burn::tensor::Device) -> Tensor<1> {
    let (bytes, shape, dtype) = data.into_parts();
    let count = shape.num_elements();
    Tensor::from_data(
        TensorData::from_bytes(bytes, [count], dtype),
        (device, dtype),
    )
}

fn moments_from(
    mut stored: Stored,
    updates: &BTreeMap<String, u64>,
    device: &burn::tensor::Device,
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
fn frozen<M: Module>(model: &M) -> Result<String> {
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
