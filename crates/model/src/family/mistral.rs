//! Mistral (Jiang et al. 2023): LLaMA with a sliding window.

use super::Architecture;
use super::decoder::{self, Defaults, LLAMA};
use super::settings::Settings;
use crate::blueprint::{AttentionBias, Each};
use crate::error::Result;
use crate::head::Head;

const DEFAULTS: Defaults = Defaults {
    inner: 14_336,
    groups: Some(8),
    ..LLAMA
};

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = decoder::blueprint(settings, &DEFAULTS)?;
    blueprint.attention.bias = AttentionBias::None;
    blueprint.attention.window = Each::Same(settings.count_or_none("sliding_window", 4096)?);
    let classes = &[
        (Head::Causal, "MistralForCausalLM"),
        (Head::Classifier, "MistralForSequenceClassification"),
        (Head::TokenClassifier, "MistralForTokenClassification"),
    ];
    decoder::assembled(settings, &DEFAULTS, blueprint, classes)
}
