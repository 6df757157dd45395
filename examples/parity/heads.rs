//! Each head on the inputs: what its logits and its loss are.

use std::error::Error;

use finetune::burn::module::Module;
use finetune::burn::tensor::{Device, Tensor};
use finetune::model::blueprint::Place;
use finetune::model::{
    Discriminator, Head, MaskedLm, Network, Noise, Seq2Seq, TokenClassifier, lora, op,
};
use finetune::prelude::*;

use super::Flags;
use super::file::Output;
use super::given::Given;
use super::measure::{greedy, measure};
use super::problem::Problem;

/// What is asked, of which checkpoint, on which inputs.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) flags: &'a Flags,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) given: &'a Given,
    pub(super) device: &'a Device,
}

impl Case<'_> {
    /// Everything that the flags ask of this head.
    pub(super) fn head(self, head: Head) -> Result<Output, Box<dyn Error>> {
        match head {
            Head::Causal => self.causal(),
            Head::Classifier => self.classifier(),
            Head::TokenClassifier => self.token_classifier(),
            Head::Masked => self.masked(),
            Head::Seq2Seq => self.seq2seq(),
            Head::Discriminator => self.discriminator(),
            Head::Trunk => self.trunk(),
            other => Err(format!("{other} heads are not compared here").into()),
        }
    }

    fn causal(self) -> Result<Output, Box<dyn Error>> {
        let model = self.adapted(self.checkpoint.causal_lm(self.device)?)?;
        let logits = |model: &CausalLm| model.logits(self.given.hidden(model, Noise::off()));
        let loss = |model: &CausalLm, batch: &Given, noise| batch.token_loss(model, noise);
        let targets = self.given.aligned(&model);
        let mut out = measure(self, &model, &targets, logits, loss)?;
        if let Some(tokens) = self.flags.greedy {
            let made = greedy(&model.valid(), self.given, tokens)?;
            out.insert("greedy".to_owned(), made);
        }
        Ok(out)
    }

    fn classifier(self) -> Result<Output, Box<dyn Error>> {
        let labels = self.checkpoint.labels().len();
        let model = self.adapted(self.checkpoint.classifier(labels, self.device)?)?;
        let logits = |model: &Classifier| model.logits(&self.given.tokens, Noise::off());
        let problem = Problem::of(self.checkpoint, self.given)?;
        let given = problem.given(self.given);
        let loss = |model: &Classifier, batch: &Given, noise| {
            problem.loss(model.logits(&batch.tokens, noise), batch)
        };
        measure(self, &model, &given, logits, loss)
    }

    fn token_classifier(self) -> Result<Output, Box<dyn Error>> {
        let labels = self.checkpoint.labels().len();
        let model = self.adapted(self.checkpoint.token_classifier(labels, self.device)?)?;
        let logits = |model: &TokenClassifier| model.logits(&self.given.tokens, Noise::off());
        let loss = |model: &TokenClassifier, batch: &Given, noise| {
            op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
        };
        measure(self, &model, self.given, logits, loss)
    }

    fn masked(self) -> Result<Output, Box<dyn Error>> {
        let model = self.adapted(self.checkpoint.masked_lm(self.device)?)?;
        let logits = |model: &MaskedLm| {
            let hidden = model.hidden(&self.given.tokens, Noise::off());
            model.logits(hidden)
        };
        let loss = |model: &MaskedLm, batch: &Given, noise| {
            op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
        };
        measure(self, &model, self.given, logits, loss)
    }

    fn seq2seq(self) -> Result<Output, Box<dyn Error>> {
        let off = Noise::off();
        let model = self.adapted(self.checkpoint.seq2seq(self.device)?)?;
        let answer = self.given.answer(&model, self.checkpoint)?;
        let logits = |model: &Seq2Seq| {
            let memory = model.memory(&self.given.tokens, off);
            model.logits(model.decode(&answer, &memory, off, None))
        };
        let loss = |model: &Seq2Seq, batch: &Given, noise| {
            let log_probs = model.log_probs(&batch.tokens, &answer, &batch.targets, noise);
            op::sum(log_probs).neg()
        };
        let mut out = measure(self, &model, self.given, logits, loss)?;
        if let Some(tokens) = self.flags.greedy {
            let made = greedy(&model.valid(), self.given, tokens)?;
            out.insert("greedy".to_owned(), made);
        }
        Ok(out)
    }

    fn discriminator(self) -> Result<Output, Box<dyn Error>> {
        let model = self.adapted(self.checkpoint.discriminator(self.device)?)?;
        let logits = |model: &Discriminator| model.logits(&self.given.tokens, Noise::off());
        let loss = |model: &Discriminator, batch: &Given, noise| {
            op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
        };
        measure(self, &model, &self.given.on_text(), logits, loss)
    }

    fn trunk(self) -> Result<Output, Box<dyn Error>> {
        let (off, tokens) = (Noise::off(), &self.given.tokens);
        let trunk = self.checkpoint.trunk(self.device)?;
        let hidden = trunk.hidden(tokens, off);
        let width = hidden.dims()[1];
        let vectors = trunk.embed(tokens, Place::Mean, off);
        let values = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect();
        let hidden = (vec![tokens.batch(), tokens.length(), width], values(hidden));
        let vectors = (vec![tokens.batch(), width], values(vectors));
        Ok(Output::from([
            ("hidden".to_owned(), hidden),
            ("embeddings".to_owned(), vectors),
        ]))
    }

    fn adapted<M: Network>(self, model: M) -> Result<M, Box<dyn Error>> {
        let architecture = self.checkpoint.architecture();
        Ok(match (&self.flags.adapter, &self.flags.lora) {
            (Some(folder), _) => lora::load(model, architecture, folder)?,
            (None, Some(config)) => {
                lora::attach(model, architecture, &serde_json::from_str(config)?)?
            }
            (None, None) => model,
        })
    }
}
