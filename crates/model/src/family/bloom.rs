//! BLOOM (BigScience 2022): a bias that falls with distance instead of positions, a norm on the embeddings, and one
//! projection in which every head has its query, key and value.

use super::settings::Settings;
use super::{Architecture, decoder};
use crate::blueprint::{
    AttentionBias, Blueprint, Direction, Dropout, Embedding, FeedForward, FeedForwardKind, Norm,
    NormKind, Position, Residual,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    let dropout = settings.rate(&["classifier_dropout", "hidden_dropout"], 0.0)?;
    Ok(Architecture {
        heads: decoder::heads(settings, tied, dropout)?,
        names: names(&blueprint, tied),
        classes: &[
            (Head::Causal, "BloomForCausalLM"),
            (Head::Classifier, "BloomForSequenceClassification"),
            (Head::TokenClassifier, "BloomForTokenClassification"),
        ],
        spread: settings.spread()?,
        adapted: &["query_key_value"],
        longest: settings.count_if(&["seq_length"])?,
        blueprint,
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["n_embed", "hidden_size"], 64)?;
    let normed = settings.flag(&["apply_residual_connection_post_layernorm"], false)?;
    let hidden = settings.rate(&["hidden_dropout"], 0.0)?;
    let heads = &["n_head", "num_attention_heads"];
    Ok(Blueprint {
        width,
        depth: settings.depth(&["n_layer", "num_hidden_layers"], 2)?,
        direction: Direction::Causal,
        embedding: Embedding {
            vocabulary: settings.count(&["vocab_size"], 250_880)?,
            kinds: None,
            width: None,
            scale: None,
            norm: true,
            padding: None,
        },
        position: Position::Alibi,
        attention: decoder::undivided(
            settings,
            heads,
            8,
            ("hidden_size", width),
            AttentionBias::All,
        )?,
        feed_forward: FeedForward {
            inner: 4 * width,
            activation: Activation::GeluTanh,
            kind: FeedForwardKind::Plain,
            bias: true,
        },
        norm: Norm {
            kind: NormKind::Layer,
            eps: settings.epsilon(&["layer_norm_epsilon"], 1e-5)?,
        },
        residual: if normed {
            Residual::NormedStream
        } else {
            Residual::PreNorm
        },
        dropout: Dropout {
            embedding: 0.0,
            attention: settings.rate(&["attention_dropout"], 0.0)?,
            attended: hidden,
            fed: hidden,
            ..Dropout::default()
        },
    })
}

fn names(blueprint: &Blueprint, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let [query, key, value] = ["attention.query", "attention.key", "attention.value"].map(at);
    let projection = "h.{}.self_attention.query_key_value";
    let heads = blueprint.attention.heads;
    let names = Names::new("transformer", blueprint.depth)
        .same("word_embeddings.weight", "embeddings.tokens.weight")
        .norm("word_embeddings_layernorm", "embeddings.norm")
        .norm("h.{}.input_layernorm", &at("attention_norm"))
        .interleaved(projection, &[&query, &key, &value], heads)
        .linear("h.{}.self_attention.dense", &at("attention.output"))
        .norm("h.{}.post_attention_layernorm", &at("feed_forward_norm"))
        .linear("h.{}.mlp.dense_h_to_4h", &at("feed_forward.up"))
        .linear("h.{}.mlp.dense_4h_to_h", &at("feed_forward.down"))
        .norm("ln_f", "stack.norm");
    decoder::head_names(names, tied, "classifier", "lm_head")
}
