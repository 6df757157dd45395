//! What the decoders after LLaMA share: the fields of their `config.json`, and the names of their tensors.

use serde_json::Value;

use super::settings::{Settings, invalid, unsupported};
use super::{Architecture, rotary};
use crate::blueprint::{
    Attention, AttentionBias, Blueprint, CausalHead, ClassifierHead, Direction, Dropout, Each,
    Embedding, FeedForward, FeedForwardKind, Heads, Norm, NormKind, Place, Position, Predicts,
    QueryKeyNorm, Residual, Scale, TokenClassifierHead,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

/// What a family's reference takes where `config.json` is silent.
pub(super) struct Defaults {
    pub(super) vocabulary: usize,
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) depth: usize,
    pub(super) heads: usize,
    /// Key heads; `None`: as many as query heads.
    pub(super) groups: Option<usize>,
    /// Features of a head; `None`: the width divided by the heads.
    pub(super) head_width: Option<usize>,
    pub(super) eps: f64,
    /// The base of the rotation.
    pub(super) base: f64,
    /// The token that fills rows.
    pub(super) padding: Option<usize>,
    pub(super) tied: bool,
}

/// LLaMA's own.
pub(super) const LLAMA: Defaults = Defaults {
    vocabulary: 32_000,
    width: 4096,
    inner: 11_008,
    depth: 32,
    heads: 32,
    groups: None,
    head_width: None,
    eps: 1e-6,
    base: 10_000.0,
    padding: None,
    tied: false,
};

/// The trunk of a LLaMA; families change what they do otherwise.
pub(super) fn blueprint(settings: Settings<'_>, defaults: &Defaults) -> Result<Blueprint> {
    let width = settings.count(&["hidden_size"], defaults.width)?;
    let attention = attention(settings, width, defaults)?;
    let vocabulary = settings.count(&["vocab_size"], defaults.vocabulary)?;
    let rotary = rotary::plan(settings, attention.head_width, defaults.base)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["num_hidden_layers"], defaults.depth)?,
        direction: Direction::Causal,
        embedding: Embedding {
            vocabulary,
            padding: match defaults.padding {
                Some(token) => settings.padding_or(token, vocabulary)?,
                None => settings.padding(vocabulary)?,
            },
            kinds: None,
            width: None,
            scale: None,
            norm: false,
        },
        position: Position::Rotary(Each::Same(Some(rotary))),
        feed_forward: FeedForward {
            inner: settings.count(&["intermediate_size"], defaults.inner)?,
            activation: settings.activation(&["hidden_act"], Activation::Silu)?,
            kind: FeedForwardKind::Gated,
            bias: false,
        },
        norm: Norm {
            kind: NormKind::Rms,
            eps: settings.epsilon(&["rms_norm_eps"], defaults.eps)?,
        },
        residual: Residual::PreNorm,
        dropout: Dropout {
            attention: settings.rate(&["attention_dropout"], 0.0)?,
            ..Dropout::default()
        },
        attention,
    })
}

fn attention(settings: Settings<'_>, width: usize, defaults: &Defaults) -> Result<Attention> {
    let heads = settings.count(&["num_attention_heads"], defaults.heads)?;
    // A null means "as many as heads", nothing at all means the family's own number.
    let groups = match defaults.groups {
        Some(groups) if !settings.is_null("num_key_value_heads") => groups,
        _ => heads,
    };
    let groups = settings.count(&["num_key_value_heads"], groups)?;
    if !heads.is_multiple_of(groups) {
        let why = format!("expected a divisor of num_attention_heads ({heads})");
        return Err(invalid("num_key_value_heads", Some(&groups.into()), why));
    }
    let own = match defaults.head_width {
        Some(width) if !settings.is_null("head_dim") => Some(width),
        _ => None,
    };
    let head_width = settings.count_if(&["head_dim"])?.or(own);
    if head_width.is_none() && !width.is_multiple_of(heads) {
        let why = format!("expected a multiple of num_attention_heads ({heads})");
        return Err(invalid("hidden_size", Some(&width.into()), why));
    }
    let head_width = head_width.unwrap_or(width / heads);
    let bias = if settings.flag(&["attention_bias"], false)? {
        AttentionBias::All
    } else {
        AttentionBias::None
    };
    let scale = Scale::Same((head_width as f64).powf(-0.5));
    Ok(grouped(heads, groups, head_width, bias, scale))
}

