//! Gemma (Gemma Team 2024), Gemma 2 (2024) and the text part of Gemma 3 (2025): scaled embeddings, norms that multiply
//! by `1 + weight`; then norms on both sides of each part, bounded scores, and blocks that look at a window between
//! blocks that look at everything.

use super::decoder::{self, Defaults, LLAMA};
use super::settings::Settings;
use super::{Architecture, rotary};
use crate::blueprint::{Blueprint, Each, NormKind, Position, QueryKeyNorm, Residual, Scale};
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

const FIRST: Defaults = Defaults {
    vocabulary: 256_000,
    width: 3072,
    inner: 24_576,
    depth: 28,
    heads: 16,
    groups: Some(16),
    head_width: Some(256),
    tied: true,
    padding: Some(0),
    ..LLAMA
};

const SECOND: Defaults = Defaults {
    width: 2304,
    inner: 9216,
    depth: 26,
    heads: 8,
    groups: Some(4),
    ..FIRST
};

const THIRD: Defaults = Defaults {
    vocabulary: 262_208,
    base: 1e6,
    ..SECOND
};

pub(super) fn first(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = trunk(settings, &FIRST)?;
    // The reference's "gelu" means the approximation here, as in the files of the first release.
    blueprint.feed_forward.activation =
        match settings.activation(&["hidden_act"], Activation::GeluTanh)? {
            Activation::Gelu => Activation::GeluTanh,
            other => other,
        };
    let classes = &[
        (Head::Causal, "GemmaForCausalLM"),
        (Head::Classifier, "GemmaForSequenceClassification"),
        (Head::TokenClassifier, "GemmaForTokenClassification"),
    ];
    decoder::assembled(settings, &FIRST, blueprint, classes)
}

pub(super) fn second(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = sandwiched(settings, &SECOND, Some(50.0), |block| block % 2 == 0)?;
    let classes = &[
        (Head::Causal, "Gemma2ForCausalLM"),
        (Head::Classifier, "Gemma2ForSequenceClassification"),
        (Head::TokenClassifier, "Gemma2ForTokenClassification"),
    ];
    bounded(settings, &SECOND, blueprint, Some(30.0), classes)
}

pub(super) fn third(settings: Settings<'_>) -> Result<Architecture> {
    let every = settings.count(&["sliding_window_pattern"], 6)?;
    let slides = |block: usize| !(block + 1).is_multiple_of(every);
    let mut blueprint = sandwiched(settings, &THIRD, None, slides)?;
    blueprint.attention.norm = QueryKeyNorm::Heads(blueprint.norm);
    blueprint.position = two_rotations(settings, &blueprint)?;
    let classes = &[
        (Head::Causal, "Gemma3ForCausalLM"),
        (Head::Classifier, "Gemma3TextForSequenceClassification"),
    ];
    bounded(settings, &THIRD, blueprint, None, classes)
}

fn trunk(settings: Settings<'_>, defaults: &Defaults) -> Result<Blueprint> {
    settings.only("use_bidirectional_attention", false)?;
    let mut blueprint = decoder::blueprint(settings, defaults)?;
    blueprint.norm.kind = NormKind::RmsFromOne;
    // The reference takes the root in f32.
    blueprint.embedding.scale = Some(f64::from((blueprint.width as f64).sqrt() as f32));
    Ok(blueprint)
}

fn sandwiched(
    settings: Settings<'_>,
    defaults: &Defaults,
    cap: Option<f64>,
    slides: impl Fn(usize) -> bool,
) -> Result<Blueprint> {
    let mut blueprint = trunk(settings, defaults)?;
    blueprint.residual = Residual::Sandwich;
    blueprint.feed_forward.activation =
        settings.activation(&["hidden_activation"], Activation::GeluTanh)?;
    let scalar = settings.number(&["query_pre_attn_scalar"], 256.0, 1e-6..=1e9)?;
    blueprint.attention.scale = Scale::Same(scalar.powf(-0.5));
    blueprint.attention.cap = settings.bound("attn_logit_softcapping", cap)?;
    let window = settings.count_or_none("sliding_window", 4096)?;
    blueprint.attention.window = decoder::windows(settings, blueprint.depth, window, slides)?;
    Ok(blueprint)
}

/// Blocks with a window have a rotation of their own.
fn two_rotations(settings: Settings<'_>, blueprint: &Blueprint) -> Result<Position> {
    let width = blueprint.attention.head_width;
    let nested = settings.object(&["rope_parameters"])?.unwrap_or_default();
    let (near, far) = (
        nested.object(&["sliding_attention"])?,
        nested.object(&["full_attention"])?,
    );
    let old = settings.object(&["rope_scaling"])?;
    let far = rotary::plan_of(settings, old.or(far), width, THIRD.base, 1.0)?;
    let local = settings.number(&["rope_local_base_freq"], 10_000.0, 1.0..=1e15)?;
    // `rope_theta` of the whole file is that of the other blocks.
    let longest = settings.count(&["max_position_embeddings"], 131_072)?;
    let near = rotary::of_blocks(near, width, local, longest)?;
    let of = |block| match blueprint.attention.window.of(block) {
        Some(_) => Some(near.clone()),
        None => Some(far.clone()),
    };
    Ok(Position::Rotary(Each::Own(
        blueprint.blocks().map(of).collect(),
    )))
}

fn bounded(
    settings: Settings<'_>,
    defaults: &Defaults,
    blueprint: Blueprint,
    cap: Option<f64>,
    classes: &'static [(Head, &'static str)],
) -> Result<Architecture> {
    let mut architecture = decoder::assembled(settings, defaults, blueprint, classes)?;
    if let Some(causal) = &mut architecture.heads.causal {
        causal.cap = settings.bound("final_logit_softcapping", cap)?;
    }
    Ok(architecture)
}
