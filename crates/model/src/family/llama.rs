//! LLaMA (Touvron et al. 2023): grouped heads, RMS norm, rotary positions, gated feed-forward.

use super::Architecture;
use super::decoder::{self, LLAMA};
use super::settings::Settings;
use crate::error::Result;
use crate::head::Head;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = decoder::blueprint(settings, &LLAMA)?;
    blueprint.feed_forward.bias = settings.flag(&["mlp_bias"], false)?;
    let classes = &[
        (Head::Causal, "LlamaForCausalLM"),
        (Head::Classifier, "LlamaForSequenceClassification"),
        (Head::TokenClassifier, "LlamaForTokenClassification"),
    ];
    decoder::assembled(settings, &LLAMA, blueprint, classes)
}
