//! From the parameters of a model to a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use serde_json::{Value, json};

use super::dtype::Dtype;
use super::element;
use super::files::{self, Output};
use super::folder::{copy_side_files, replace_folder, write_json};
use super::header::{Header, Stored};
use super::plan::{Plan, Slot};
use super::source::INDEX;
use super::{CONFIG, Checkpoint, set_labels};
use crate::error::{ModelError, Result, escape};
use crate::head::{Head, Network};
use crate::weights;

/// Shape and values by the name of a tensor in the file.
pub type InFile = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

impl Checkpoint {
    /// Writes a model of this checkpoint into a folder that does not exist yet, or is empty.
    ///
    /// Every tensor gets the name, the type and the file that it came with; tensors that the model does not use are
    /// written as they were. Of the other files of the folder those come along that the weights cannot be used
    /// without: the tokenizer's, chat templates, `generation_config.json`, the licence; the base's card does not. The
    /// folder appears by one rename after everything in it is on the disk.
    ///
    /// # Errors
    /// When the folder holds something, the model has another shape than the checkpoint, a layer carries an adapter,
    /// a weight is NaN or infinite (or becomes so in the file's type), or the disk refuses.
    pub fn save<M: Network>(&self, model: &M, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        refuse_adapters(model)?;
        let labels = weights::declared(model)
            .into_iter()
            .find(|p| p.path == "head.weight");
        let labels = labels
            .filter(|_| M::HEAD.is_for_a_task())
            .map(|p| p.shape[1]);
        let saving = Saving {
            checkpoint: self,
            plan: self.plan(model)?,
            values: weights::values(model),
        };
        let config = self.config_for(M::HEAD, labels);
        replace_folder(folder, |temporary| {
            saving.write_weights(temporary)?;
            write_json(&temporary.join(CONFIG), &config)?;
            match self.folder() {
                Some(from) => copy_side_files(from, temporary),
                None => Ok(()),
            }
        })
    }

    /// Values of a model's parameters, such as their gradients, under the names and in the layout of the file.
    ///
    /// # Arguments
    /// - `values`: by the parameter's path, flattened, as [`weights::gradients`] gives them. A tensor of the file is left
    ///   out when one of its parameters is missing.
    ///
    /// # Returns
    /// For each name the shape and the values.
    ///
    /// # Errors
    /// When the model has another shape than the checkpoint, or a value cannot be read.
    pub fn in_file<M: Network>(
        &self,
        model: &M,
        values: BTreeMap<String, Tensor<1>>,
    ) -> Result<InFile> {
        let plan = self.plan(model)?;
        let saving = Saving {
            checkpoint: self,
            plan,
            values,
        };
        let known = |slot: &&Slot| {
            slot.parts
                .iter()
                .all(|part| saving.values.contains_key(&part.path))
        };
        let spell = |slot: &Slot| {
            let bytes = saving.bytes(slot, Dtype::F32)?.0;
            let values = bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok((slot.name.clone(), (slot.shape.clone(), values.collect())))
        };
        saving.plan.slots.iter().filter(known).map(spell).collect()
    }

    /// The configuration of a model with this head.
    fn config_for(&self, head: Head, labels: Option<usize>) -> Value {
        let mut config = self.config.clone();
        if self.head() != Some(head)
            && let Some(class) = self.architecture.class_of(head)
        {
            config["architectures"] = json!([class]);
        }
        if let Some(labels) = labels {
            let named = config.get("id2label").is_some_and(Value::is_object);
            if self.labels().len() != labels || !named {
                let names: Vec<String> = (0..labels).map(|n| format!("LABEL_{n}")).collect();
                set_labels(&mut config, names.iter().map(String::as_str));
            }
        }
        config
    }
}

fn refuse_adapters<M: Network>(model: &M) -> Result<()> {
    let declared = weights::declared(model);
    match declared
        .into_iter()
        .find(|parameter| parameter.path.contains(".lora."))
    {
        None => Ok(()),
        Some(parameter) => Err(ModelError::Parameter {
            path: parameter.path,
            why: "belongs to an adapter; save the adapter by itself, or merge it first".to_owned(),
        }),
    }
}

struct Saving<'a> {
    checkpoint: &'a Checkpoint,
    plan: Plan,
    values: BTreeMap<String, Tensor<1>>,
}

impl Saving<'_> {
    fn write_weights(&self, folder: &Path) -> Result<()> {
        let outputs = files::outputs(self.checkpoint, &self.plan)?;
        for output in &outputs {
            self.write_file(&folder.join(&output.name), output)?;
        }
        let index = self.checkpoint.source.index.as_ref();
        if index.is_some() || outputs.len() > 1 {
            write_json(&folder.join(INDEX), &files::index_of(index, &outputs))?;
        }
        Ok(())
    }

    fn write_file(&self, path: &Path, output: &Output) -> Result<()> {
        let slots: BTreeMap<&str, &Slot> = self.slots();
        let io = || ModelError::io(path, "write");
        let mut file = File::create(path).map_err(ModelError::io(path, "create"))?;
        let header = Header {
            tensors: output.tensors.clone(),
            metadata: output.metadata.clone(),
        };
        file.write_all(&header.write()).map_err(io())?;
        for tensor in &output.tensors {
            let bytes = match slots.get(tensor.name.as_str()) {
                Some(slot) => self.encode(slot, tensor)?,
                None => self.checkpoint.source.read(&tensor.name)?,
            };
            file.write_all(&bytes).map_err(io())?;
        }
        file.sync_all().map_err(io())
    }

    /// From a tensor's name to the parameters that it holds, copies included.
    fn slots(&self) -> BTreeMap<&str, &Slot> {
        let own = self
            .plan
            .slots
            .iter()
            .map(|slot| (slot.name.as_str(), slot));
        let copies = self.plan.copies.iter();
        own.chain(copies.map(|(name, slot)| (name.as_str(), &self.plan.slots[*slot])))
            .collect()
    }

    fn encode(&self, slot: &Slot, tensor: &Stored) -> Result<Vec<u8>> {
        let (bytes, count) = self.bytes(slot, tensor.dtype)?;
        if count > 0 && !self.checkpoint.options.allow_non_finite {
            let tensor = escape(&tensor.name);
            return Err(ModelError::NonFiniteWeights { tensor, count });
        }
        Ok(bytes)
    }

    /// The bytes of a tensor of the file, and how many of its values are not finite.
    fn bytes(&self, slot: &Slot, dtype: Dtype) -> Result<(Vec<u8>, usize)> {
        let mut parts = Vec::with_capacity(slot.parts.len());
        for part in &slot.parts {
            parts.push((part.window, self.value(&part.path)?));
        }
        Ok(element::encode(&parts, dtype))
    }

    fn value(&self, path: &str) -> Result<TensorData> {
        let wrong = |why: String| ModelError::Parameter {
            path: path.to_owned(),
            why,
        };
        let value = self
            .values
            .get(path)
            .ok_or_else(|| wrong("the model has no value".to_owned()))?;
        let data = value
            .clone()
            .try_into_data()
            .map_err(|error| wrong(error.to_string()))?;
        match data.dtype() {
            DType::F32 | DType::F16 | DType::BF16 => Ok(data),
            other => Err(wrong(format!(
                "has type {other:?}; expected F32, F16 or BF16"
            ))),
        }
    }
}
