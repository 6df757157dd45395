//! GPT-NeoX (Black et al. 2022), the architecture of Pythia: partial rotation, both parts of a block beside each other,
//! and one projection in which every head has its query, key and value.

use super::settings::Settings;
use super::{Architecture, decoder, rotary};
use crate::blueprint::{
    Attention, AttentionBias, Blueprint, Direction, Dropout, Each, Embedding, FeedForward,
    FeedForwardKind, Norm, NormKind, Position, Residual,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    settings.only("is_decoder", false)?;
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], false)?;
    let dropout = settings.rate(&["classifier_dropout"], 0.1)?;
    Ok(Architecture {
        heads: decoder::heads(settings, tied, dropout)?,
        names: names(&blueprint, tied),
        classes: &[
            (Head::Causal, "GPTNeoXForCausalLM"),
            (Head::Classifier, "GPTNeoXForSequenceClassification"),
            (Head::TokenClassifier, "GPTNeoXForTokenClassification"),
        ],
        spread: settings.spread()?,
        adapted: &["query_key_value"],
        longest: settings.count_if(&["max_position_embeddings"])?,
        blueprint,
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["hidden_size"], 6144)?;
    let attention = attention(settings, width)?;
    let parallel = settings.flag(&["use_parallel_residual"], true)?;
    let nested = settings.object(&["rope_scaling", "rope_parameters"])?;
    let base = settings.number(&["rotary_emb_base"], 10_000.0, 1.0..=1e15)?;
    let rotary = rotary::plan_of(settings, nested, attention.head_width, base, 0.25)?;
    let hidden = settings.rate(&["hidden_dropout"], 0.0)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["num_hidden_layers"], 44)?,
        direction: Direction::Causal,
        embedding: Embedding {
            vocabulary: settings.count(&["vocab_size"], 50_432)?,
            kinds: None,
            width: None,
            scale: None,
            norm: false,
            padding: None,
        },
        position: Position::Rotary(Each::Same(Some(rotary))),
        feed_forward: FeedForward {
            inner: settings.count(&["intermediate_size"], 24_576)?,
            activation: settings.activation(&["hidden_act"], Activation::Gelu)?,
            kind: FeedForwardKind::Plain,
            bias: true,
        },
        norm: Norm {
            kind: NormKind::Layer,
            eps: settings.epsilon(&["layer_norm_eps"], 1e-5)?,
        },
        residual: if parallel {
            Residual::Parallel
        } else {
            Residual::PreNorm
        },
        dropout: Dropout {
            embedding: hidden,
            attention: settings.rate(&["attention_dropout"], 0.0)?,
            attended: hidden,
            fed: hidden,
            ..Dropout::default()
        },
        attention,
    })
}

fn attention(settings: Settings<'_>, width: usize) -> Result<Attention> {
    let bias = if settings.flag(&["attention_bias"], true)? {
        AttentionBias::All
    } else {
        AttentionBias::None
    };
    decoder::undivided(
        settings,
        &["num_attention_heads"],
        64,
        ("hidden_size", width),
        bias,
    )
}

fn names(blueprint: &Blueprint, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let [query, key, value] = ["attention.query", "attention.key", "attention.value"].map(at);
    let heads = blueprint.attention.heads;
    let names = Names::new("gpt_neox", blueprint.depth)
        .same("embed_in.weight", "embeddings.tokens.weight")
        .norm("layers.{}.input_layernorm", &at("attention_norm"))
        .interleaved(
            "layers.{}.attention.query_key_value",
            &[&query, &key, &value],
            heads,
        )
        .linear("layers.{}.attention.dense", &at("attention.output"))
        .norm(
            "layers.{}.post_attention_layernorm",
            &at("feed_forward_norm"),
        )
        .linear("layers.{}.mlp.dense_h_to_4h", &at("feed_forward.up"))
        .linear("layers.{}.mlp.dense_4h_to_h", &at("feed_forward.down"))
        .norm("final_layer_norm", "stack.norm")
        // Constants that old versions of the reference wrote.
        .keep(&[
            "layers.{}.attention.bias",
            "layers.{}.attention.masked_bias",
            "layers.{}.attention.rotary_emb.inv_freq",
        ]);
    decoder::head_names(names, tied, "classifier", "embed_out")
}
