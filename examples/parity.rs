//! What a checkpoint computes from given inputs, for comparison with another implementation.
//!
//!     cargo run --release --example parity -- --checkpoint FOLDER --inputs in.safetensors --output out.safetensors --gradients
//!
//! The inputs hold `input_ids`, `attention_mask`, `labels` (-100 where nothing is learned) and, where the model takes
//! them, `token_type_ids`. The output holds `logits`, `loss` (the mean that transformers reports), `grad.<name>` for
//! every tensor of the checkpoint, `curve` (the loss before each of N AdamW steps) and `greedy` (N tokens after the
//! first row). `--save` writes the model after these steps, so that others can open it.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use finetune::burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use finetune::data::Origin;
use finetune::model::{Head, Network, Noise, Pooling, Targets, Tokens, lora, op, weights};
use finetune::prelude::*;
use finetune::train::{Batch, Decay, Event, Result as TrainResult, Schedule};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// Compute logits, loss, gradients, a training curve and greedy tokens from given inputs.
#[derive(Parser)]
pub(crate) struct Flags {
    /// A Hugging Face folder.
    #[arg(long)]
    pub checkpoint: PathBuf,
    /// A folder in PEFT's layout; its adapter is attached.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// A new adapter, as JSON of `LoraConfig`: `{"rank": 3, "targets": "all-linear", "rslora": true}`.
    #[arg(long, conflicts_with = "adapter")]
    pub lora: Option<String>,
    /// A safetensors file.
    #[arg(long)]
    pub inputs: PathBuf,
    /// A safetensors file to write.
    #[arg(long)]
    pub output: PathBuf,
    /// The head: causal, classifier, masked, or trunk for hidden states and their normalised means; without it the one
    /// of `config.json`.
    #[arg(long)]
    pub head: Option<String>,
    /// Write the gradient of every tensor.
    #[arg(long)]
    pub gradients: bool,
    /// AdamW steps on this batch; betas 0.9 and 0.999, eps 1e-8.
    #[arg(long)]
    pub steps: Option<u64>,
    /// The learning rate of these steps.
    #[arg(long, default_value_t = 3e-3)]
    pub learning_rate: f64,
    /// Decay of tensors of rank 2 and more.
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// The largest global norm of the gradient; 0 for none.
    #[arg(long, default_value_t = 1.0)]
    pub clip: f64,
    /// A folder to write: the model after the steps, or its adapter alone where it has one.
    #[arg(long, requires = "steps")]
    pub save: Option<PathBuf>,
    /// Tokens to continue the first row with.
    #[arg(long)]
    pub greedy: Option<usize>,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    pub device: Option<String>,
}

/// Tensors to write: shape and values.
type Output = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    write(&flags.output, &run(&flags)?)
}

/// Everything that the flags ask for.
pub(crate) fn run(flags: &Flags) -> Result<Output, Box<dyn Error>> {
    let device = device(flags.device.as_deref())?.autodiff();
    let checkpoint = Checkpoint::open(&flags.checkpoint)?;
    let given = Given::read(&flags.inputs, &device)?;
    let head = match flags.head.as_deref() {
        None => checkpoint
            .head()
            .ok_or("config.json names no head that is known; give --head")?,
        Some("causal") => Head::Causal,
        Some("classifier") => Head::Classifier,
        Some("masked") => Head::Masked,
        Some("trunk") => Head::Trunk,
        Some(other) => {
            let known = "expected causal, classifier, masked or trunk";
            return Err(format!("--head {other}: {known}").into());
        }
    };
    let off = Noise::off();
    match head {
        Head::Causal => {
            let model = adapted(checkpoint.causal_lm(&device)?, &checkpoint, flags)?;
            let logits = |model: &CausalLm| model.logits(model.hidden(&given.tokens, off, None));
            let loss = |model: &CausalLm, batch: &Given, noise| {
                op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
            };
            let mut out = measure(flags, &checkpoint, &model, &given.shifted(), logits, loss)?;
            if let Some(tokens) = flags.greedy {
                use finetune::burn::module::Module;
                let model = model.valid();
                let made = Generator::new(&model)
                    .new_tokens(tokens)
                    .generate(&[given.first_row()])?;
                let ids: Vec<f32> = made[0].ids.iter().map(|id| *id as f32).collect();
                out.insert("greedy".to_owned(), (vec![ids.len()], ids));
            }
            Ok(out)
        }
        Head::Classifier => {
            let model = adapted(
                checkpoint.classifier(checkpoint.labels().len(), &device)?,
                &checkpoint,
                flags,
            )?;
            let logits = |model: &Classifier| model.logits(&given.tokens, off);
            let loss = |model: &Classifier, batch: &Given, noise| {
                let scores = log_softmax(model.logits(&batch.tokens, noise), 1);
                let ids: Vec<i32> = batch.targets.ids.iter().map(|id| *id as i32).collect();
                let ids: Tensor<2, Int> = Tensor::from_data(
                    TensorData::new(ids, [batch.targets.len(), 1]),
                    &scores.device(),
                );
                op::sum(scores.gather(1, ids).reshape([batch.targets.len()])).neg()
            };
            measure(flags, &checkpoint, &model, &given, logits, loss)
        }
        Head::Masked => {
            let model = adapted(checkpoint.masked_lm(&device)?, &checkpoint, flags)?;
            let logits =
                |model: &finetune::model::MaskedLm| model.logits(model.hidden(&given.tokens, off));
            let loss = |model: &finetune::model::MaskedLm, batch: &Given, noise| {
                op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
            };
            measure(flags, &checkpoint, &model, &given, logits, loss)
        }
        Head::Trunk => {
            let trunk = checkpoint.trunk(&device)?;
            let (batch, length) = (given.tokens.batch(), given.tokens.length());
            let hidden = trunk.hidden(&given.tokens, off);
            let width = hidden.dims()[1];
            let vectors = trunk.embed(&given.tokens, Pooling::Mean, off);
            let values = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect();
            let hidden = (vec![batch, length, width], values(hidden));
            let vectors = (vec![batch, width], values(vectors));
            Ok(Output::from([
                ("hidden".to_owned(), hidden),
                ("embeddings".to_owned(), vectors),
            ]))
        }
        other => Err(format!("{other} heads are not compared here").into()),
    }
}

