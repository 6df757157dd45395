//! Models that write: causal ones, and those with an encoder.

use burn::tensor::{Device, Tensor};
use finetune_model::generate::Autoregressive;
use finetune_model::{CausalLm, Checkpoint, Head, Noise, Seq2Seq, Side, Tokens, lora};

use crate::{EvalError, Result};

/// A model that writes texts.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // There is one of it, beside the gigabytes of its weights.
pub enum Writer {
    /// It continues what it reads.
    Causal(CausalLm),
    /// It reads with an encoder and writes with a decoder.
    Answering(Seq2Seq),
}

impl From<CausalLm> for Writer {
    fn from(model: CausalLm) -> Self {
        Self::Causal(model)
    }
}

impl From<Seq2Seq> for Writer {
    fn from(model: Seq2Seq) -> Self {
        Self::Answering(model)
    }
}

impl Writer {
    /// The model of a checkpoint that writes, with an adapter where there is one.
    pub(super) fn open(
        checkpoint: &Checkpoint,
        adapter: Option<&std::path::Path>,
        device: &Device,
    ) -> Result<Self> {
        let architecture = checkpoint.architecture();
        // A family that has both is what its weights were saved as.
        let answers =
            architecture.heads.causal.is_none() || checkpoint.head() == Some(Head::Seq2Seq);
        if architecture.heads.seq2seq.is_some() && answers {
            let model = checkpoint.seq2seq(device)?;
            return Ok(Self::Answering(match adapter {
                Some(adapter) => lora::load(model, architecture, adapter)?,
                None => model,
            }));
        }
        let model = checkpoint.causal_lm(device)?;
        Ok(Self::Causal(match adapter {
            Some(adapter) => lora::load(model, architecture, adapter)?,
            None => model,
        }))
    }

    pub(super) fn device(&self) -> Device {
        match self {
            Self::Causal(model) => model.device(),
            Self::Answering(model) => model.device(),
        }
    }

    pub(super) fn vocabulary(&self) -> usize {
        match self {
            Self::Causal(model) => model.vocabulary(),
            Self::Answering(model) => model.vocabulary(),
        }
    }

    /// The longest text that the positions allow, in tokens; `None` when the arithmetic has no limit.
    pub fn longest(&self) -> Option<usize> {
        match self {
            Self::Causal(model) => model.longest(),
            Self::Answering(model) => model.longest(),
        }
    }

    /// Whether texts that begin alike may be branches of one row.
    pub(super) fn takes_branches(&self) -> bool {
        match self {
            Self::Causal(model) => model.takes_branches(),
            Self::Answering(_) => false,
        }
    }

    /// The token that a decoder begins with; `None` for a model that continues what it reads.
    pub(super) fn start(&self) -> Result<Option<u32>> {
        match self {
            Self::Causal(_) => Ok(None),
            Self::Answering(model) => model.start().map(Some).ok_or_else(|| EvalError::Setting {
                what: "config.json and generation_config.json".to_owned(),
                reason:
                    "they name no decoder_start_token_id, the token that stands before an answer"
                        .to_owned(),
            }),
        }
    }

    /// Hidden states after the last norm.
    ///
    /// # Arguments
    /// - `sources`: for each row what an encoder reads; empty for a causal model
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    pub(super) fn hidden(&self, sources: &[&[u32]], tokens: &Tokens) -> Result<Tensor<2>> {
        match self {
            Self::Causal(model) => Ok(model.hidden(tokens, Noise::off(), None)),
            Self::Answering(model) => {
                let rows: Vec<_> = sources.iter().map(|ids| vec![ids.to_vec()]).collect();
                let source = Tokens::new(&rows, None, Side::Right, 0, &model.device())?;
                let memory = model.memory(&source, Noise::off());
                Ok(model.decode(tokens, &memory, Noise::off(), None))
            }
        }
    }

    pub(super) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Causal(model) => model.logits(hidden),
            Self::Answering(model) => model.logits(hidden),
        }
    }
}
