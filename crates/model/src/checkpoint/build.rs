//! From a checkpoint to a model.

use burn::tensor::Device;
use serde_json::Value;

use super::Checkpoint;
use super::plan::Plan;
use crate::blueprint::{ClassifierHead, TokenClassifierHead};
use crate::error::{ModelError, Result};
use crate::head::{CausalLm, Classifier, Discriminator, Head, MaskedLm, Network, TokenClassifier};
use crate::part::Init;
use crate::weights;

impl Checkpoint {
    /// Builds the model that predicts the next token.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn causal_lm(&self, device: &Device) -> Result<CausalLm> {
        self.fill(self.empty_causal(device)?)
    }

    /// Builds the model that predicts the class of a text. Where the weights have no such head it is new and random;
    /// [`Checkpoint::fresh`] says what would be.
    ///
    /// # Arguments
    /// - `labels`: number of classes, `1` to predict a number; `checkpoint.labels().len()` is the configuration's
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn classifier(&self, labels: usize, device: &Device) -> Result<Classifier> {
        self.fill(self.empty_classifier(labels, device)?)
    }

    /// Builds the model that predicts the class of every token. Where the weights have no such head it is new and
    /// random; [`Checkpoint::fresh`] says what would be.
    ///
    /// # Arguments
    /// - `labels`: number of classes; `checkpoint.labels().len()` is the configuration's
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn token_classifier(&self, labels: usize, device: &Device) -> Result<TokenClassifier> {
        self.fill(self.empty_token_classifier(labels, device)?)
    }

    /// Builds the model that predicts which tokens were replaced.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn discriminator(&self, device: &Device) -> Result<Discriminator> {
        self.fill(self.empty_discriminator(device)?)
    }

    /// Builds the model that predicts hidden tokens.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn masked_lm(&self, device: &Device) -> Result<MaskedLm> {
        self.fill(self.empty_masked(device)?)
    }

    /// The names of the tensors that a model with this head would have and the files have not. Nothing is allocated.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn fresh(&self, head: Head, device: &Device) -> Result<Vec<String>> {
        let labels = self.labels().len();
        let plan = match head {
            Head::Causal => self.plan(&self.empty_causal(device)?)?,
            Head::Classifier => self.plan(&self.empty_classifier(labels, device)?)?,
            Head::TokenClassifier => self.plan(&self.empty_token_classifier(labels, device)?)?,
            Head::Masked => self.plan(&self.empty_masked(device)?)?,
            Head::Discriminator => self.plan(&self.empty_discriminator(device)?)?,
        };
        Ok(plan.fresh().map(ToOwned::to_owned).collect())
    }

    fn empty_causal(&self, device: &Device) -> Result<CausalLm> {
        let head = self
            .architecture
            .heads
            .causal
            .ok_or_else(|| self.no_head(Head::Causal))?;
        Ok(CausalLm::new(&self.init(device), self.blueprint(), head))
    }

    fn empty_classifier(&self, labels: usize, device: &Device) -> Result<Classifier> {
        let head = self.architecture.heads.classifier;
        let head = head.ok_or_else(|| self.no_head(Head::Classifier))?;
        let head = ClassifierHead { labels, ..head };
        Ok(Classifier::new(&self.init(device), self.blueprint(), head))
    }

    fn empty_token_classifier(&self, labels: usize, device: &Device) -> Result<TokenClassifier> {
        let head = self.architecture.heads.token_classifier;
        let head = head.ok_or_else(|| self.no_head(Head::TokenClassifier))?;
        let head = TokenClassifierHead { labels, ..head };
        let init = self.init(device);
        Ok(TokenClassifier::new(&init, self.blueprint(), head))
    }

    fn empty_discriminator(&self, device: &Device) -> Result<Discriminator> {
        let head = self.architecture.heads.discriminator;
        let head = head.ok_or_else(|| self.no_head(Head::Discriminator))?;
        let init = self.init(device);
        Ok(Discriminator::new(&init, self.blueprint(), head))
    }

    fn empty_masked(&self, device: &Device) -> Result<MaskedLm> {
        let head = self
            .architecture
            .heads
            .masked
            .ok_or_else(|| self.no_head(Head::Masked))?;
        Ok(MaskedLm::new(&self.init(device), self.blueprint(), head))
    }

    fn init(&self, device: &Device) -> Init {
        let spread = self.architecture.spread;
        Init::new(
            self.options.seed,
            spread.weights,
            device,
            self.options.dtype.into(),
        )
        .residual(spread.residual)
    }

    fn no_head(&self, head: Head) -> ModelError {
        let family = self
            .config
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        ModelError::NoSuchHead {
            family: family.to_owned(),
            head: head.to_string(),
            known: self
                .architecture
                .classes
                .iter()
                .map(|(head, _)| head.to_string())
                .collect(),
        }
    }

    pub(super) fn plan<M: Network>(&self, model: &M) -> Result<Plan> {
        let declared = weights::declared(model);
        let keep = self.options.keep_unknown;
        Plan::new(
            self.place(),
            &self.source,
            self.names(),
            &declared,
            M::HEAD,
            keep,
        )
    }
}
