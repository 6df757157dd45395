//! Log-probabilities in blocks of rows.
#![allow(clippy::too_many_arguments, clippy::type_complexity)] // As the trait.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use rayon::prelude::*;

use super::kernel::{Matrix, MatrixMut, Threads, kernel, multiply};
use super::linear::lies_transposed;
use super::{BLOCK, Scratch, add_columns, all_f32, floats, indices, lanes, tensor, whole};
use crate::op::log_probs::{LogProbsOps, Rule, backward, block_rows, forward};

type Three = (Option<FlexTensor>, Option<FlexTensor>, Option<FlexTensor>);

impl LogProbsOps for Flex {
    fn log_probs_forward(
        hidden: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        targets: FlexTensor,
        rule: Rule,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&hidden, &weight, &bias]) {
            return forward::<Self>(&hidden, &weight, &bias, &targets, rule);
        }
        let head = Head::new(&weight, bias, rule);
        let hidden = whole(hidden);
        let targets = indices(targets, head.vocabulary);
        let (chosen, sums) = head.log_probs(floats(&hidden), &targets, None);
        let rows = [targets.len()];
        (tensor(chosen, rows), tensor(sums, rows))
    }

    fn log_probs_tracked(
        hidden: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        targets: FlexTensor,
        rule: Rule,
        needed: [bool; 3],
    ) -> (
        FlexTensor,
        FlexTensor,
        Option<FlexTensor>,
        Option<FlexTensor>,
        Option<FlexTensor>,
    ) {
        if !all_f32(&[&hidden, &weight, &bias]) {
            let (y, sums) = Self::log_probs_forward(hidden, weight, bias, targets, rule);
            return (y, sums, None, None, None);
        }
        let head = Head::new(&weight, bias, rule);
        let hidden = whole(hidden);
        let targets = indices(targets, head.vocabulary);
        let mut gradients = Gradients::new(&head, targets.len(), needed);
        let (chosen, sums) = head.log_probs(floats(&hidden), &targets, Some(&mut gradients));
        let rows = [targets.len()];
        let (for_hidden, for_weight, for_bias) = gradients.into_tensors(&head);
        (
            tensor(chosen, rows),
            tensor(sums, rows),
            for_hidden,
            for_weight,
            for_bias,
        )
    }

    fn log_probs_backward(
        gradient: FlexTensor,
        hidden: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        targets: FlexTensor,
        sums: FlexTensor,
        rule: Rule,
        needed: [bool; 3],
    ) -> Three {
        if !all_f32(&[&gradient, &hidden, &weight, &bias]) {
            return backward::<Self>(
                &gradient, &hidden, &weight, &bias, &targets, &sums, rule, needed,
            );
        }
        let head = Head::new(&weight, bias, rule);
        let (gradient, hidden, sums) = (whole(gradient), whole(hidden), whole(sums));
        let targets = indices(targets, head.vocabulary);
        let mut gradients = Gradients::new(&head, targets.len(), needed);
        let known = floats(&sums).iter().zip(floats(&gradient));
        let known: Vec<_> = known.map(|(&sum, &gradient)| (sum, gradient)).collect();
        head.again(floats(&hidden), &targets, &known, &mut gradients);
        gradients.into_tensors(&head)
    }

    fn log_probs_uniform(gradient: FlexTensor) -> Option<f32> {
        if !all_f32(&[&gradient]) {
            return None;
        }
        let gradient = whole(gradient);
        let (first, rest) = floats(&gradient).split_first()?;
        rest.iter()
            .all(|other| other.to_bits() == first.to_bits())
            .then_some(*first)
    }

    fn log_probs_scale(mut x: FlexTensor, factor: f32) -> FlexTensor {
        if let Some(elements) = whole_buffer(&mut x) {
            elements
                .par_chunks_mut(BLOCK)
                .for_each(|block| block.iter_mut().for_each(|x| *x *= factor));
            return x;
        }
        Self::float_mul_scalar(x, factor.into())
    }
}

/// The elements in the order of memory, if nobody else holds them.
fn whole_buffer(x: &mut FlexTensor) -> Option<&mut [f32]> {
    let count = x.layout().num_elements();
    x.try_storage_mut::<f32>()
        .filter(|elements| elements.len() == count)
}

/// The head's matrix, as it lies in memory.
struct Head {
    weight: FlexTensor,
    /// The weight lies as `[vocabulary, width]`.
    transposed: bool,
    bias: Option<FlexTensor>,
    /// The bound on the logits.
    cap: Option<f32>,
    width: usize,
    vocabulary: usize,
}

