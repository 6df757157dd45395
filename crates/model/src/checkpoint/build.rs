//! From a checkpoint to a model.

use burn::tensor::Device;
use serde_json::Value;

use super::Checkpoint;
use super::plan::Plan;
use crate::blueprint::ClassifierHead;
use crate::error::{ModelError, Result};
use crate::head::{CausalLm, Classifier, Head, MaskedLm, Network, Trunk};
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

    /// Builds the model that predicts hidden tokens.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn masked_lm(&self, device: &Device) -> Result<MaskedLm> {
        self.fill(self.empty_masked(device)?)
    }

    /// Builds the trunk alone: hidden states, and one vector for a text.
    ///
    /// # Errors
    /// When the weights do not fit.
    pub fn trunk(&self, device: &Device) -> Result<Trunk> {
        self.fill(self.empty_trunk(device))
    }

    /// The names of the tensors that a model with this head would have and the files have not. Nothing is allocated.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn fresh(&self, head: Head, device: &Device) -> Result<Vec<String>> {
        let plan = match head {
            Head::Causal => self.plan(&self.empty_causal(device)?)?,
            Head::Classifier => {
                let labels = self
                    .architecture
                    .heads
                    .classifier
                    .map_or(1, |head| head.labels);
                self.plan(&self.empty_classifier(labels, device)?)?
            }
            Head::Masked => self.plan(&self.empty_masked(device)?)?,
            Head::Trunk => self.plan(&self.empty_trunk(device))?,
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

    fn empty_masked(&self, device: &Device) -> Result<MaskedLm> {
        let head = self
            .architecture
            .heads
            .masked
            .ok_or_else(|| self.no_head(Head::Masked))?;
        Ok(MaskedLm::new(&self.init(device), self.blueprint(), head))
    }

    fn empty_trunk(&self, device: &Device) -> Trunk {
        Trunk::new(&self.init(device), self.blueprint())
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
