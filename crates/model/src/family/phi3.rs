//! Phi-3 (Abdin et al. 2024): LLaMA with fused projections.

use super::Architecture;
use super::decoder::{self, Defaults, LLAMA};
use super::settings::Settings;
use crate::blueprint::{AttentionBias, Each};
use crate::error::Result;
use crate::head::Head;

const DEFAULTS: Defaults = Defaults {
    vocabulary: 32_064,
    width: 3072,
    inner: 8192,
    eps: 1e-5,
    padding: Some(32_000),
    ..LLAMA
};

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = decoder::blueprint(settings, &DEFAULTS)?;
    blueprint.attention.bias = AttentionBias::None;
    blueprint.attention.window = Each::Same(settings.count_if(&["sliding_window"])?);
    blueprint.dropout.embedding = settings.rate(&["embd_pdrop"], 0.0)?;
    let residual = settings.rate(&["resid_pdrop"], 0.0)?;
    (blueprint.dropout.attended, blueprint.dropout.fed) = (residual, residual);
    let classes = &[
        (Head::Causal, "Phi3ForCausalLM"),
        (Head::Classifier, "Phi3ForSequenceClassification"),
        (Head::TokenClassifier, "Phi3ForTokenClassification"),
    ];
    let mut architecture = decoder::assembled(settings, &DEFAULTS, blueprint, classes)?;
    let tied = architecture.heads.causal.is_some_and(|head| head.tied);
    architecture.names = decoder::fused_names(&architecture.blueprint, tied);
    architecture.adapted = &["qkv_proj"];
    Ok(architecture)
}
