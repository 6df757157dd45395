use std::sync::Arc;

use burn::tensor::Tensor;
use finetune_model::noise::Noise;
use finetune_model::op::{self, Form, Mask, Score};
use finetune_model::tokens::Span;
use proptest::prelude::*;

use crate::agree::{agree, devices, distance, flat, run, values, wave};
use crate::composed;

#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    queries: usize,
    past: usize,
    groups: usize,
    kv_heads: usize,
    width: usize,
    out: usize,
    causal: bool,
    window: Option<usize>,
    /// For each row of the batch the cuts between spans; what lies before the first and after the last is padding.
    cuts: Option<Vec<Vec<u32>>>,
    /// Whether spans continue others.
    branched: bool,
    dropout: f64,
    form: Bend,
    /// Heads before positions in memory.
    strided: bool,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Bend {
    None,
    Cap,
    Slopes,
    /// A number for each score, the same for all rows of the batch or not.
    Added {
        shared: bool,
    },
}

impl Case {
    /// `added` is what [`Bend::Added`] adds.
    fn score(&self, added: &Tensor<1>) -> Score {
        let slope = |head| 0.4 / (head as f32 + 1.5);
        let form = match self.form {
            Bend::None => Form::Plain,
            Bend::Cap => Form::Capped(1.3),
            Bend::Slopes => Form::Falling((0..self.groups * self.kv_heads).map(slope).collect()),
            Bend::Added { .. } => Form::Added(added.clone().reshape(self.added())),
        };
        Score { scale: 0.7, form }
    }

    fn added(&self) -> [usize; 4] {
        let batch = match self.form {
            Bend::Added { shared: false } => self.batch,
            _ => 1,
        };
        let keys = self.past + self.queries;
        [batch, self.groups * self.kv_heads, self.queries, keys]
    }

    fn mask(&self) -> Mask {
        let spans: Arc<[Vec<Span>]> = self
            .cuts
            .iter()
            .flatten()
            .map(|cuts| {
                let mut cuts = cuts.clone();
                cuts.sort_unstable();
                cuts.windows(2)
                    .filter(|pair| pair[0] < pair[1])
                    .map(|pair| Span {
                        after: (self.branched && pair[0] > 0).then_some(pair[0] / 2),
                        ..Span::new(pair[0], pair[1])
                    })
                    .collect()
            })
            .collect();
        Mask {
            causal: self.causal,
            window: self.window,
            spans,
            past: self.past,
            ..Mask::default()
        }
    }

    fn tensor(&self, x: &Tensor<1>, length: usize, heads: usize, width: usize) -> Tensor<4> {
        if self.strided {
            let x = x.clone().reshape([self.batch, heads, length, width]);
            x.swap_dims(1, 2)
        } else {
            x.clone().reshape([self.batch, length, heads, width])
        }
    }

    fn apply(
        &self,
        f: fn(Tensor<4>, Tensor<4>, Tensor<4>, &Mask, &Score, f64, Noise) -> Tensor<4>,
        x: &[Tensor<1>],
    ) -> Tensor<1> {
        let keys = self.past + self.queries;
        let q = self.tensor(&x[0], self.queries, self.groups * self.kv_heads, self.width);
        let k = self.tensor(&x[1], keys, self.kv_heads, self.width);
        let v = self.tensor(&x[2], keys, self.kv_heads, self.out);
        let noise = Noise::new(self.seed, 1, 2).site(3);
        let y = f(
            q * 2.0,
            k,
            v,
            &self.mask(),
            &self.score(x.last().unwrap()),
            self.dropout,
            noise,
        );
        let count = y.shape().num_elements();
        y.reshape([count])
    }

    fn inputs(&self) -> Vec<Vec<f32>> {
        let keys = self.past + self.queries;
        let heads = self.groups * self.kv_heads;
        let mut inputs = vec![
            wave(self.batch * self.queries * heads * self.width, self.seed),
            wave(
                self.batch * keys * self.kv_heads * self.width,
                self.seed + 1,
            ),
            wave(self.batch * keys * self.kv_heads * self.out, self.seed + 2),
        ];
        if let Bend::Added { .. } = self.form {
            inputs.push(wave(self.added().iter().product(), self.seed + 3));
        }
        inputs
    }