fn adapted<M: Network>(
    model: M,
    checkpoint: &Checkpoint,
    flags: &Flags,
) -> Result<M, Box<dyn Error>> {
    let architecture = checkpoint.architecture();
    Ok(match (&flags.adapter, &flags.lora) {
        (Some(folder), _) => lora::load(model, architecture, folder)?,
        (None, Some(config)) => lora::attach(model, architecture, &serde_json::from_str(config)?)?,
        (None, None) => model,
    })
}

fn save<M: Network>(
    flags: &Flags,
    checkpoint: &Checkpoint,
    model: &M,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    if flags.adapter.is_none() && flags.lora.is_none() {
        return Ok(checkpoint.save(model, folder)?);
    }
    let base = flags.checkpoint.display().to_string();
    Ok(lora::save(model, checkpoint.architecture(), &base, folder)?)
}

fn measure<M: Network + 'static>(
    flags: &Flags,
    checkpoint: &Checkpoint,
    model: &M,
    given: &Given,
    logits: impl Fn(&M) -> Tensor<2>,
    loss: impl Fn(&M, &Given, Noise) -> Tensor<1>,
) -> Result<Output, Box<dyn Error>> {
    let mut out = Output::new();
    let scores = logits(model);
    let [rows, width] = scores.dims();
    let shape = if rows == given.tokens.batch() {
        vec![rows, width]
    } else {
        vec![given.tokens.batch(), given.tokens.length(), width]
    };
    out.insert(
        "logits".to_owned(),
        (shape, scores.into_data().iter::<f32>().collect()),
    );
    if given.targets.is_empty() {
        return Ok(out);
    }
    let mean = loss(model, given, Noise::off()) / given.targets.len() as f64;
    out.insert(
        "loss".to_owned(),
        (vec![], mean.to_data().iter::<f32>().collect()),
    );
    if flags.gradients {
        let gradients = weights::gradients(model, &mut mean.backward());
        let named = checkpoint.in_file(model, gradients)?;
        out.extend(
            named
                .into_iter()
                .map(|(name, gradient)| (format!("grad.{name}"), gradient)),
        );
    }
    if let Some(steps) = flags.steps {
        let (losses, trained) = curve(flags, steps, model.clone(), given, loss)?;
        out.insert("curve".to_owned(), (vec![losses.len()], losses));
        if let Some(folder) = &flags.save {
            save(flags, checkpoint, &trained, folder)?;
        }
    }
    Ok(out)
}

