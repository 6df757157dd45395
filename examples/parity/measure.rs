//! What is written of any head: logits, loss, gradients, a curve, and tokens.

use std::error::Error;
use std::path::Path;

use finetune::burn::tensor::Tensor;
use finetune::model::generate::Autoregressive;
use finetune::model::{Head, Network, Noise, lora, weights};
use finetune::prelude::*;
use finetune::train::Batch;

use super::curve::curve;
use super::file::Output;
use super::given::Given;
use super::heads::Case;

/// Logits, and what the flags ask for beside them.
///
/// # Arguments
/// - `given`: the inputs with the targets of this head
/// - `logits`: `[rows, width]`
/// - `loss`: the sum over the targets of a batch
pub(super) fn measure<M: Network + 'static>(
    case: Case<'_>,
    model: &M,
    given: &Given,
    logits: impl Fn(&M) -> Tensor<2>,
    loss: impl Fn(&M, &Given, Noise) -> Tensor<1>,
) -> Result<Output, Box<dyn Error>> {
    let scores = logits(model);
    let [rows, width] = scores.dims();
    let batch = given.tokens.batch();
    let shape = match M::HEAD {
        Head::Classifier | Head::Discriminator => vec![rows, width],
        _ => vec![batch, rows / batch, width],
    };
    let scores = scores.into_data().iter::<f32>().collect();
    let mut out = Output::from([("logits".to_owned(), (shape, scores))]);
    if given.targets() == 0 {
        return Ok(out);
    }
    let mean = loss(model, given, Noise::off()) / given.targets() as f64;
    let value = mean.to_data().iter::<f32>().collect();
    out.insert("loss".to_owned(), (vec![], value));
    if case.flags.gradients {
        let gradients = weights::gradients(model, &mut mean.backward());
        let named = case.checkpoint.in_file(model, gradients)?.into_iter();
        out.extend(named.map(|(name, gradient)| (format!("grad.{name}"), gradient)));
    }
    if let Some(steps) = case.flags.steps {
        let (losses, trained) = curve(case.flags, steps, model.clone(), given, loss)?;
        out.insert("curve".to_owned(), (vec![losses.len()], losses));
        if let Some(folder) = &case.flags.save {
            save(case, &trained, folder)?;
        }
    }
    Ok(out)
}

/// The likeliest tokens after the first row's text.
pub(super) fn greedy<M: Autoregressive>(
    model: &M,
    given: &Given,
    tokens: usize,
) -> Result<(Vec<usize>, Vec<f32>), Box<dyn Error>> {
    let made = Generator::new(model)
        .new_tokens(tokens)
        .generate(&[given.first_row()])?;
    let ids: Vec<f32> = made[0].ids.iter().map(|id| *id as f32).collect();
    Ok((vec![ids.len()], ids))
}

fn save<M: Network>(case: Case<'_>, model: &M, folder: &Path) -> Result<(), Box<dyn Error>> {
    let (flags, checkpoint) = (case.flags, case.checkpoint);
    if flags.adapter.is_none() && flags.lora.is_none() {
        return Ok(checkpoint.save(model, folder)?);
    }
    let base = flags.checkpoint.display().to_string();
    Ok(lora::save(model, checkpoint.architecture(), &base, folder)?)
}
