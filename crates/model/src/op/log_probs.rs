//! The head's log-probabilities of given tokens.
// The macro that routes to backends reads the types in the signatures: no structs, no aliases.
#![allow(clippy::too_many_arguments, clippy::type_complexity)]

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Int, Shape, Tensor};

use super::{bound, composed};

/// The natural logarithm of the probability that the head gives each target:
/// `log_softmax(hidden · weight + bias)[row, target]`.
///
/// With a cap `c` each logit `x` is first replaced by `c · tanh(x / c)` (Gemma 2).
///
/// Works on blocks of rows, forward and backward: the logits of the whole batch never exist. A weight that is not
/// tracked gets no gradient.
///
/// On the CPU a tracked call prepares its gradients while it has the logits, for the case that the loss weighs all
/// rows alike (a sum, a mean); other losses compute the logits again in the backward pass, as other devices always do.
///
/// # Shapes
///
/// `hidden`: `[rows, width]`, `weight`: `[width, vocabulary]` (a transposed view is fine), `bias`: `[vocabulary]`,
/// `targets`: `[rows]` with ids below `vocabulary`, result: `[rows]`.
///
/// # Panics
///
/// If the shapes do not fit, or on the CPU if a target is not below `vocabulary`.
pub fn log_probs(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    targets: Tensor<1, Int>,
    cap: Option<f64>,
) -> Tensor<1> {
    let [rows, width] = hidden.dims();
    let [inner, vocabulary] = weight.dims();
    assert_eq!(
        width, inner,
        "hidden is [{rows}, {width}], the weight [{inner}, {vocabulary}]"
    );
    assert_eq!(targets.dims(), [rows], "one target for each row");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [vocabulary], "one bias for each token");
    }
    if rows == 0 {
        return Tensor::zeros([0], (&hidden.device(), hidden.dtype()));
    }
    let rule = Rule {
        biased: bias.is_some(),
        cap,
    };
    let bias = bias.unwrap_or_else(|| composed::placeholder(&weight));
    Tensor::from_dispatch(Dispatch::log_probs(
        hidden.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        targets.into_dispatch(),
        rule,
    ))
}

/// What becomes of the products.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Add a bias; otherwise the bias is a placeholder.
    pub(super) biased: bool,
    /// The bound on the logits.
    pub(super) cap: Option<f64>,
}

/// Logits that exist at the same time.
const LOGITS: usize = 1 << 22;

/// Rows of a block.
pub(super) fn block_rows(vocabulary: usize) -> usize {
    (LOGITS / vocabulary).clamp(64, 1024)
}