impl Head {
    fn new(weight: &FlexTensor, bias: FlexTensor, rule: Rule) -> Self {
        let [width, vocabulary] = weight.layout().shape().dims();
        let transposed = lies_transposed(weight);
        let weight = if transposed {
            whole(weight.transpose(0, 1))
        } else {
            whole(weight.clone())
        };
        Self {
            weight,
            transposed,
            bias: rule.biased.then(|| whole(bias)),
            cap: rule.cap.map(|cap| cap as f32),
            width,
            vocabulary,
        }
    }

    /// `[width, vocabulary]`.
    fn matrix(&self) -> Matrix<'_> {
        let data = floats(&self.weight);
        if self.transposed {
            Matrix::new(data, [self.vocabulary, self.width]).t()
        } else {
            Matrix::new(data, [self.width, self.vocabulary])
        }
    }

    /// The bias; empty if there is none.
    fn bias(&self) -> &[f32] {
        self.bias.as_ref().map(floats).unwrap_or_default()
    }

    /// Writes the logits of some rows, without bias.
    fn logits(&self, out: &mut [f32], hidden: &[f32]) {
        let rows = hidden.len() / self.width;
        multiply(
            MatrixMut::new(out, [rows, self.vocabulary]),
            Matrix::new(hidden, [rows, self.width]),
            self.matrix(),
            0.0,
            1.0,
            Threads::All,
        );
    }

    /// Log-probabilities and logarithms of the sums of exponentials; adds the gradients for a gradient of 1 per row.
    fn log_probs(
        &self,
        hidden: &[f32],
        targets: &[u32],
        mut gradients: Option<&mut Gradients>,
    ) -> (Vec<f32>, Vec<f32>) {
        let block = block_rows(self.vocabulary).min(targets.len());
        let mut logits = Scratch::new(block * self.vocabulary);
        let mut chosen = vec![0.0; targets.len()];
        let mut sums = vec![0.0; targets.len()];
        let spread = gradients.is_some();
        let parts = chosen
            .chunks_mut(block)
            .zip(sums.chunks_mut(block))
            .zip(targets.chunks(block))
            .zip(hidden.chunks(block * self.width));
        for (index, (((chosen, sums), targets), hidden)) in parts.enumerate() {
            let logits = &mut logits[..targets.len() * self.vocabulary];
            self.logits(logits, hidden);
            logits
                .par_chunks_exact_mut(self.vocabulary)
                .zip(chosen)
                .zip(sums)
                .zip(targets)
                .for_each(|(((logits, chosen), sum), &target)| {
                    let target = target as usize;
                    let Some(cap) = self.cap else {
                        (*sum, *chosen) = first_time(logits, self.bias(), target, spread);
                        return;
                    };
                    bound(logits, self.bias(), cap);
                    (*sum, *chosen) = first_time(logits, &[], target, false);
                    if spread {
                        spread_bound(logits, target, *sum, 1.0, cap);
                    }
                });
            if let Some(gradients) = &mut gradients {
                gradients.add(self, index * block, hidden, logits);
            }
        }
        (chosen, sums)
    }

    /// Adds the gradients, from each row's known logarithm of the sum of exponentials and its gradient.
    fn again(
        &self,
        hidden: &[f32],
        targets: &[u32],
        known: &[(f32, f32)],
        gradients: &mut Gradients,
    ) {
        let block = block_rows(self.vocabulary).min(targets.len());
        let mut logits = Scratch::new(block * self.vocabulary);
        let parts = targets
            .chunks(block)
            .zip(known.chunks(block))
            .zip(hidden.chunks(block * self.width));
        for (index, ((targets, known), hidden)) in parts.enumerate() {
            let logits = &mut logits[..targets.len() * self.vocabulary];
            self.logits(logits, hidden);
            logits
                .par_chunks_exact_mut(self.vocabulary)
                .zip(known)
                .zip(targets)
                .for_each(|((logits, &(sum, gradient)), &target)| {
                    if let Some(cap) = self.cap {
                        bound(logits, self.bias(), cap);
                        spread_bound(logits, target as usize, sum, gradient, cap);
                        return;
                    }
                    spread_again(logits, self.bias(), sum, gradient);
                    logits[target as usize] += gradient;
                });
            gradients.add(self, index * block, hidden, logits);
        }
    }
}

/// The gradients so far; empty where not needed.
struct Gradients {
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    needed: [bool; 3],
    rows: usize,
}

