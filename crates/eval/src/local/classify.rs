//! Classifiers of this project.

use finetune_data::{
    Labeled,
    encode::{Encoded, Encoder},
};
use finetune_model::{Classifier, ModelError, Noise, Side, Tokens};

use crate::{
    EvalError, Outcome, Result, Run,
    metric::{of_labels, of_several, several},
};

/// A classifier of this project with its tokenizer and labels, to be evaluated.
pub struct LocalClassifier {
    model: Classifier,
    encoder: Encoder,
    labels: Vec<String>,
    rows: usize,
}

impl LocalClassifier {
    /// A classifier on a device without autodiff. `labels` are in the order of its outputs; the encoder's length cuts
    /// longer texts.
    pub fn new(model: Classifier, encoder: Encoder, labels: Vec<String>) -> Self {
        Self {
            model,
            encoder,
            labels,
            rows: 32,
        }
    }

    /// How many texts are read at once; 32 by default.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.rows = rows.max(1);
        self
    }

    /// Classifies every example and measures accuracy, macro F1 and Matthews' correlation. The outcomes keep the
    /// log-probabilities of the classes.
    ///
    /// Where labels are lists, every output is the odds of its class: those are given that are likelier than not, and
    /// measured are micro F1 and equal sets.
    ///
    /// # Errors
    /// [`EvalError::EmptyEvaluation`] without examples; [`EvalError::UnknownLabel`], with file and line, for a label that
    /// the classifier does not know; what the tokenizer says.
    pub fn evaluate(
        &self,
        name: impl Into<String>,
        task: &str,
        examples: &[Labeled],
    ) -> Result<Run> {
        let started = std::time::Instant::now();
        for example in examples {
            self.check(task, example)?;
        }
        let lists = examples.iter().any(|example| example.label.is_list());
        let rows = self.encoder.labeled_all(examples)?;
        let rows: Vec<Encoded> = rows.into_iter().map(|row| row.encoded).collect();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&index| (rows[index].ids.len(), index));
        let mut outcomes: Vec<Option<Outcome>> = vec![None; rows.len()];
        for chunk in order.chunks(self.rows) {
            let batch: Vec<&Encoded> = chunk.iter().map(|&index| &rows[index]).collect();
            for (&index, logits) in chunk.iter().zip(self.logits(&batch)?) {
                let example = &examples[index];
                finite(example, &logits)?;
                outcomes[index] = Some(if lists {
                    self.sets(example, &logits)
                } else {
                    self.outcome(example, &logits)
                });
            }
        }
        let metrics = if lists {
            of_several()
        } else {
            of_labels(&self.labels)
        };
        let run = Run::of_outcomes(
            name,
            task,
            &metrics,
            outcomes.into_iter().flatten().collect(),
        )?;
        Ok(Run {
            seconds: started.elapsed().as_secs_f64(),
            ..run
        })
    }

    /// The logits of every row of a batch.
    fn logits(&self, batch: &[&Encoded]) -> Result<Vec<Vec<f32>>> {
        let device = self.model.embeddings.tokens.weight.lazy_device();
        let ids: Vec<Vec<Vec<u32>>> = batch.iter().map(|row| vec![row.ids.clone()]).collect();
        let tokens = Tokens::new(&ids, None, Side::Right, 0, &device)?;
        let length = tokens.length();
        let kinds: Vec<u32> = batch
            .iter()
            .flat_map(|row| {
                row.kinds
                    .iter()
                    .copied()
                    .chain(std::iter::repeat_n(0, length - row.kinds.len()))
            })
            .collect();
        let tokens = tokens.with_kinds(&kinds)?;
        let logits = self
            .model
            .logits(&tokens, Noise::off())
            .into_data()
            .convert::<f32>();
        let logits: Vec<f32> = logits.try_into_vec().map_err(|error| ModelError::Tokens {
            why: format!("the logits cannot be read: {error:?}"),
        })?;
        Ok(logits
            .chunks(logits.len() / batch.len())
            .map(<[f32]>::to_vec)
            .collect())
    }

    /// Refuses a label that the classifier does not know.
    fn check(&self, task: &str, example: &Labeled) -> Result<()> {
        let labels = example.label.classes();
        match labels
            .into_iter()
            .find(|label| !self.labels.contains(label))
        {
            None => Ok(()),
            Some(label) => Err(EvalError::UnknownLabel {
                origin: example.origin.clone(),
                task: task.to_owned(),
                label,
                labels: self.labels.clone(),
            }),
        }
    }

    /// The outcome where every class is judged by itself.
    fn sets(&self, example: &Labeled, odds: &[f32]) -> Outcome {
        let likely = self
            .labels
            .iter()
            .zip(odds)
            .filter(|(_, odds)| **odds > 0.0);
        let given = likely.map(|(label, _)| label.clone()).collect();
        let mut outcome = several::outcome(example, given);
        // log σ(x) = min(x, 0) − log(1 + e^−|x|), which no odds are too small for.
        let log = |odds: &f32| {
            let odds = f64::from(*odds);
            odds.min(0.0) - (-odds.abs()).exp().ln_1p()
        };
        outcome.log_likelihoods = odds.iter().map(log).collect();
        outcome
    }

    fn outcome(&self, example: &Labeled, logits: &[f32]) -> Outcome {
        let label = example.label.to_string();
        let most = logits
            .iter()
            .copied()
            .map(f64::from)
            .fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits
            .iter()
            .map(|logit| (f64::from(*logit) - most).exp())
            .sum();
        let best = logits
            .iter()
            .position(|logit| f64::from(*logit) >= most)
            .unwrap_or(0);
        let output = self.labels.get(best).map_or("", String::as_str);
        let mut outcome = Outcome::new(
            example.origin.clone(),
            example.whole(),
            label.as_str(),
            output,
        )
        .with_score("acc", f64::from(u8::from(output == label)));
        outcome.log_likelihoods = logits
            .iter()
            .map(|logit| f64::from(*logit) - most - sum.ln())
            .collect();
        outcome
    }
}

fn finite(example: &Labeled, logits: &[f32]) -> Result<()> {
    match logits.iter().find(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(broken) => Err(EvalError::NotFinite {
            origin: example.origin.clone(),
            score: "logit".to_owned(),
            value: f64::from(*broken),
        }),
    }
}
