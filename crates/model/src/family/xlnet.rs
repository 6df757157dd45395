//! XLNet (Yang et al. 2019): relative positions and segments, and a second stream of hidden states that asks.

use serde_json::Value;

use super::settings::{Settings, invalid, unsupported};
use super::{Architecture, decoder};
use crate::blueprint::{
    AttentionBias, Blueprint, CausalHead, ClassifierHead, Direction, Dropout, Embedding,
    FeedForward, FeedForwardKind, Heads, Norm, NormKind, Place, Pooler, Position, Predicts,
    Projection, Recall, Relative, Residual, TokenClassifierHead,
};
use crate::checkpoint::names::{Layout, Names};
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    Ok(Architecture {
        heads: Heads {
            causal: Some(CausalHead {
                tied,
                bias: true,
                cap: None,
                predicts: Predicts::Own(recall(settings)?),
            }),
            classifier: Some(summary(settings)?),
            token_classifier: Some(TokenClassifierHead {
                pooler: None,
                bias: true,
                dropout: 0.0,
                labels: settings.labels()?,
            }),
            ..Heads::default()
        },
        names: names(blueprint.depth, blueprint.attention.heads, tied),
        classes: &[
            (Head::Causal, "XLNetLMHeadModel"),
            (Head::Classifier, "XLNetForSequenceClassification"),
            (Head::TokenClassifier, "XLNetForTokenClassification"),
        ],
        spread: settings.spread()?,
        // PEFT has no layers of its own choice here: queries, keys and values are no layers of the reference.
        adapted: &[],
        longest: None,
        blueprint,
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["d_model", "hidden_size"], 1024)?;
    let heads = &["n_head", "num_attention_heads"];
    let bias = AttentionBias::None;
    let attention = decoder::undivided(settings, heads, 16, ("d_model", width), bias)?;
    let head_width = settings.count(&["d_head"], attention.head_width)?;
    if head_width != attention.head_width || !width.is_multiple_of(2) {
        let why = format!(
            "expected d_model / n_head, {}, of an even d_model",
            attention.head_width
        );
        return Err(invalid("d_head", settings.value(&["d_head"]), why));
    }
    let direction = direction(settings)?;
    let rate = settings.rate(&["dropout"], 0.1)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["n_layer", "num_hidden_layers"], 24)?,
        direction,
        embedding: Embedding {
            vocabulary: settings.count(&["vocab_size", "n_token"], 32_000)?,
            kinds: None,
            width: None,
            scale: None,
            norm: false,
            padding: None,
        },
        position: Position::Relative(Relative {
            clamp: clamp(settings)?,
            mirrored: settings.flag(&["bi_data"], false)?,
            // The reference reads it where it builds the causal mask, and nowhere else.
            level: settings.flag(&["same_length"], false)? && direction == Direction::Causal,
        }),
        attention,
        feed_forward: FeedForward {
            inner: settings.count(&["d_inner"], 4096)?,
            activation: settings.activation(&["ff_activation"], Activation::Gelu)?,
            kind: FeedForwardKind::Plain,
            bias: true,
        },
        norm: Norm {
            kind: NormKind::Layer,
            eps: settings.epsilon(&["layer_norm_eps"], 1e-12)?,
        },
        residual: Residual::PostNorm,
        dropout: Dropout {
            embedding: rate,
            attention: rate,
            attended: rate,
            inner: rate,
            fed: rate,
            last: rate,
        },
    })
}

fn direction(settings: Settings<'_>) -> Result<Direction> {
    match settings.text(&["attn_type"])? {
        None | Some("bi") => Ok(Direction::Both),
        Some("uni") => Ok(Direction::Causal),
        Some(other) => Err(unsupported(
            "attn_type",
            &other.into(),
            "\"bi\" and \"uni\" are",
        )),
    }
}

/// The largest distance that counts; any number below 1 says that there is none.
fn clamp(settings: Settings<'_>) -> Result<Option<usize>> {
    let value = settings.value(&["clamp_len"]);
    match value.map(Value::as_i64) {
        None => Ok(None),
        Some(Some(none)) if none <= 0 => Ok(None),
        Some(_) => settings.count_if(&["clamp_len"]),
    }
}

