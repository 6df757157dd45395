//! From a checkpoint to a model.

use burn::tensor::Device;
use serde_json::Value;

use super::Checkpoint;
use super::plan::Plan;
use crate::blueprint::{ClassifierHead, Seq2SeqHead, TokenClassifierHead};
use crate::error::{ModelError, Result};
use crate::family::settings::invalid;
use crate::generate::settings::decoder_start;
use crate::head::{
    Apart, CausalLm, Classifier, Discriminator, Head, MaskedLm, Network, Seq2Seq, TokenClassifier,
    Trunk,
};
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

    /// Builds the model that turns one text into another.
    ///
    /// What such a model shares, its files may hold several times: where they are equal it stays shared, where they
    /// differ each is a parameter of its own. An answer begins behind the token that `config.json` names
    /// (`decoder_start_token_id`), or, where it names none, `generation_config.json`.
    ///
    /// # Errors
    /// When the family has no such head, or the weights do not fit.
    pub fn seq2seq(&self, device: &Device) -> Result<Seq2Seq> {
        self.fill(self.empty_seq2seq(device)?)
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
        let labels = self.labels().len();
        let plan = match head {
            Head::Causal => self.plan(&self.empty_causal(device)?)?,
            Head::Classifier => self.plan(&self.empty_classifier(labels, device)?)?,
            Head::TokenClassifier => self.plan(&self.empty_token_classifier(labels, device)?)?,
            Head::Masked => self.plan(&self.empty_masked(device)?)?,
            Head::Seq2Seq => self.plan(&self.empty_seq2seq(device)?)?,
            Head::Discriminator => self.plan(&self.empty_discriminator(device)?)?,
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

    fn empty_seq2seq(&self, device: &Device) -> Result<Seq2Seq> {
        let head = self
            .architecture
            .heads
            .seq2seq
            .ok_or_else(|| self.no_head(Head::Seq2Seq))?;
        let apart = Apart {
            encoder: self.is_apart("encoder_embeddings.tokens.weight")?,
            decoder: self.is_apart("decoder_embeddings.tokens.weight")?,
            head: self.is_apart("head.weight")?,
        };
        let start = self.start(head)?;
        let head = Seq2SeqHead { start, ..head };
        let init = self.init(device);
        Ok(Seq2Seq::new(&init, self.blueprint(), head, apart))
    }

    /// The token that stands before an answer.
    fn start(&self, head: Seq2SeqHead) -> Result<Option<u32>> {
        let start = match head.start {
            Some(start) => Some(start),
            None => decoder_start(self.folder(), &self.config)?,
        };
        let vocabulary = self.blueprint().embedding.vocabulary;
        match start.filter(|id| *id as usize >= vocabulary) {
            Some(id) => {
                let why = format!("expected a token of the vocabulary, below {vocabulary}");
                Err(invalid("decoder_start_token_id", Some(&id.into()), why))
            }
            None => Ok(start),
        }
    }

    /// Whether the files hold a tensor for a parameter that may be shared, and another one for what it is shared with.
    fn is_apart(&self, path: &str) -> Result<bool> {
        let stored = |path: &str| {
            let entries = self.names().entries().iter();
            let mut entries = entries.filter(|entry| entry.parts == [path]);
            entries.find_map(|entry| {
                let names = [true, false].map(|with| self.names().spellings(entry, with));
                let mut names = names.into_iter().flatten();
                names.find(|name| self.source.tensor(name).is_some())
            })
        };
        let Some(own) = stored(path) else {
            return Ok(false);
        };
        let copies = self.names().copies().iter();
        let mut shared = copies.filter(|copy| copy.name == own);
        let Some(shared) = shared.find_map(|copy| stored(&copy.of)) else {
            return Ok(false);
        };
        Ok(shared != own && !self.source.same(&own, &shared)?)
    }

    fn empty_trunk(&self, device: &Device) -> Trunk {
        Trunk::new(&self.init(device), self.blueprint())
    }

    fn init(&self, device: &Device) -> Init {
        Init::new(
            self.options.seed,
            self.architecture.spread,
            device,
            self.options.dtype.into(),
        )
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
