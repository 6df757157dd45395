//! A small model and its data for the tests of the loop.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use finetune_data::Origin;
use finetune_model::{Noise, op, weights};
use finetune_train::{Batch, Batches, Result};

/// A table, a norm's scale, a projection with a bias: each token predicts a class.
#[derive(Module, Debug)]
pub struct Tiny {
    pub table: Param<Tensor<2>>,
    pub scale: Param<Tensor<1>>,
    pub out: Param<Tensor<2>>,
    pub bias: Param<Tensor<1>>,
}

pub const CLASSES: usize = 5;

/// Numbers that are the same everywhere.
pub fn numbers(seed: u64, count: usize, size: f32) -> Vec<f32> {
    let noise = Noise::new(seed, 0, 0);
    (0..count as u64)
        .map(|at| (noise.uniform(at) - 0.5) * size)
        .collect()
}

impl Tiny {
    pub fn new(vocabulary: usize, width: usize) -> Self {
        let device = Device::default().autodiff();
        let param = |seed, shape: [usize; 2]| {
            let data = TensorData::new(numbers(seed, shape[0] * shape[1], 0.6), shape);
            Param::from_data(data, &device)
        };
        Self {
            table: param(1, [vocabulary, width]),
            scale: Param::from_data(TensorData::new(vec![1.0f32; width], [width]), &device),
            out: param(2, [width, CLASSES]),
            bias: Param::from_data(
                TensorData::new(numbers(3, CLASSES, 0.1), [CLASSES]),
                &device,
            ),
        }
    }

    /// The sum of the cross-entropies.
    pub fn loss(&self, batch: &Rows, noise: Noise) -> Tensor<1> {
        let count = batch.ids.len();
        let ints = |values: &[i32]| {
            Tensor::<1, Int>::from_data(
                TensorData::new(values.to_vec(), [count]),
                &Device::default(),
            )
        };
        let x = op::embed(self.table.val(), ints(&batch.ids));
        let x = op::dropout(x, 0.1, noise.site(1)) * self.scale.val().unsqueeze();
        let logits = x.matmul(self.out.val()) + self.bias.val().unsqueeze();
        let targets = ints(&batch.classes).reshape([count, 1]);
        op::sum(log_softmax(logits, 1).gather(1, targets).reshape([count])).neg()
    }
}

/// Tokens with a class each; some are no targets.
#[derive(Clone, Debug)]
pub struct Rows {
    pub ids: Vec<i32>,
    pub classes: Vec<i32>,
    pub origins: Vec<Origin>,
}

impl Batch for Rows {
    fn targets(&self) -> usize {
        self.ids.len()
    }

    fn tokens(&self) -> usize {
        self.ids.len()
    }

    fn origins(&self) -> Vec<Origin> {
        self.origins.clone()
    }
}

/// Micro-batches of changing sizes; every epoch begins elsewhere in the data.
#[derive(Clone, Debug)]
pub struct Data {
    pub sizes: Vec<usize>,
    pub vocabulary: usize,
    pub seed: u64,
    /// How many micro-batches were built, by all clones.
    pub built: Arc<AtomicUsize>,
}

impl Data {
    pub fn new(sizes: &[usize], vocabulary: usize) -> Self {
        Self {
            sizes: sizes.to_vec(),
            vocabulary,
            seed: 11,
            built: Arc::default(),
        }
    }

    fn batch(&self, epoch: u64, number: usize) -> Rows {
        self.built.fetch_add(1, Ordering::SeqCst);
        let start: usize = self.sizes[..number].iter().sum();
        let noise = Noise::new(self.seed, epoch, 0);
        let rows = (start..start + self.sizes[number]).map(|row| {
            let id = (noise.uniform(row as u64) * self.vocabulary as f32) as i32;
            (
                id,
                (id * 7 + 3) % CLASSES as i32,
                Origin::new("data.jsonl", row as u64 + 1),
            )
        });
        let mut batch = Rows {
            ids: Vec::new(),
            classes: Vec::new(),
            origins: Vec::new(),
        };
        for (id, class, origin) in rows {
            batch.ids.push(id);
            batch.classes.push(class);
            batch.origins.push(origin);
        }
        batch
    }
}

impl Batches<Rows> for Data {
    fn per_epoch(&self, _epoch: u64) -> u64 {
        self.sizes.len() as u64
    }

    fn epoch(&self, epoch: u64, from: u64) -> Box<dyn Iterator<Item = Result<Rows>> + '_> {
        let numbers = from as usize..self.sizes.len();
        Box::new(numbers.map(move |number| Ok(self.batch(epoch, number))))
    }

    fn fingerprint(&self) -> String {
        format!("{:?} {} {}", self.sizes, self.vocabulary, self.seed)
    }
}

/// The bytes of every parameter.
pub fn bytes(model: &impl Module) -> BTreeMap<String, Vec<u8>> {
    weights::values(model)
        .into_iter()
        .map(|(path, value)| (path, value.into_data().as_bytes().to_vec()))
        .collect()
}

/// The values of every parameter.
pub fn values(model: &impl Module) -> BTreeMap<String, Vec<f32>> {
    weights::values(model)
        .into_iter()
        .map(|(path, value)| (path, value.into_data().iter::<f32>().collect()))
        .collect()
}
