//! StarCoder 2 (Lozhkov et al. 2024): LLaMA with layer norms, biases, and a feed-forward part without a gate.

use super::Architecture;
use super::decoder::{self, Defaults, LLAMA};
use super::settings::Settings;
use crate::blueprint::{AttentionBias, Blueprint, Each, FeedForwardKind, Norm, NormKind, Spread};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

const DEFAULTS: Defaults = Defaults {
    vocabulary: 49_152,
    width: 3072,
    inner: 12_288,
    depth: 30,
    heads: 24,
    groups: Some(2),
    tied: true,
    ..LLAMA
};

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], DEFAULTS.tied)?;
    let names = names(blueprint.depth, tied);
    let classes = &[
        (Head::Causal, "Starcoder2ForCausalLM"),
        (Head::Classifier, "Starcoder2ForSequenceClassification"),
        (Head::TokenClassifier, "Starcoder2ForTokenClassification"),
    ];
    let spread = settings.number(&["initializer_range"], 0.018_042, 0.0..=1.0)?;
    Ok(Architecture {
        names,
        spread: Spread::even(spread),
        ..decoder::assembled(settings, &DEFAULTS, blueprint, classes)?
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let mut blueprint = decoder::blueprint(settings, &DEFAULTS)?;
    let bias = settings.flag(&["use_bias"], true)?;
    blueprint.norm = Norm {
        kind: NormKind::Layer,
        eps: settings.epsilon(&["norm_epsilon"], 1e-5)?,
    };
    blueprint.attention.bias = if bias {
        AttentionBias::All
    } else {
        AttentionBias::None
    };
    blueprint.attention.window = Each::Same(settings.count_if(&["sliding_window"])?);
    blueprint.feed_forward.bias = bias;
    blueprint.feed_forward.kind = FeedForwardKind::Plain;
    blueprint.feed_forward.activation =
        settings.activation(&["hidden_act"], Activation::GeluTanh)?;
    blueprint.dropout.embedding = settings.rate(&["embedding_dropout"], 0.0)?;
    blueprint.dropout.attended = settings.rate(&["residual_dropout"], 0.0)?;
    blueprint.dropout.fed = blueprint.dropout.attended;
    Ok(blueprint)
}

fn names(depth: usize, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let layer = |part: &str| format!("layers.{{}}.{part}");
    let names = Names::new("model", depth)
        .same("embed_tokens.weight", "embeddings.tokens.weight")
        .norm(&layer("input_layernorm"), &at("attention_norm"))
        .linear(&layer("self_attn.q_proj"), &at("attention.query"))
        .linear(&layer("self_attn.k_proj"), &at("attention.key"))
        .linear(&layer("self_attn.v_proj"), &at("attention.value"))
        .linear(&layer("self_attn.o_proj"), &at("attention.output"))
        .norm(&layer("post_attention_layernorm"), &at("feed_forward_norm"))
        .linear(&layer("mlp.c_fc"), &at("feed_forward.up"))
        .linear(&layer("mlp.c_proj"), &at("feed_forward.down"))
        .norm("norm", "stack.norm");
    decoder::head_names(names, tied, "score", "lm_head")
}
