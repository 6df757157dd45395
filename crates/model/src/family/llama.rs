//! LLaMA (Touvron et al. 2023): grouped heads, RMS norm, rotary positions, gated feed-forward.

use serde_json::Value;

use super::Architecture;
use super::settings::{Settings, invalid, unsupported};
use crate::blueprint::{
    Attention, AttentionBias, Blueprint, CausalHead, ClassifierHead, Direction, Dropout, Embedding,
    FeedForward, FeedForwardKind, Heads, Norm, NormKind, Place, Position, Residual, Rotary, Scale,
    Scaling, Spread,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], false)?;
    let spread = settings.number(&["initializer_range"], 0.02, 0.0..=1.0)?;
    Ok(Architecture {
        heads: Heads {
            causal: Some(CausalHead { tied }),
            classifier: Some(ClassifierHead {
                place: Place::Last,
                pooler: None,
                bias: false,
                dropout: 0.0,
                labels: settings.labels()?,
            }),
            masked: None,
        },
        adapted: &["q_proj", "v_proj"],
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Causal, "LlamaForCausalLM"),
            (Head::Classifier, "LlamaForSequenceClassification"),
        ],
        spread: Spread {
            weights: spread,
            residual: spread,
        },
        longest: settings.count_if(&["max_position_embeddings"])?,
        blueprint,
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["hidden_size"], 4096)?;
    let attention = attention(settings, width)?;
    let vocabulary = settings.count(&["vocab_size"], 32_000)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["num_hidden_layers"], 32)?,
        direction: Direction::Causal,
        embedding: Embedding {
            vocabulary,
            padding: settings.padding(vocabulary)?,
            kinds: None,
            norm: false,
        },
        position: Position::Rotary(rotary(settings, attention.head_width)?),
        feed_forward: FeedForward {
            inner: settings.count(&["intermediate_size"], 11_008)?,
            activation: settings.activation(&["hidden_act"], Activation::Silu)?,
            kind: FeedForwardKind::Gated,
            bias: settings.flag(&["mlp_bias"], false)?,
        },
        norm: Norm {
            kind: NormKind::Rms,
            eps: settings.epsilon(&["rms_norm_eps"], 1e-6)?,
        },
        residual: Residual::PreNorm,
        dropout: Dropout {
            attention: settings.rate(&["attention_dropout"], 0.0)?,
            ..Dropout::default()
        },
        attention,
    })
}

fn attention(settings: Settings<'_>, width: usize) -> Result<Attention> {
    let heads = settings.count(&["num_attention_heads"], 32)?;
    let groups = settings.count(&["num_key_value_heads"], heads)?;
    if !heads.is_multiple_of(groups) {
        let why = format!("expected a divisor of num_attention_heads ({heads})");
        let field = "num_key_value_heads";
        return Err(invalid(field, settings.value(&[field]), why));
    }
    let head_width = settings.count_if(&["head_dim"])?;
    if head_width.is_none() && !width.is_multiple_of(heads) {
        let why = format!("expected a multiple of num_attention_heads ({heads}), or a head_dim");
        return Err(invalid("hidden_size", Some(&width.into()), why));
    }
    let head_width = head_width.unwrap_or(width / heads);
    let bias = settings.flag(&["attention_bias"], false)?;
    Ok(Attention {
        heads,
        groups,
        head_width,
        bias: if bias {
            AttentionBias::All
        } else {
            AttentionBias::None
        },
        scale: Scale::Same((head_width as f64).powf(-0.5)),
    })
}

/// Rotary settings lie in `rope_parameters` (transformers 5), or in `rope_theta` and `rope_scaling` (before).
pub(super) fn rotary(settings: Settings<'_>, head_width: usize) -> Result<Rotary> {
    if !head_width.is_multiple_of(2) {
        let why = "expected an even number of features per head, for rotary positions";
        return Err(invalid("head_dim", Some(&head_width.into()), why));
    }
    let nested = settings.object(&["rope_parameters", "rope_scaling"])?;
    let theta = &["rope_theta"];
    let base = match nested {
        Some(nested) if nested.value(theta).is_some() => nested.number(theta, 0.0, 1.0..=1e15)?,
        _ => settings.number(theta, 10_000.0, 1.0..=1e15)?,
    };
    let scaling = match nested {
        None => Scaling::None,
        Some(nested) => scaling(nested)?,
    };
    Ok(Rotary {
        base,
        width: head_width,
        scaling,
    })
}

fn scaling(nested: Settings<'_>) -> Result<Scaling> {
    const FACTOR: std::ops::RangeInclusive<f64> = 1.0..=1e6;
    let factor = || nested.number(&["factor"], 1.0, FACTOR);
    match nested.text(&["rope_type", "type"])?.unwrap_or("default") {
        "default" => Ok(Scaling::None),
        "linear" => Ok(Scaling::Linear { factor: factor()? }),
        "llama3" => {
            let low = nested.number(&["low_freq_factor"], 1.0, 1e-6..=1e6)?;
            let high = nested.number(&["high_freq_factor"], 4.0, 1e-6..=1e6)?;
            if high <= low {
                let value = nested.value(&["high_freq_factor"]);
                let why = format!("expected more than low_freq_factor ({low})");
                return Err(invalid("high_freq_factor", value, why));
            }
            Ok(Scaling::Llama3 {
                factor: factor()?,
                low,
                high,
                original: nested.count(&["original_max_position_embeddings"], 8192)?,
            })
        }
        other => {
            let known = "implemented are default, linear, llama3";
            Err(unsupported("rope_type", &Value::from(other), known))
        }
    }
}

fn names(depth: usize, tied: bool) -> Names {
    let block = "stack.blocks.{}";
    let at = |part: &str| format!("{block}.{part}");
    let names = Names::new("model", depth)
        .same("embed_tokens.weight", "embeddings.tokens.weight")
        .norm("layers.{}.input_layernorm", &at("attention_norm"))
        .linear("layers.{}.self_attn.q_proj", &at("attention.query"))
        .linear("layers.{}.self_attn.k_proj", &at("attention.key"))
        .linear("layers.{}.self_attn.v_proj", &at("attention.value"))
        .linear("layers.{}.self_attn.o_proj", &at("attention.output"))
        .norm(
            "layers.{}.post_attention_layernorm",
            &at("feed_forward_norm"),
        )
        .linear("layers.{}.mlp.gate_proj", &at("feed_forward.gate"))
        .linear("layers.{}.mlp.up_proj", &at("feed_forward.up"))
        .linear("layers.{}.mlp.down_proj", &at("feed_forward.down"))
        .norm("norm", "stack.norm")
        // A constant that old versions of the reference wrote.
        .keep(&["layers.{}.self_attn.rotary_emb.inv_freq"])
        .bare()
        .head(Head::Classifier)
        .linear("score", "head")
        .head(Head::Causal);
    if tied {
        names.copy("lm_head.weight", "embeddings.tokens.weight")
    } else {
        names.linear("lm_head", "head")
    }
}
