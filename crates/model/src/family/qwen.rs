//! Qwen 2 (Yang et al. 2024) and Qwen 3 (Yang et al. 2025): LLaMA with biases on query, key and value, and LLaMA with
//! normalised queries and keys.

use super::Architecture;
use super::decoder::{self, Defaults, LLAMA};
use super::settings::Settings;
use crate::blueprint::{AttentionBias, Blueprint, QueryKeyNorm};
use crate::error::Result;
use crate::head::Head;

const DEFAULTS: Defaults = Defaults {
    vocabulary: 151_936,
    inner: 22_016,
    groups: Some(32),
    ..LLAMA
};

pub(super) fn second(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = windowed(settings, &DEFAULTS)?;
    blueprint.attention.bias = AttentionBias::Inputs;
    let classes = &[
        (Head::Causal, "Qwen2ForCausalLM"),
        (Head::Classifier, "Qwen2ForSequenceClassification"),
        (Head::TokenClassifier, "Qwen2ForTokenClassification"),
    ];
    decoder::assembled(settings, &DEFAULTS, blueprint, classes)
}

pub(super) fn third(settings: Settings<'_>) -> Result<Architecture> {
    let defaults = Defaults {
        head_width: Some(128),
        ..DEFAULTS
    };
    let mut blueprint = windowed(settings, &defaults)?;
    blueprint.attention.norm = QueryKeyNorm::Heads(blueprint.norm);
    let classes = &[
        (Head::Causal, "Qwen3ForCausalLM"),
        (Head::Classifier, "Qwen3ForSequenceClassification"),
        (Head::TokenClassifier, "Qwen3ForTokenClassification"),
    ];
    decoder::assembled(settings, &defaults, blueprint, classes)
}

/// With `use_sliding_window` the blocks from `max_window_layers` on look at a window.
fn windowed(settings: Settings<'_>, defaults: &Defaults) -> Result<Blueprint> {
    let mut blueprint = decoder::blueprint(settings, defaults)?;
    let used = settings.flag(&["use_sliding_window"], false)?;
    let window = settings
        .count_or_none("sliding_window", 4096)?
        .filter(|_| used);
    let first = settings.whole("max_window_layers", 28)?;
    let slides = |block| window.is_some() && block >= first;
    blueprint.attention.window = decoder::windows(settings, blueprint.depth, window, slides)?;
    Ok(blueprint)
}
