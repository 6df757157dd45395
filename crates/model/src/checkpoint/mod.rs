//! A folder as Hugging Face's libraries write it: `config.json`, `model.safetensors` or several of them with an index,
//! and files that other tools read.
//!
//! Opening a checkpoint reads and checks the configuration and the headers of the weight files. Weights are read when
//! a model is built: each tensor once, by position, piece by piece, straight into the type that the model will have, so
//! that loading takes the memory of the model and a few megabytes. Saving writes every tensor back under the name, in
//! the type and in the file it came from, those that no model uses included.

mod build;
mod decode;
mod dtype;
pub(crate) mod element;
mod files;
pub(crate) mod floats;
mod folder;
mod header;
pub(crate) mod json;
mod load;
pub mod names;
pub(crate) mod place;
pub(crate) mod plan;
mod save;
mod shard;
mod source;
mod stamp;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::FloatDType;
use serde_json::{Value, json};

use crate::blueprint::Blueprint;
use crate::error::Result;
use crate::family::{Architecture, Families};
use crate::generate::{self, Settings};
use crate::head::Head;

pub use load::Loading;
pub use save::InFile;

use load::Watch;
use names::Names;
use source::Source;

/// The name of the configuration's file.
const CONFIG: &str = "config.json";
/// The longest configuration that is read, in bytes.
const LONGEST_CONFIG: u64 = 16 << 20;

/// A checkpoint: a configuration, and the weights that lie beside it or are still to be made.
///
/// ```no_run
/// use burn::tensor::Device;
/// use finetune_model::{Checkpoint, Noise, Tokens};
///
/// let device = Device::default();
/// let checkpoint = Checkpoint::open("models/small")?;
/// let model = checkpoint.causal_lm(&device)?;
/// let tokens = Tokens::single(&[1, 2, 3], &device)?;
/// let logits = model.logits(model.hidden(&tokens, Noise::off(), None));
/// checkpoint.save(&model, "models/copy")?;
/// # Ok::<(), finetune_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoint {
    folder: Option<PathBuf>,
    config: Value,
    architecture: Architecture,
    source: Source,
    options: Options,
    notes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Options {
    seed: u64,
    dtype: FloatDType,
    keep_unknown: bool,
    allow_non_finite: bool,
    shard: Option<u64>,
    watch: Watch,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            dtype: FloatDType::F32,
            keep_unknown: false,
            allow_non_finite: false,
            shard: None,
            watch: Watch::default(),
        }
    }
}