/// Gradients of hidden, weight and bias, where they are needed.
pub(super) type Gradient<B> = (
    Option<FloatTensor<B>>,
    Option<FloatTensor<B>>,
    Option<FloatTensor<B>>,
);

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait LogProbsOps: Backend {
    /// The differentiable operation.
    #[fusion(default)]
    fn log_probs(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: IntTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self> {
        Self::log_probs_forward(hidden, weight, bias, targets, rule).0
    }

    /// The log-probabilities, and the logarithm of each row's sum of exponentials.
    #[fusion(default)]
    fn log_probs_forward(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: IntTensor<Self>,
        rule: Rule,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        forward::<Self>(&hidden, &weight, &bias, &targets, rule)
    }

    /// As [`Self::log_probs_forward`], for a backward pass to come. May give the gradients that are `needed` for a
    /// gradient of 1 for each row.
    #[fusion(default)]
    fn log_probs_tracked(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: IntTensor<Self>,
        rule: Rule,
        needed: [bool; 3],
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
        Option<FloatTensor<Self>>,
        Option<FloatTensor<Self>>,
    ) {
        let _ = needed;
        let (y, sums) = Self::log_probs_forward(hidden, weight, bias, targets, rule);
        (y, sums, None, None, None)
    }

    /// The gradients that are `needed`.
    #[fusion(default)]
    fn log_probs_backward(
        gradient: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: IntTensor<Self>,
        sums: FloatTensor<Self>,
        rule: Rule,
        needed: [bool; 3],
    ) -> (
        Option<FloatTensor<Self>>,
        Option<FloatTensor<Self>>,
        Option<FloatTensor<Self>>,
    ) {
        backward::<Self>(
            &gradient, &hidden, &weight, &bias, &targets, &sums, rule, needed,
        )
    }

    /// The common value of all elements, if there is one and it costs nothing to know.
    #[fusion(default)]
    fn log_probs_uniform(gradient: FloatTensor<Self>) -> Option<f32> {
        let _ = gradient;
        None
    }

    /// `x · factor`.
    #[fusion(default)]
    fn log_probs_scale(x: FloatTensor<Self>, factor: f32) -> FloatTensor<Self> {
        Self::float_mul_scalar(x, factor.into())
    }
}

composed::on_other_backends!(LogProbsOps);

fn logits<B: Backend>(
    hidden: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
    rule: Rule,
    start: usize,
    end: usize,
) -> FloatTensor<B> {
    let hidden = composed::rows::<B>(hidden, start, end);
    let mut logits = composed::widen::<B>(B::float_matmul(hidden, weight.clone()));
    if rule.biased {
        let bias = composed::row::<B>(composed::widen::<B>(bias.clone()));
        logits = B::float_add(logits, bias);
    }
    match rule.cap {
        Some(cap) => bound::forward::<B>(logits, cap),
        None => logits,
    }
}

pub(super) fn forward<B: Backend>(
    hidden: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
    targets: &IntTensor<B>,
    rule: Rule,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let rows = hidden.shape()[0];
    let block = block_rows(weight.shape()[1]);
    let (mut chosen, mut sums) = (Vec::new(), Vec::new());
    for start in (0..rows).step_by(block) {
        let end = rows.min(start + block);
        let logits = logits::<B>(hidden, weight, bias, rule, start, end);
        let targets = composed::column::<B>(targets, start, end);
        let highest = B::float_max_dim(logits.clone(), 1);
        let picked = B::float_gather(1, logits.clone(), targets);
        let total = B::float_sum_dim(B::float_exp(B::float_sub(logits, highest.clone())), 1);
        let sum = B::float_add(B::float_log(total), highest);
        let flat = Shape::new([end - start]);
        chosen.push(B::float_reshape(
            B::float_sub(picked, sum.clone()),
            flat.clone(),
        ));
        sums.push(B::float_reshape(sum, flat));
    }
    let chosen = composed::cast_like::<B>(composed::joined::<B>(chosen), hidden);
    (chosen, composed::joined::<B>(sums))
}

pub(super) fn backward<B: Backend>(
    gradient: &FloatTensor<B>,
    hidden: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
    targets: &IntTensor<B>,
    sums: &FloatTensor<B>,
    rule: Rule,
    [for_hidden, for_weight, for_bias]: [bool; 3],
) -> Gradient<B> {
    let rows = hidden.shape()[0];
    let vocabulary = weight.shape()[1];
    let gradient = B::float_reshape(
        composed::widen::<B>(gradient.clone()),
        Shape::new([rows, 1]),
    );
    let sums = B::float_reshape(sums.clone(), Shape::new([rows, 1]));
    let mut hidden_gradient = Vec::new();
    let mut weight_gradient = None;
    let mut bias_gradient = None;
    let add = |total: &mut Option<FloatTensor<B>>, part: FloatTensor<B>| {
        *total = Some(match total.take() {
            Some(total) => B::float_add(total, part),
            None => part,
        });
    };
    for start in (0..rows).step_by(block_rows(vocabulary)) {
        let end = rows.min(start + block_rows(vocabulary));
        let logits = logits::<B>(hidden, weight, bias, rule, start, end);
        let gradient = composed::rows::<B>(&gradient, start, end);
        let shifted = B::float_sub(logits.clone(), composed::rows::<B>(&sums, start, end));
        // d log p / d logit = (target) - p
        let spread = B::float_mul(B::float_exp(shifted), B::float_neg(gradient.clone()));
        let targets = composed::column::<B>(targets, start, end);
        let mut spread = composed::scatter_add::<B>(spread, 1, targets, gradient);
        if let Some(cap) = rule.cap {
            spread = bound::backward::<B>(spread, logits, cap);
        }
        if for_bias && rule.biased {
            add(&mut bias_gradient, B::float_sum_dim(spread.clone(), 0));
        }
        let spread = composed::cast_like::<B>(spread, hidden);
        if for_hidden {
            hidden_gradient.push(B::float_matmul(
                spread.clone(),
                B::float_transpose(weight.clone()),
            ));
        }
        if for_weight {
            let hidden = B::float_transpose(composed::rows::<B>(hidden, start, end));
            add(&mut weight_gradient, B::float_matmul(hidden, spread));
        }
    }
    let bias_gradient = bias_gradient.map(|gradient| {
        composed::cast_like::<B>(B::float_reshape(gradient, Shape::new([vocabulary])), bias)
    });
    let hidden_gradient = for_hidden.then(|| composed::joined::<B>(hidden_gradient));
    (hidden_gradient, weight_gradient, bias_gradient)
}

#[derive(Debug)]
struct LogProbs;

#[derive(Clone, Debug)]
struct State<B: Backend> {
    hidden: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    targets: IntTensor<B>,
    sums: FloatTensor<B>,
    rule: Rule,
    prepared: Gradient<B>,
}

impl<B: Backend + LogProbsOps> State<B> {
    /// The gradients of what was prepared and of what must be computed again.
    fn gradients(self, gradient: FloatTensor<B>, mut needed: [bool; 3]) -> Gradient<B> {
        let (mut hidden, mut weight, mut bias) = self.prepared;
        if let Some(factor) = B::log_probs_uniform(gradient.clone()) {
            let scale = |x: FloatTensor<B>| B::log_probs_scale(x, factor);
            (hidden, weight, bias) = (hidden.map(scale), weight.map(scale), bias.map(scale));
        } else {
            // A row of hidden is only touched by its own gradient; weight and bias mix the rows.
            let column = Shape::new([gradient.shape().num_elements(), 1]);
            let scale = |x| B::float_mul(x, B::float_reshape(gradient.clone(), column));
            hidden = hidden.map(scale);
            (weight, bias) = (None, None);
        }
        for (needed, ready) in needed.iter_mut().zip([&hidden, &weight, &bias]) {
            *needed &= ready.is_none();
        }
        if needed.contains(&true) {
            let again = B::log_probs_backward(
                gradient,
                self.hidden,
                self.weight,
                self.bias,
                self.targets,
                self.sums,
                self.rule,
                needed,
            );
            return (hidden.or(again.0), weight.or(again.1), bias.or(again.2));
        }
        (hidden, weight, bias)
    }
}

impl<B: Backend + LogProbsOps> Backward<B, 3> for LogProbs {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let needed = ops.parents.each_ref().map(Option::is_some);
        let (hidden, weight, bias) = ops.state.gradients(gradient, needed);
        for (node, gradient) in ops.parents.into_iter().zip([hidden, weight, bias]) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Backend + LogProbsOps, C: CheckpointStrategy> LogProbsOps for Autodiff<B, C> {
    fn log_probs(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: IntTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self> {
        let needed = [&hidden, &weight, &bias].map(|x: &FloatTensor<Self>| x.is_tracked());
        let (hidden, hidden_node) = hidden.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match LogProbs
            .prepare::<C>([hidden_node, weight_node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (y, sums, for_hidden, for_weight, for_bias) = B::log_probs_tracked(
                    hidden.clone(),
                    weight.clone(),
                    bias.clone(),
                    targets.clone(),
                    rule,
                    needed,
                );
                let state = State {
                    hidden,
                    weight,
                    bias,
                    targets,
                    sums,
                    rule,
                    prepared: (for_hidden, for_weight, for_bias),
                };
                prepared.finish(state, y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::log_probs(hidden, weight, bias, targets, rule))
            }
        }
    }
}