impl Gradients {
    fn new(head: &Head, rows: usize, needed: [bool; 3]) -> Self {
        let zeros = |needed, count| vec![0.0; if needed { count } else { 0 }];
        Self {
            hidden: zeros(needed[0], rows * head.width),
            weight: zeros(needed[1], head.width * head.vocabulary),
            bias: zeros(needed[2], head.vocabulary),
            needed,
            rows,
        }
    }

    /// Adds what the rows from `start` on give, with their logits' gradients in `spread`.
    fn add(&mut self, head: &Head, start: usize, hidden: &[f32], spread: &[f32]) {
        let (width, vocabulary) = (head.width, head.vocabulary);
        let rows = spread.len() / vocabulary;
        let matrix = Matrix::new(spread, [rows, vocabulary]);
        if self.needed[0] {
            let out = &mut self.hidden[start * width..(start + rows) * width];
            let out = MatrixMut::new(out, [rows, width]);
            multiply(out, matrix, head.matrix().t(), 0.0, 1.0, Threads::All);
        }
        if self.needed[1] {
            let hidden = Matrix::new(hidden, [rows, width]);
            // In the layout of the weight.
            let (shape, left, right) = if head.transposed {
                ([vocabulary, width], matrix.t(), hidden)
            } else {
                ([width, vocabulary], hidden.t(), matrix)
            };
            let keep = if start > 0 { 1.0 } else { 0.0 };
            let out = MatrixMut::new(&mut self.weight, shape);
            multiply(out, left, right, keep, 1.0, Threads::All);
        }
        if self.needed[2] {
            add_columns(&mut self.bias, spread);
        }
    }

    fn into_tensors(self, head: &Head) -> Three {
        let (width, vocabulary) = (head.width, head.vocabulary);
        let [for_hidden, for_weight, for_bias] = self.needed;
        let weight = |elements| {
            if head.transposed {
                tensor(elements, [vocabulary, width]).transpose(0, 1)
            } else {
                tensor(elements, [width, vocabulary])
            }
        };
        (
            for_hidden.then(|| tensor(self.hidden, [self.rows, width])),
            for_weight.then(|| weight(self.weight)),
            for_bias.then(|| tensor(self.bias, [vocabulary])),
        )
    }
}

kernel! {
    /// From a row of logits: log Σ eˡ and the target's log-probability. Adds the bias (nothing if it is empty) to the
    /// logits and, with `spread`, replaces them by the gradient of the target's log-probability.
    fn first_time(logits: &mut [f32], bias: &[f32], target: usize, spread: bool) -> (f32, f32) {
        for (logit, bias) in logits.iter_mut().zip(bias) {
            *logit += bias;
        }
        let highest = lanes::max(logits);
        if !spread {
            let total = lanes::sum_of(logits, |logit| lanes::exp(logit - highest));
            let sum = highest + total.ln();
            return (sum, logits[target] - sum);
        }
        let chosen = logits[target];
        for logit in logits.iter_mut() {
            *logit = lanes::exp(*logit - highest);
        }
        let total = lanes::sum(logits);
        let factor = -1.0 / total;
        for logit in logits.iter_mut() {
            *logit *= factor;
        }
        logits[target] += 1.0;
        let sum = highest + total.ln();
        (sum, chosen - sum)
    }
}

kernel! {
    /// Makes `-gradient · softmax` from a row of logits and the logarithm of its sum of exponentials.
    fn spread_again(logits: &mut [f32], bias: &[f32], sum: f32, gradient: f32) {
        for (logit, bias) in logits.iter_mut().zip(bias) {
            *logit += bias;
        }
        for logit in logits {
            *logit = lanes::exp(*logit - sum) * -gradient;
        }
    }
}

kernel! {
    /// Adds the bias (nothing if it is empty), then `cap · tanh(x / cap)`.
    fn bound(logits: &mut [f32], bias: &[f32], cap: f32) {
        for (logit, bias) in logits.iter_mut().zip(bias) {
            *logit += bias;
        }
        for logit in logits {
            *logit = lanes::bound(*logit, cap);
        }
    }
}

kernel! {
    /// Replaces bounded logits by the gradients of the products: `gradient` times that of the target's
    /// log-probability, through the bound.
    fn spread_bound(logits: &mut [f32], target: usize, sum: f32, gradient: f32, cap: f32) {
        let chosen = logits[target] / cap;
        for logit in logits.iter_mut() {
            let share = *logit / cap;
            *logit = lanes::exp(*logit - sum) * -gradient * (1.0 - share * share);
        }
        logits[target] += gradient * (1.0 - chosen * chosen);
    }
}
