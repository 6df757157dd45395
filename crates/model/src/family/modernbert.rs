//! `ModernBERT` (Warner et al. 2024): an encoder with rotary positions and gated parts, whose blocks look at a window on
//! both sides, and every third at everything.

use serde_json::Value;

use super::settings::{Settings, invalid, unsupported};
use super::{Architecture, decoder, rotary};
use crate::blueprint::{
    Attention, AttentionBias, Blueprint, ClassifierHead, Direction, Dropout, Each, Embedding,
    FeedForward, FeedForwardKind, Heads, MaskedHead, Norm, NormKind, Place, Pooler, Position,
    Projection, Residual, Spread, TokenClassifierHead,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    let spread = settings.spread_of_weights()?;
    Ok(Architecture {
        heads: heads(settings, &blueprint, tied)?,
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Masked, "ModernBertForMaskedLM"),
            (Head::Classifier, "ModernBertForSequenceClassification"),
            (Head::TokenClassifier, "ModernBertForTokenClassification"),
        ],
        spread: Spread::Fixed {
            weights: spread,
            residual: spread / ((2 * blueprint.depth) as f64).sqrt(),
        },
        // PEFT has no layers of its own choice here.
        adapted: &[],
        longest: Some(longest(settings)?),
        blueprint,
    })
}

fn longest(settings: Settings<'_>) -> Result<usize> {
    settings.count(&["max_position_embeddings"], 8192)
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["hidden_size"], 768)?;
    let depth = settings.depth(&["num_hidden_layers"], 22)?;
    let vocabulary = settings.count(&["vocab_size"], 50_368)?;
    let attention = attention(settings, width, depth)?;
    let rate = |name: &str| settings.rate(&[name], 0.0);
    Ok(Blueprint {
        width,
        depth,
        direction: Direction::Both,
        embedding: Embedding {
            vocabulary,
            padding: settings.padding_or(50_283, vocabulary)?,
            kinds: None,
            width: None,
            scale: None,
            norm: true,
        },
        position: rotations(settings, &attention, depth)?,
        attention,
        feed_forward: FeedForward {
            inner: settings.count(&["intermediate_size"], 1152)?,
            activation: settings.activation(&["hidden_activation"], Activation::Gelu)?,
            kind: FeedForwardKind::Gated,
            bias: settings.flag(&["mlp_bias"], false)?,
        },
        norm: Norm {
            kind: if settings.flag(&["norm_bias"], false)? {
                NormKind::Layer
            } else {
                NormKind::LayerWithoutBias
            },
            eps: settings.epsilon(&["norm_eps"], 1e-5)?,
        },
        residual: Residual::PreNormFromSecond,
        dropout: Dropout {
            embedding: rate("embedding_dropout")?,
            attention: rate("attention_dropout")?,
            attended: rate("attention_dropout")?,
            inner: rate("mlp_dropout")?,
            fed: 0.0,
            last: 0.0,
        },
    })
}

fn attention(settings: Settings<'_>, width: usize, depth: usize) -> Result<Attention> {
    let bias = if settings.flag(&["attention_bias"], false)? {
        AttentionBias::All
    } else {
        AttentionBias::None
    };
    let heads = &["num_attention_heads"];
    let attention = decoder::undivided(settings, heads, 12, ("hidden_size", width), bias)?;
    // Half of the places lie on each side, and the token itself between them.
    let half = settings.whole("local_attention", 128)? / 2;
    let half = settings.whole("sliding_window", half)?;
    let every = settings.count(&["global_attn_every_n_layers"], 3)?;
    let slides = |block: usize| !block.is_multiple_of(every);
    Ok(Attention {
        window: decoder::windows(settings, depth, Some(half + 1), slides)?,
        ..attention
    })
}