fn curve<M: Network + 'static>(
    flags: &Flags,
    steps: u64,
    model: M,
    given: &Given,
    loss: impl Fn(&M, &Given, Noise) -> Tensor<1>,
) -> TrainResult<(Vec<f32>, M)> {
    let mut config = TrainConfig {
        steps: Some(steps),
        ..TrainConfig::default()
    };
    config.schedule = Schedule {
        peak: flags.learning_rate,
        decay: Decay::Constant,
        ..Schedule::default()
    };
    config.optimizer.weight_decay = flags.weight_decay;
    config.optimizer.clip = flags.clip;
    let losses = Arc::new(Mutex::new(Vec::new()));
    let seen = losses.clone();
    let watch = move |event: &Event<'_>, _: &M| {
        if let (Event::Stepped(step), Ok(mut seen)) = (event, seen.lock()) {
            seen.push(step.loss as f32);
        }
        ControlFlow::Continue(())
    };
    let trained =
        Trainer::new(config)
            .observe(watch)
            .fit(model, &loss, &Again(given.clone()), None)?;
    let losses = losses
        .lock()
        .map(|losses| losses.clone())
        .unwrap_or_default();
    Ok((losses, trained.model))
}

/// The same batch in every epoch.
struct Again(Given);

impl Batches<Given> for Again {
    fn per_epoch(&self, _: u64) -> u64 {
        1
    }

    fn epoch(&self, _: u64, from: u64) -> Box<dyn Iterator<Item = TrainResult<Given>> + '_> {
        Box::new(std::iter::once(Ok(self.0.clone())).skip(from as usize))
    }
}

/// The inputs.
#[derive(Clone)]
struct Given {
    tokens: Tokens,
    ids: Vec<u32>,
    mask: Vec<bool>,
    targets: Targets,
}

impl Batch for Given {
    fn targets(&self) -> usize {
        self.targets.len()
    }

    fn tokens(&self) -> usize {
        self.mask.iter().filter(|one| **one).count()
    }

    fn origins(&self) -> Vec<Origin> {
        Vec::new()
    }
}

impl Given {
    fn read(path: &Path, device: &Device) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let numbers = |name: &str| {
            file.tensor(name)
                .ok()
                .map(|view| integers(&view))
                .transpose()
        };
        let ids = file.tensor("input_ids")?;
        let [_, length] = ids.shape() else {
            return Err(format!("input_ids is {:?}; expected [batch, length]", ids.shape()).into());
        };
        let length = *length;
        let ids: Vec<u32> = integers(&ids)?.iter().map(|id| *id as u32).collect();
        let mask = numbers("attention_mask")?.map_or(vec![true; ids.len()], |mask| {
            mask.iter().map(|one| *one != 0).collect()
        });
        let mut tokens = Tokens::from_mask(&ids, &mask, length, device)?;
        if let Some(kinds) = numbers("token_type_ids")? {
            tokens =
                tokens.with_kinds(&kinds.iter().map(|kind| *kind as u32).collect::<Vec<_>>())?;
        }
        let mut targets = Targets::default();
        for (place, label) in numbers("labels")?
            .unwrap_or_default()
            .iter()
            .enumerate()
            .filter(|(_, label)| **label >= 0)
        {
            targets.places.push(place as u32);
            targets.ids.push(*label as u32);
        }
        Ok(Self {
            tokens,
            ids,
            mask,
            targets,
        })
    }

    /// A causal model predicts each label from the place before it.
    fn shifted(&self) -> Self {
        let length = self.tokens.length() as u32;
        let kept = self
            .targets
            .places
            .iter()
            .zip(&self.targets.ids)
            .filter(|(place, _)| **place % length != 0);
        let (places, ids) = kept.map(|(place, id)| (place - 1, *id)).unzip();
        Self {
            targets: Targets { places, ids },
            ..self.clone()
        }
    }

    fn first_row(&self) -> Vec<u32> {
        let length = self.tokens.length();
        self.ids[..length]
            .iter()
            .zip(&self.mask)
            .filter(|(_, real)| **real)
            .map(|(id, _)| *id)
            .collect()
    }
}

fn integers(view: &TensorView<'_>) -> Result<Vec<i64>, Box<dyn Error>> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::I64 => Ok(bytes
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap_or_default()))
            .collect()),
        Dtype::I32 => Ok(bytes
            .chunks_exact(4)
            .map(|b| i64::from(i32::from_le_bytes(b.try_into().unwrap_or_default())))
            .collect()),
        Dtype::BOOL | Dtype::U8 => Ok(bytes.iter().map(|b| i64::from(*b)).collect()),
        other => Err(format!("found {other:?}; expected I64, I32 or BOOL").into()),
    }
}

/// Writes tensors as a safetensors file, all in f32 but for token ids.
pub(crate) fn write(path: &Path, tensors: &Output) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<(Dtype, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (_, values))| match name.as_str() {
            "greedy" => (
                Dtype::I64,
                values
                    .iter()
                    .flat_map(|id| (*id as i64).to_le_bytes())
                    .collect(),
            ),
            _ => (
                Dtype::F32,
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            ),
        })
        .collect();
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, (shape, _)), (dtype, bytes))| {
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    safetensors::serialize_to_file(views, None, path)?;
    Ok(())
}
