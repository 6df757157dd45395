//! OLMo 2 (OLMo Team 2024): LLaMA with the norms after each part, and queries and keys normalised over all heads.

use super::Architecture;
use super::decoder::{self, Defaults, LLAMA};
use super::settings::Settings;
use crate::blueprint::{QueryKeyNorm, Residual};
use crate::error::Result;
use crate::head::Head;

const DEFAULTS: Defaults = Defaults {
    vocabulary: 50_304,
    eps: 1e-5,
    padding: Some(1),
    ..LLAMA
};

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = decoder::blueprint(settings, &DEFAULTS)?;
    blueprint.residual = Residual::OutputNorm;
    blueprint.attention.norm = QueryKeyNorm::Whole(blueprint.norm);
    let classes = &[
        (Head::Causal, "Olmo2ForCausalLM"),
        (Head::Classifier, "Olmo2ForSequenceClassification"),
    ];
    decoder::assembled(settings, &DEFAULTS, blueprint, classes)
}