    fn check(&self) {
        agree(
            |x| self.apply(op::attention, x),
            |x| self.apply(composed::attention, x),
            &self.inputs(),
            1e-5,
        );
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (1usize..3, 1usize..90, 0usize..80, 1usize..4, 1usize..3);
    let widths = (1usize..20, 1usize..20);
    let form = prop::sample::select(vec![
        Bend::None,
        Bend::Cap,
        Bend::Slopes,
        Bend::Added { shared: true },
        Bend::Added { shared: false },
    ]);
    (shape, widths, any::<[bool; 5]>(), form, 0u64..1000).prop_flat_map(
        |((batch, queries, past, groups, kv_heads), (width, out), flags, form, seed)| {
            let [causal, windowed, dropped, strided, branched] = flags;
            let keys = past + queries;
            let cut = prop::collection::vec(0..=keys as u32, 0..5);
            let cuts = prop::option::of(prop::collection::vec(cut, batch..=batch));
            (cuts, 1..=keys).prop_map(move |(cuts, window)| Case {
                batch,
                queries,
                past,
                groups,
                kv_heads,
                width,
                out,
                causal,
                window: windowed.then_some(window),
                cuts,
                branched,
                dropout: if dropped { 0.3 } else { 0.0 },
                form,
                strided,
                seed,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees(case in cases()) {
        case.check();
    }
}

#[test]
fn long_rows_agree() {
    let case = Case {
        batch: 1,
        queries: 300,
        past: 5,
        groups: 2,
        kv_heads: 2,
        width: 64,
        out: 64,
        causal: true,
        window: None,
        cuts: Some(vec![vec![3, 100, 101, 290]]),
        branched: true,
        dropout: 0.1,
        form: Bend::Cap,
        strided: false,
        seed: 1,
    };
    case.check();
}

#[test]
fn a_query_that_sees_nothing_gives_zero_and_finite_gradients() {
    let mut case = Case {
        batch: 2,
        queries: 4,
        past: 0,
        groups: 1,
        kv_heads: 1,
        width: 2,
        out: 3,
        causal: true,
        window: None,
        cuts: Some(vec![vec![2, 4], vec![]]),
        branched: false,
        dropout: 0.0,
        form: Bend::None,
        strided: false,
        seed: 5,
    };
    for (device, dropout) in devices()
        .iter()
        .flat_map(|device| [(device, 0.0), (device, 0.5)])
    {
        case.dropout = dropout;
        let (y, gradients) = run(
            device,
            |x| case.apply(op::attention, x),
            &case.inputs(),
            &[true; 3],
            false,
        );
        assert!(y[..6].iter().all(|&y| y == 0.0), "left padding: {y:?}");
        assert!(y[12..].iter().all(|&y| y == 0.0), "empty row: {y:?}");
        for gradient in gradients {
            assert!(gradient.unwrap().iter().all(|x| x.is_finite()));
        }
    }
}

/// Grouped heads and cached keys, by the definition.
#[test]
fn attention_is_its_definition() {
    let (batch, queries, keys, heads, kv_heads, width) = (2, 3, 5, 4, 2, 4);
    let [q, k, v] = [
        wave(batch * queries * heads * width, 1),
        wave(batch * keys * kv_heads * width, 2),
        wave(batch * keys * kv_heads * width, 3),
    ];
    let mask = Mask {
        past: 2,
        ..Mask::causal()
    };
    let mut expected = vec![];
    for b in 0..batch {
        for i in 0..queries {
            for h in 0..heads {
                let row = |x: &[f32], length, place, heads, head| {
                    let start = ((b * length + place) * heads + head) * width;
                    x[start..start + width].to_vec()
                };
                let query = row(&q, queries, i, heads, h);
                let group = h / (heads / kv_heads);
                let weights: Vec<f32> = (0..=2 + i)
                    .map(|j| {
                        let key = row(&k, keys, j, kv_heads, group);
                        (query.iter().zip(&key).map(|(a, b)| a * b).sum::<f32>() * 0.5).exp()
                    })
                    .collect();
                let total: f32 = weights.iter().sum();
                for d in 0..width {
                    expected.push(
                        (0..=2 + i)
                            .map(|j| weights[j] / total * row(&v, keys, j, kv_heads, group)[d])
                            .sum::<f32>(),
                    );
                }
            }
        }
    }
    for device in devices() {
        let tensor =
            |x: &[f32], length, heads| flat(x, &device).reshape([batch, length, heads, width]);
        let found = values(op::attention(
            tensor(&q, queries, heads),
            tensor(&k, keys, kv_heads),
            tensor(&v, keys, kv_heads),
            &mask,
            &Score::scaled(0.5),
            0.0,
            Noise::off(),
        ));
        assert!(distance(&found, &expected) < 1e-6, "{device:?}");
    }
}