impl Checkpoint {
    /// Opens a folder; reads its configuration and the headers of its weight files.
    ///
    /// # Errors
    /// When a file is missing, damaged or of another format, the `model_type` is not known, or a setting is not
    /// implemented.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(folder, &Families::default())
    }

    /// Opens a folder with a list of families of one's own.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_with(folder: impl AsRef<Path>, families: &Families) -> Result<Self> {
        let folder = folder.as_ref();
        let path = place::inside(folder, CONFIG)?;
        let config = json::read(&path, LONGEST_CONFIG)?;
        let mut checkpoint = Self::create_with(config, 0, families)?;
        checkpoint.source = Source::open(folder)?;
        // Now, and not after the hours of a training.
        folder::side_files(folder)?;
        checkpoint.folder = Some(folder.to_owned());
        Ok(checkpoint)
    }

    /// A checkpoint without weights, for training from the beginning.
    ///
    /// # Arguments
    /// - `config`: what `config.json` would hold
    /// - `seed`: of the random weights; the same seed gives the same ones on every device
    ///
    /// # Errors
    /// When the `model_type` is not known, or a setting cannot be or is not implemented.
    pub fn create(config: Value, seed: u64) -> Result<Self> {
        Self::create_with(config, seed, &Families::default())
    }

    /// A checkpoint without weights, with a list of families of one's own.
    ///
    /// # Errors
    /// As [`Checkpoint::create`].
    pub fn create_with(config: Value, seed: u64, families: &Families) -> Result<Self> {
        let architecture = families.architecture(&config)?;
        let mut notes = Vec::new();
        if config.get("auto_map").is_some() {
            notes.push("config.json: auto_map names code of its own; it is not run".to_owned());
        }
        Ok(Self {
            folder: None,
            config,
            architecture,
            source: Source::default(),
            options: Options {
                seed,
                ..Options::default()
            },
            notes,
        })
    }

    /// The same, with models whose parameters have another type than `f32`.
    pub fn with_dtype(mut self, dtype: FloatDType) -> Self {
        self.options.dtype = dtype;
        self
    }

    /// The same, with another seed for what is new: all weights of a new checkpoint, or a classifier's head.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// The same, keeping tensors that the family does not know instead of refusing them.
    pub fn keep_unknown(mut self) -> Self {
        self.options.keep_unknown = true;
        self
    }

    /// The same, accepting weights that are NaN or infinite.
    pub fn allow_non_finite(mut self) -> Self {
        self.options.allow_non_finite = true;
        self
    }

    /// The same, writing weights that have no file yet into files of at most so many bytes each; a tensor that is
    /// larger gets a file of its own.
    pub fn with_shards(mut self, bytes: u64) -> Self {
        self.options.shard = Some(bytes);
        self
    }

    /// The same, telling how far the weights have been read, about every four megabytes.
    ///
    /// The function is called by the thread that builds the model, which waits for it.
    pub fn watch(mut self, each: impl Fn(Loading) + Send + Sync + 'static) -> Self {
        self.options.watch = Watch(Some(Arc::new(each)));
        self
    }

    /// The same with classes of one's own; a head for another number of classes has to be trained anew.
    pub fn with_labels<S: AsRef<str>>(mut self, labels: &[S]) -> Self {
        set_labels(&mut self.config, labels.iter().map(AsRef::as_ref));
        let heads = &mut self.architecture.heads;
        if let Some(head) = &mut heads.classifier {
            head.labels = labels.len();
        }
        if let Some(head) = &mut heads.token_classifier {
            head.labels = labels.len();
        }
        self
    }

    /// The same with classes of one's own of which any number may hold for a row: `config.json` then says so
    /// (`problem_type`), and transformers reads every output as the odds of its class.
    pub fn with_label_sets<S: AsRef<str>>(self, labels: &[S]) -> Self {
        let mut checkpoint = self.with_labels(labels);
        checkpoint.config["problem_type"] = json!("multi_label_classification");
        checkpoint
    }

    /// What `config.json` holds.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// What the configuration leads to.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The plan of the trunk.
    pub fn blueprint(&self) -> &Blueprint {
        &self.architecture.blueprint
    }

    /// What the tensors are called.
    pub fn names(&self) -> &Names {
        &self.architecture.names
    }

    /// Where the checkpoint was opened; `None` for a new one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The head that the weights were saved with, as `architectures` says.
    pub fn head(&self) -> Option<Head> {
        let classes = self.config.get("architectures")?.as_array()?;
        let known = |class: &Value| self.architecture.head_of(class.as_str()?);
        classes.iter().find_map(known)
    }

    /// The names of the classes, in the order of their numbers.
    pub fn labels(&self) -> Vec<String> {
        let heads = &self.architecture.heads;
        let of_texts = heads.classifier.map(|head| head.labels);
        let of_tokens = heads.token_classifier.map(|head| head.labels);
        let count = of_texts.or(of_tokens).unwrap_or(0);
        let named = self.config.get("id2label");
        let name = |number: usize| {
            let name = named.and_then(|names| names.get(number.to_string())?.as_str());
            name.map_or_else(|| format!("LABEL_{number}"), ToOwned::to_owned)
        };
        (0..count).map(name).collect()
    }

    /// How the model's makers want it to write: what `generation_config.json` says, or, where the folder has none, the
    /// tokens that `config.json` names.
    ///
    /// # Errors
    /// When the file is not JSON, holds a value that cannot be, or asks for something that is not implemented.
    pub fn generation(&self) -> Result<Settings> {
        self.generation_with([])
    }

    /// The same with other values for some of the file's fields.
    ///
    /// # Errors
    /// As [`Self::generation`].
    pub fn generation_with(
        &self,
        changes: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<Settings> {
        generate::settings::of_folder(self.folder.as_deref(), &self.config, changes)
    }

    /// What was noticed while opening and is no error.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The folder, for errors.
    fn place(&self) -> &Path {
        self.folder().unwrap_or(Path::new("(new checkpoint)"))
    }
}

fn set_labels<'a>(config: &mut Value, labels: impl Iterator<Item = &'a str>) {
    let (mut by_number, mut by_name) = (serde_json::Map::new(), serde_json::Map::new());
    for (number, label) in labels.enumerate() {
        by_number.insert(number.to_string(), json!(label));
        by_name.insert(label.to_owned(), json!(number));
    }
    config["id2label"] = Value::Object(by_number);
    config["label2id"] = Value::Object(by_name);
}