/// Which blocks look at a window only, from `layer_types`, or from a rule where the file has none.
pub(super) fn windows(
    settings: Settings<'_>,
    depth: usize,
    window: Option<usize>,
    slides: impl Fn(usize) -> bool,
) -> Result<Each<Option<usize>>> {
    let slides: Vec<bool> = match settings.texts("layer_types")? {
        None => (0..depth).map(slides).collect(),
        Some(types) => {
            let of = |name: &&str| match *name {
                "sliding_attention" => Ok(true),
                "full_attention" => Ok(false),
                other => {
                    let known = "implemented are full_attention and sliding_attention";
                    Err(unsupported("layer_types", &Value::from(other), known))
                }
            };
            types.iter().map(of).collect::<Result<_>>()?
        }
    };
    if slides.len() != depth {
        let why = format!(
            "expected one for each of {depth} blocks, found {}",
            slides.len()
        );
        return Err(invalid(
            "layer_types",
            settings.value(&["layer_types"]),
            why,
        ));
    }
    let of = |slides: &bool| if *slides { window } else { None };
    Ok(Each::Own(slides.iter().map(of).collect()))
}

/// An attention whose heads share the width among them, each with keys of its own.
///
/// # Arguments
/// - `names`, `default`: the field that has the number of heads, and what it is where the file is silent
/// - `width`: the field that has the width, for errors, and the width
pub(super) fn undivided(
    settings: Settings<'_>,
    names: &[&str],
    default: usize,
    (field, width): (&str, usize),
    bias: AttentionBias,
) -> Result<Attention> {
    let heads = settings.count(names, default)?;
    if !width.is_multiple_of(heads) {
        let why = format!("expected a multiple of {} ({heads})", names[0]);
        return Err(invalid(field, Some(&width.into()), why));
    }
    let head_width = width / heads;
    let scale = Scale::Same((head_width as f64).powf(-0.5));
    Ok(grouped(heads, heads, head_width, bias, scale))
}

/// An attention without norms, bounds and windows.
pub(super) fn grouped(
    heads: usize,
    groups: usize,
    head_width: usize,
    bias: AttentionBias,
    scale: Scale,
) -> Attention {
    Attention {
        heads,
        groups,
        head_width,
        bias,
        scale,
        norm: QueryKeyNorm::None,
        cap: None,
        window: Each::Same(None),
    }
}

/// The heads of a decoder: the next token, the class by the last token, or the class of every token.
///
/// # Arguments
/// - `dropout`: the rate before the classes of tokens
pub(super) fn heads(settings: Settings<'_>, tied: bool, dropout: f64) -> Result<Heads> {
    Ok(Heads {
        causal: Some(CausalHead {
            tied,
            bias: false,
            cap: None,
            predicts: Predicts::Next,
        }),
        classifier: Some(ClassifierHead {
            again: None,
            place: Place::Last,
            pooler: None,
            bias: false,
            dropout: 0.0,
            labels: settings.labels()?,
        }),
        token_classifier: Some(TokenClassifierHead {
            pooler: None,
            bias: true,
            dropout,
            labels: settings.labels()?,
        }),
        ..Heads::default()
    })
}

/// Everything around the trunk.
pub(super) fn assembled(
    settings: Settings<'_>,
    defaults: &Defaults,
    blueprint: Blueprint,
    classes: &'static [(Head, &'static str)],
) -> Result<Architecture> {
    let tied = settings.flag(&["tie_word_embeddings"], defaults.tied)?;
    let dropout = settings.rate(&["classifier_dropout", "hidden_dropout"], 0.1)?;
    let mut heads = heads(settings, tied, dropout)?;
    let bias = settings.flag(&["token_classification_bias"], true)?;
    // The reference has not every head in every family.
    let known = |head| classes.iter().any(|(known, _)| *known == head);
    heads.token_classifier = heads
        .token_classifier
        .filter(|_| known(Head::TokenClassifier));
    if let Some(head) = &mut heads.token_classifier {
        head.bias = bias;
    }
    Ok(Architecture {
        heads,
        adapted: &["q_proj", "v_proj"],
        names: names(&blueprint, tied),
        classes,
        spread: settings.spread()?,
        longest: settings.count_if(&["max_position_embeddings"])?,
        blueprint,
    })
}

