//! What a checkpoint computes from given inputs, for comparison with another implementation.
//!
//!     cargo run --release --example parity -- --checkpoint FOLDER --inputs in.safetensors --output out.safetensors --gradients
//!
//! The inputs hold `input_ids`, `attention_mask`, `labels` (-100 where nothing is learned; floats for numbers and for
//! several classes at once) and, where the model takes them, `token_type_ids`, `decoder_input_ids` (without them, the
//! labels behind the start token), `decoder_attention_mask`, `perm_mask` and `target_mapping`.
//!
//! The output holds `logits`, `loss` (the mean that transformers reports), `grad.<name>` for every tensor of the
//! checkpoint, `curve` (the loss before each of N AdamW steps) and `greedy` (N tokens after the first row). `--save`
//! writes the model after these steps, so that others can open it.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use finetune::burn::module::Module;
use finetune::burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use finetune::data::Origin;
use finetune::model::blueprint::{Place, Predicts};
use finetune::model::generate::Autoregressive;
use finetune::model::{
    Discriminator, Head, MaskedLm, Network, Noise, Order, Seq2Seq, Targets, TokenClassifier,
    Tokens, lora, op, weights,
};
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
    /// The head: causal, classifier, token-classifier, masked, discriminator, seq2seq, or trunk for hidden states and
    /// their normalised means; without it the one of `config.json`.
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
        Some(name) => named(name)?,
    };
    let off = Noise::off();
    match head {
        Head::Causal => {
            let model = adapted(checkpoint.causal_lm(&device)?, &checkpoint, flags)?;
            let logits = |model: &CausalLm| model.logits(given.hidden(model, off));
            let loss = |model: &CausalLm, batch: &Given, noise| batch.token_loss(model, noise);
            let targets = given.aligned(&model);
            let mut out = measure(flags, &checkpoint, &model, &targets, logits, loss)?;
            if let Some(tokens) = flags.greedy {
                greedy(&model.valid(), &given, tokens, &mut out)?;
            }
            Ok(out)
        }
        Head::Classifier => {
            let labels = checkpoint.labels().len();
            let model = checkpoint.classifier(labels, &device)?;
            let model = adapted(model, &checkpoint, flags)?;
            let logits = |model: &Classifier| model.logits(&given.tokens, off);
            let problem = Problem::of(&checkpoint, &given)?;
            let given = problem.given(&given);
            let loss = |model: &Classifier, batch: &Given, noise| {
                problem.loss(model.logits(&batch.tokens, noise), batch)
            };
            measure(flags, &checkpoint, &model, &given, logits, loss)
        }
        Head::TokenClassifier => {
            let labels = checkpoint.labels().len();
            let model = checkpoint.token_classifier(labels, &device)?;
            let model = adapted(model, &checkpoint, flags)?;
            let logits = |model: &TokenClassifier| model.logits(&given.tokens, off);
            let loss = |model: &TokenClassifier, batch: &Given, noise| {
                op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
            };
            measure(flags, &checkpoint, &model, &given, logits, loss)
        }
        Head::Masked => {
            let model = adapted(checkpoint.masked_lm(&device)?, &checkpoint, flags)?;
            let logits = |model: &MaskedLm| model.logits(model.hidden(&given.tokens, off));
            let loss = |model: &MaskedLm, batch: &Given, noise| {
                op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
            };
            measure(flags, &checkpoint, &model, &given, logits, loss)
        }
        Head::Seq2Seq => {
            let model = adapted(checkpoint.seq2seq(&device)?, &checkpoint, flags)?;
            let answer = given.answer(&model, &checkpoint)?;
            let logits = |model: &Seq2Seq| {
                let memory = model.memory(&given.tokens, off);
                model.logits(model.decode(&answer, &memory, off, None))
            };
            let loss = |model: &Seq2Seq, batch: &Given, noise| {
                let log_probs = model.log_probs(&batch.tokens, &answer, &batch.targets, noise);
                op::sum(log_probs).neg()
            };
            let mut out = measure(flags, &checkpoint, &model, &given, logits, loss)?;
            if let Some(tokens) = flags.greedy {
                greedy(&model.valid(), &given, tokens, &mut out)?;
            }
            Ok(out)
        }
        Head::Discriminator => {
            let model = adapted(checkpoint.discriminator(&device)?, &checkpoint, flags)?;
            let logits = |model: &Discriminator| model.logits(&given.tokens, off);
            let loss = |model: &Discriminator, batch: &Given, noise| {
                op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
            };
            measure(flags, &checkpoint, &model, &given.on_text(), logits, loss)
        }
        Head::Trunk => {
            let trunk = checkpoint.trunk(&device)?;
            let (batch, length) = (given.tokens.batch(), given.tokens.length());
            let hidden = trunk.hidden(&given.tokens, off);
            let width = hidden.dims()[1];
            let vectors = trunk.embed(&given.tokens, Place::Mean, off);
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

/// The likeliest tokens after the first row's text.
fn greedy<M: Autoregressive>(
    model: &M,
    given: &Given,
    tokens: usize,
    out: &mut Output,
) -> Result<(), Box<dyn Error>> {
    let made = Generator::new(model)
        .new_tokens(tokens)
        .generate(&[given.first_row()])?;
    let ids: Vec<f32> = made[0].ids.iter().map(|id| *id as f32).collect();
    out.insert("greedy".to_owned(), (vec![ids.len()], ids));
    Ok(())
}

fn named(head: &str) -> Result<Head, Box<dyn Error>> {
    let heads = [
        Head::Causal,
        Head::Classifier,
        Head::TokenClassifier,
        Head::Masked,
        Head::Discriminator,
        Head::Seq2Seq,
        Head::Trunk,
    ];
    let found = heads.into_iter().find(|known| known.to_string() == head);
    found.ok_or_else(|| {
        let known = heads.map(|head| head.to_string()).join(", ");
        format!("--head {head}: expected one of {known}").into()
    })
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
    let shape = match M::HEAD {
        Head::Classifier | Head::Discriminator => vec![rows, width],
        _ => vec![given.tokens.batch(), rows / given.tokens.batch(), width],
    };
    out.insert(
        "logits".to_owned(),
        (shape, scores.into_data().iter::<f32>().collect()),
    );
    if given.targets() == 0 {
        return Ok(out);
    }
    let mean = loss(model, given, Noise::off()) / given.targets() as f64;
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

/// What a classifier is asked for, as transformers decides it: `problem_type`, or one output means a number, labels that
/// are whole mean one class, and others several at once.
#[derive(Clone, Copy)]
enum Problem {
    Regression,
    OneClass,
    SeveralClasses,
}

impl Problem {
    fn of(checkpoint: &Checkpoint, given: &Given) -> Result<Self, Box<dyn Error>> {
        let named = checkpoint.config().get("problem_type");
        match named.and_then(|name| name.as_str()) {
            Some("regression") => Ok(Self::Regression),
            Some("single_label_classification") => Ok(Self::OneClass),
            Some("multi_label_classification") => Ok(Self::SeveralClasses),
            Some(other) => Err(format!("problem_type {other} is not known").into()),
            None if checkpoint.labels().len() == 1 => Ok(Self::Regression),
            None if given.targets.is_empty() => Ok(Self::SeveralClasses),
            None => Ok(Self::OneClass),
        }
    }

    /// The labels as the problem takes them.
    fn given(self, given: &Given) -> Given {
        match self {
            Self::OneClass => given.clone(),
            Self::Regression | Self::SeveralClasses => Given {
                targets: Targets::default(),
                numbers: given.labels.clone(),
                ..given.clone()
            },
        }
    }

    /// The sum of the losses: of each row, or of each of its numbers.
    fn loss(self, scores: Tensor<2>, batch: &Given) -> Tensor<1> {
        let ([rows, labels], device) = (scores.dims(), scores.device());
        let numbers = || {
            let data = TensorData::new(batch.numbers.clone(), [rows, labels]);
            Tensor::<2>::from_data(data, &device)
        };
        let losses = match self {
            Self::Regression => (scores - numbers()).square(),
            Self::SeveralClasses => {
                let tail = scores.clone().abs().neg().exp().log1p();
                scores.clone().clamp_min(0.0) - scores * numbers() + tail
            }
            Self::OneClass => {
                let ids: Vec<i32> = batch.targets.ids.iter().map(|id| *id as i32).collect();
                let ids = TensorData::new(ids, [rows, 1]);
                let ids: Tensor<2, Int> = Tensor::from_data(ids, &device);
                log_softmax(scores, 1).gather(1, ids).neg()
            }
        };
        let count = losses.shape().num_elements();
        op::sum(losses.reshape([count]))
    }
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
    order: Order,
    ids: Vec<u32>,
    mask: Vec<bool>,
    /// The labels as they are.
    labels: Vec<f32>,
    /// How many of them a row has.
    labels_length: usize,
    /// What a decoder reads, where it is given, and its mask.
    decoder_ids: Option<(Vec<i64>, usize)>,
    decoder_mask: Option<Vec<bool>>,
    /// Those that are classes or tokens.
    targets: Targets,
    /// Those that are numbers.
    numbers: Vec<f32>,
}

impl Batch for Given {
    fn targets(&self) -> usize {
        self.targets.len() + self.numbers.len()
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
        let rows = |name: &str| -> Result<_, Box<dyn Error>> {
            let Ok(view) = file.tensor(name) else {
                return Ok(None);
            };
            let length = view.shape().last().copied().unwrap_or(1);
            Ok(Some((integers(&view)?, length)))
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
        let view = file.tensor("labels").ok();
        let labels_length = view.as_ref().and_then(|view| view.shape().last().copied());
        let labels = view.as_ref().map(floats).transpose()?.unwrap_or_default();
        let floats = |name: &str| {
            file.tensor(name)
                .ok()
                .map(|view| self::floats(&view))
                .transpose()
        };
        let mut order = Order::new(&tokens);
        if let Some(hidden) = floats("perm_mask")? {
            order = order.hiding(&hidden.iter().map(|one| *one > 0.0).collect::<Vec<_>>())?;
        }
        if let Some(asked) = floats("target_mapping")? {
            order = order.asking(&asked, &tokens)?;
        }
        let mut targets = Targets::default();
        if view.is_some_and(|view| view.dtype() != Dtype::F32) {
            let known = labels
                .iter()
                .enumerate()
                .filter(|(_, label)| **label >= 0.0);
            (targets.places, targets.ids) = known
                .map(|(place, label)| (place as u32, *label as u32))
                .unzip();
        }
        Ok(Self {
            tokens,
            order,
            ids,
            mask,
            labels,
            labels_length: labels_length.unwrap_or(1),
            decoder_ids: rows("decoder_input_ids")?,
            decoder_mask: numbers("decoder_attention_mask")?
                .map(|mask| mask.iter().map(|one| *one != 0).collect()),
            targets,
            numbers: Vec::new(),
        })
    }

    fn hidden(&self, model: &CausalLm, noise: Noise) -> Tensor<2> {
        match model.predicts() {
            Predicts::Next => model.hidden(&self.tokens, noise, None),
            Predicts::Own(_) => model.ordered(&self.tokens, &self.order, noise),
        }
    }

    /// The loss of a language model.
    fn token_loss(&self, model: &CausalLm, noise: Noise) -> Tensor<1> {
        let (tokens, targets) = (&self.tokens, &self.targets);
        let log_probs = match model.predicts() {
            Predicts::Next => model.log_probs(tokens, targets, noise),
            Predicts::Own(_) => model.ordered_log_probs(tokens, &self.order, targets, noise),
        };
        op::sum(log_probs).neg()
    }

    /// The labels at the places that predict them.
    fn aligned(&self, model: &CausalLm) -> Self {
        match model.predicts() {
            Predicts::Next => self.shifted(),
            Predicts::Own(_) => self.clone(),
        }
    }

    /// What the decoder reads: as given, or the labels behind the start token, padding where nothing is learned.
    fn answer(&self, model: &Seq2Seq, checkpoint: &Checkpoint) -> Result<Tokens, Box<dyn Error>> {
        let (ids, length) = if let Some((ids, length)) = &self.decoder_ids {
            (ids.clone(), *length)
        } else {
            let start = model
                .start()
                .ok_or("config.json names no decoder_start_token_id")?;
            let pad = checkpoint.config()["pad_token_id"].as_i64().unwrap_or(0);
            let shifted = self.labels.chunks(self.labels_length).flat_map(|row| {
                let before = &row[..row.len() - 1];
                let known = before
                    .iter()
                    .map(|id| if *id < 0.0 { pad } else { *id as i64 });
                let all = std::iter::once(i64::from(start)).chain(known);
                all.collect::<Vec<_>>()
            });
            (shifted.collect(), self.labels_length)
        };
        let ids: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
        let all = vec![true; ids.len()];
        let mask = self.decoder_mask.as_ref().unwrap_or(&all);
        Ok(Tokens::from_mask(
            &ids,
            mask,
            length,
            &self.tokens.ids.device(),
        )?)
    }

    /// A discriminator judges all text, and nothing else.
    fn on_text(&self) -> Self {
        let targets = self.targets.places.iter().zip(&self.targets.ids);
        let text = targets.filter(|(place, _)| self.mask[**place as usize]);
        let (places, ids) = text.map(|(place, id)| (*place, *id)).unzip();
        Self {
            targets: Targets { places, ids },
            ..self.clone()
        }
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

fn floats(view: &TensorView<'_>) -> Result<Vec<f32>, Box<dyn Error>> {
    if view.dtype() != Dtype::F32 {
        return Ok(integers(view)?
            .iter()
            .map(|number| *number as f32)
            .collect());
    }
    let number = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap_or_default());
    Ok(view.data().chunks_exact(4).map(number).collect())
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
