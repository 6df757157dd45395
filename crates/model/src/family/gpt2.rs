//! GPT-2 (Radford et al. 2019): learned positions, layer norm, one fused projection for query, key and value.

use super::settings::Settings;
use super::{Architecture, decoder};
use crate::blueprint::{
    Attention, AttentionBias, Blueprint, Direction, Dropout, Embedding, FeedForward,
    FeedForwardKind, Norm, NormKind, Position, Residual, Scale, Spread,
};
use crate::checkpoint::names::{Layout, Names};
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    settings.only("add_cross_attention", false)?;
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    let spread = settings.spread_of_weights()?;
    let dropout = settings.rate(&["classifier_dropout", "hidden_dropout"], 0.1)?;
    Ok(Architecture {
        heads: decoder::heads(settings, tied, dropout)?,
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Causal, "GPT2LMHeadModel"),
            (Head::Classifier, "GPT2ForSequenceClassification"),
            (Head::TokenClassifier, "GPT2ForTokenClassification"),
        ],
        // "We scale the weights of residual layers at initialization by a factor of 1/√N" (section 2.3), N = 2·depth.
        spread: Spread::Fixed {
            weights: spread,
            residual: spread / ((2 * blueprint.depth) as f64).sqrt(),
        },
        adapted: &["c_attn"],
        longest: blueprint.longest(),
        blueprint,
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["n_embd", "hidden_size"], 768)?;
    let norm = Norm {
        kind: NormKind::Layer,
        eps: settings.epsilon(&["layer_norm_epsilon"], 1e-5)?,
    };
    let residual = settings.rate(&["resid_pdrop"], 0.1)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["n_layer", "num_hidden_layers"], 12)?,
        direction: Direction::Causal,
        embedding: Embedding {
            vocabulary: settings.count(&["vocab_size"], 50_257)?,
            kinds: None,
            width: None,
            scale: None,
            norm: false,
            padding: None,
        },
        position: Position::Learned {
            length: settings.count(&["n_positions", "max_position_embeddings", "n_ctx"], 1024)?,
            first: 0,
        },
        attention: attention(settings, width)?,
        feed_forward: FeedForward {
            inner: settings.count(&["n_inner"], 4 * width)?,
            activation: settings.activation(&["activation_function"], Activation::GeluTanh)?,
            kind: FeedForwardKind::Plain,
            bias: true,
        },
        norm,
        residual: Residual::PreNorm,
        dropout: Dropout {
            embedding: settings.rate(&["embd_pdrop"], 0.1)?,
            attention: settings.rate(&["attn_pdrop"], 0.1)?,
            attended: residual,
            fed: residual,
            ..Dropout::default()
        },
    })
}

fn attention(settings: Settings<'_>, width: usize) -> Result<Attention> {
    let heads = &["n_head", "num_attention_heads"];
    let attention = decoder::undivided(settings, heads, 12, ("n_embd", width), AttentionBias::All)?;
    let scaled = settings.flag(&["scale_attn_weights"], true)?;
    let factor = if scaled {
        (attention.head_width as f64).powf(-0.5)
    } else {
        1.0
    };
    let by_depth = settings.flag(&["scale_attn_by_inverse_layer_idx"], false)?;
    Ok(Attention {
        scale: if by_depth {
            Scale::ByDepth(factor)
        } else {
            Scale::Same(factor)
        },
        ..attention
    })
}

fn names(depth: usize, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let [query, key, value] = ["attention.query", "attention.key", "attention.value"].map(at);
    // Layers of the reference's `Conv1D` are stored [in, out] already.
    let names = Names::new("transformer", depth)
        .same("wte.weight", "embeddings.tokens.weight")
        .same("wpe.weight", "embeddings.positions.weight")
        .norm("h.{}.ln_1", &at("attention_norm"))
        .projections("h.{}.attn.c_attn", &[&query, &key, &value], Layout::Same)
        .projections("h.{}.attn.c_proj", &[&at("attention.output")], Layout::Same)
        .norm("h.{}.ln_2", &at("feed_forward_norm"))
        .projections("h.{}.mlp.c_fc", &[&at("feed_forward.up")], Layout::Same)
        .projections("h.{}.mlp.c_proj", &[&at("feed_forward.down")], Layout::Same)
        .norm("ln_f", "stack.norm")
        // Constants that old versions of the reference wrote, and a head that is not one of ours.
        .keep(&[
            "h.{}.attn.bias",
            "h.{}.attn.masked_bias",
            "multiple_choice_head.{}",
        ]);
    decoder::head_names(names, tied, "classifier", "lm_head")
}