/// The names that these families share.
pub(super) fn names(blueprint: &Blueprint, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let attention = |part: &str| format!("layers.{{}}.self_attn.{part}");
    let names = Names::new("model", blueprint.depth)
        .linear(&attention("q_proj"), &at("attention.query"))
        .linear(&attention("k_proj"), &at("attention.key"))
        .linear(&attention("v_proj"), &at("attention.value"))
        .linear("layers.{}.mlp.gate_proj", &at("feed_forward.gate"))
        .linear("layers.{}.mlp.up_proj", &at("feed_forward.up"));
    around(names, blueprint, tied)
}

/// The same for files that fuse projections: `qkv_proj` and `gate_up_proj`.
pub(super) fn fused_names(blueprint: &Blueprint, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let [query, key, value] = ["attention.query", "attention.key", "attention.value"].map(at);
    let [gate, up] = ["feed_forward.gate", "feed_forward.up"].map(at);
    let names = Names::new("model", blueprint.depth)
        .fused("layers.{}.self_attn.qkv_proj", &[&query, &key, &value])
        .fused("layers.{}.mlp.gate_up_proj", &[&gate, &up]);
    around(names, blueprint, tied)
}

fn around(names: Names, blueprint: &Blueprint, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    // What a family calls its norms depends on where they stand.
    let norms: &[(&str, &str)] = match blueprint.residual {
        Residual::OutputNorm => &[
            ("post_attention_layernorm", "attention_norm"),
            ("post_feedforward_layernorm", "feed_forward_norm"),
        ],
        Residual::Sandwich => &[
            ("input_layernorm", "attention_norm"),
            ("post_attention_layernorm", "attention_output_norm"),
            ("pre_feedforward_layernorm", "feed_forward_norm"),
            ("post_feedforward_layernorm", "feed_forward_output_norm"),
        ],
        _ => &[
            ("input_layernorm", "attention_norm"),
            ("post_attention_layernorm", "feed_forward_norm"),
        ],
    };
    let names = norms.iter().fold(names, |names, (name, path)| {
        names.norm(&format!("layers.{{}}.{name}"), &at(path))
    });
    let names = names
        .same("embed_tokens.weight", "embeddings.tokens.weight")
        .norm("layers.{}.self_attn.q_norm", &at("attention.query_norm"))
        .norm("layers.{}.self_attn.k_norm", &at("attention.key_norm"))
        .linear("layers.{}.self_attn.o_proj", &at("attention.output"))
        .linear("layers.{}.mlp.down_proj", &at("feed_forward.down"))
        .norm("norm", "stack.norm")
        // A constant that old versions of the reference wrote.
        .keep(&["layers.{}.self_attn.rotary_emb.inv_freq"]);
    head_names(names, tied, "score", "lm_head")
}

/// The names of the heads that decoders have.
///
/// # Arguments
/// - `tokens`: what the projection to the classes of tokens is called
/// - `output`: what the projection to the vocabulary is called
pub(super) fn head_names(names: Names, tied: bool, tokens: &str, output: &str) -> Names {
    let names = names
        .bare()
        .head(Head::Classifier)
        .linear("score", "head")
        .head(Head::TokenClassifier)
        .linear(tokens, "head")
        .head(Head::Causal);
    if tied {
        names.copy(&format!("{output}.weight"), "embeddings.tokens.weight")
    } else {
        names.linear(output, "head")
    }
}

/// The projection to the vocabulary: the embedding with a bias under the layer's name, or the layer.
///
/// # Arguments
/// - `output`: what the layer is called
/// - `path`: the layer in the model
pub(super) fn biased_output(names: Names, tied: bool, output: &str, path: &str) -> Names {
    if tied {
        names
            .same(&format!("{output}.bias"), "bias")
            .copy(&format!("{output}.weight"), "embeddings.tokens.weight")
    } else {
        names.linear(output, path)
    }
}