/// What generation remembers. Training and classification give no memories to the model, and do not ask for them.
fn recall(settings: Settings<'_>) -> Result<Recall> {
    let most = if settings.is_null("mem_len") {
        0
    } else {
        settings.whole("mem_len", 512)?
    };
    Ok(match (settings.whole("reuse_len", 0)?, most) {
        _ if !settings.flag(&["use_mems_eval"], true)? => Recall::Nothing,
        (first @ 1.., _) => Recall::First(first),
        (0, 0) => Recall::Everything,
        (0, most) => Recall::Latest(most),
    })
}

/// The class of a text by a summary of its hidden states.
fn summary(settings: Settings<'_>) -> Result<ClassifierHead> {
    settings.only("summary_proj_to_labels", false)?;
    let kind = settings.text(&["summary_type"])?.unwrap_or("last");
    let place = match kind {
        // Without an index of its own the reference takes the last place.
        "last" | "cls_index" => Place::End,
        "first" => Place::First,
        "mean" => Place::MeanOfPlaces,
        other => {
            let known = "\"last\", \"first\", \"mean\" and \"cls_index\" are";
            return Err(unsupported("summary_type", &other.into(), known));
        }
    };
    let function = settings.text(&["summary_activation"])?;
    let activation = match function {
        None if settings.is_null("summary_activation") => None,
        Some("" | "linear") => None,
        _ => Some(settings.activation(&["summary_activation"], Activation::Tanh)?),
    };
    Ok(ClassifierHead {
        again: None,
        place,
        pooler: Some(Pooler {
            dropout: settings.rate(&["summary_first_dropout"], 0.0)?,
            projection: if settings.flag(&["summary_use_proj"], true)? {
                Projection::Biased
            } else {
                Projection::None
            },
            activation,
            norm: None,
        }),
        bias: true,
        dropout: settings.rate(&["summary_last_dropout"], 0.1)?,
        labels: settings.labels()?,
    })
}

fn names(depth: usize, heads: usize, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let layer = |part: &str| format!("layer.{{}}.{part}");
    let (look, relative) = (
        |part: &str| layer(&format!("rel_attn.{part}")),
        |part: &str| at(&format!("attention.relative.{part}")),
    );
    let names = Names::new("transformer", depth)
        .same("word_embedding.weight", "embeddings.tokens.weight")
        .headed(&look("q"), &at("attention.query"), Layout::Same, heads)
        .headed(&look("k"), &at("attention.key"), Layout::Same, heads)
        .headed(&look("v"), &at("attention.value"), Layout::Same, heads)
        .headed(
            &look("o"),
            &at("attention.output"),
            Layout::Transposed,
            heads,
        )
        .headed(&look("r"), &relative("distance"), Layout::Same, heads)
        .same(&look("r_w_bias"), &relative("content_bias"))
        .same(&look("r_r_bias"), &relative("distance_bias"))
        .same(&look("r_s_bias"), &relative("kind_bias"))
        .same(&look("seg_embed"), &relative("kinds"))
        .norm(&look("layer_norm"), &at("attention_norm"))
        .linear(&layer("ff.layer_1"), &at("feed_forward.up"))
        .linear(&layer("ff.layer_2"), &at("feed_forward.down"))
        .norm(&layer("ff.layer_norm"), &at("feed_forward_norm"))
        // The heads of other tasks.
        .keep(&[
            "qa_outputs.{}",
            "start_logits.{}",
            "end_logits.{}",
            "answer_class.{}",
        ])
        .head(Head::Causal)
        .same("mask_emb", "open")
        .bare();
    decoder::biased_output(names, tied, "lm_loss", "head")
        .head(Head::Classifier)
        .linear("sequence_summary.summary", "pooler")
        .linear("logits_proj", "head")
        .head(Head::TokenClassifier)
        .linear("classifier", "head")
}