/// Blocks with a window have a rotation of their own.
fn rotations(settings: Settings<'_>, attention: &Attention, depth: usize) -> Result<Position> {
    let by_type = settings.object(&["rope_parameters"])?.unwrap_or_default();
    let old = settings.object(&["rope_scaling"])?;
    let longest = longest(settings)?;
    let plan = |layers: &str, field: &str, base| {
        let own = by_type.object(&[layers])?;
        if let (Some(_), Some(_)) = (old, own) {
            let why = "rope_parameters is there too; expected one of them";
            return Err(invalid(
                "rope_scaling",
                settings.value(&["rope_scaling"]),
                why,
            ));
        }
        let base = settings.number(&[field], base, 1.0..=1e15)?;
        rotary::of_blocks(old.or(own), attention.head_width, base, longest)
    };
    let far = plan("full_attention", "global_rope_theta", 160_000.0)?;
    let near = plan("sliding_attention", "local_rope_theta", 10_000.0)?;
    let of = |block| match attention.window.of(block) {
        Some(_) => Some(near.clone()),
        None => Some(far.clone()),
    };
    Ok(Position::Rotary(Each::Own((0..depth).map(of).collect())))
}

fn heads(settings: Settings<'_>, blueprint: &Blueprint, tied: bool) -> Result<Heads> {
    let bias = settings.flag(&["classifier_bias"], false)?;
    let activation = settings.activation(&["classifier_activation"], Activation::Gelu)?;
    let pooler = Some(Pooler {
        dropout: 0.0,
        projection: if bias {
            Projection::Biased
        } else {
            Projection::Bare
        },
        activation: Some(activation),
        norm: Some(blueprint.norm),
    });
    let dropout = settings.rate(&["classifier_dropout"], 0.0)?;
    let labels = settings.labels()?;
    Ok(Heads {
        classifier: Some(ClassifierHead {
            again: None,
            place: place(settings)?,
            pooler,
            bias: true,
            dropout,
            labels,
        }),
        token_classifier: Some(TokenClassifierHead {
            pooler,
            bias: true,
            dropout,
            labels,
        }),
        masked: Some(MaskedHead {
            tied,
            activation,
            transform_bias: bias,
            bias: settings.flag(&["decoder_bias"], true)?,
        }),
        ..Heads::default()
    })
}

fn place(settings: Settings<'_>) -> Result<Place> {
    let field = "classifier_pooling";
    match settings.text(&[field])? {
        None | Some("cls") => Ok(Place::First),
        Some("mean") => Ok(Place::Mean),
        Some(other) => {
            let known = "implemented are cls and mean";
            Err(unsupported(field, &Value::from(other), known))
        }
    }
}

fn names(depth: usize, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let [query, key, value] = ["attention.query", "attention.key", "attention.value"].map(at);
    let [gate, up] = ["feed_forward.gate", "feed_forward.up"].map(at);
    let names = Names::new("model", depth)
        .same(
            "embeddings.tok_embeddings.weight",
            "embeddings.tokens.weight",
        )
        .norm("embeddings.norm", "embeddings.norm")
        .norm("layers.{}.attn_norm", &at("attention_norm"))
        .fused("layers.{}.attn.Wqkv", &[&query, &key, &value])
        .linear("layers.{}.attn.Wo", &at("attention.output"))
        .norm("layers.{}.mlp_norm", &at("feed_forward_norm"))
        .fused("layers.{}.mlp.Wi", &[&gate, &up])
        .linear("layers.{}.mlp.Wo", &at("feed_forward.down"))
        .norm("final_norm", "stack.norm")
        .bare();
    let names = [Head::Classifier, Head::TokenClassifier]
        .into_iter()
        .fold(names, |names, head| {
            names
                .head(head)
                .linear("head.dense", "pooler")
                .norm("head.norm", "norm")
                .linear("classifier", "head")
        })
        .head(Head::Masked)
        .linear("head.dense", "transform")
        .norm("head.norm", "norm");
    decoder::biased_output(names, tied, "decoder", "decoder")
}
