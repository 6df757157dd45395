//! T5 (Raffel et al. 2020), T5 1.1 and Flan-T5: an encoder and a decoder, learned numbers by distance, no biases.

use serde_json::Value;

use super::settings::{Settings, invalid, unsupported};
use super::{Architecture, decoder};
use crate::blueprint::{
    Again, AttentionBias, Blueprint, ClassifierHead, Direction, Distance, Dropout, Embedding,
    FeedForward, FeedForwardKind, Heads, Norm, NormKind, Place, Pooler, Position, Projection,
    Residual, Scale, Seq2SeqHead, Spread, TokenClassifierHead,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    settings.only("is_decoder", false)?;
    let blueprint = blueprint(settings)?;
    // Files of the encoder alone say so.
    let answers = settings.flag(&["is_encoder_decoder"], true)?;
    let head = Seq2SeqHead {
        depth: settings.depth(&["num_decoder_layers"], blueprint.depth)?,
        scale: if scaled(settings)? {
            (blueprint.width as f64).powf(-0.5)
        } else {
            1.0
        },
        start: settings
            .whole_if("decoder_start_token_id")?
            .map(|id| id as u32),
    };
    Ok(Architecture {
        heads: Heads {
            seq2seq: answers.then_some(head),
            classifier: answers.then(|| classifier(settings, head)).transpose()?,
            token_classifier: Some(TokenClassifierHead {
                pooler: None,
                bias: true,
                dropout: settings.rate(&["classifier_dropout"], 0.0)?,
                labels: settings.labels()?,
            }),
            ..Heads::default()
        },
        names: names(&blueprint, head.depth),
        classes: &[
            (Head::Seq2Seq, "T5ForConditionalGeneration"),
            (Head::Classifier, "T5ForSequenceClassification"),
            (Head::TokenClassifier, "T5ForTokenClassification"),
        ],
        spread: Spread::ByInput {
            factor: settings.number(&["initializer_factor"], 1.0, 0.0..=1e6)?,
        },
        adapted: &["q", "v"],
        longest: None,
        blueprint,
    })
}

/// The class by the decoder's hidden state at the end of the text, which it reads as its own answer.
fn classifier(settings: Settings<'_>, head: Seq2SeqHead) -> Result<ClassifierHead> {
    let dropout = settings.rate(&["classifier_dropout"], 0.0)?;
    Ok(ClassifierHead {
        again: Some(Again {
            depth: head.depth,
            // Files of pretrained models name it; it is the padding token there.
            start: head.start.unwrap_or(0),
            end: settings.whole("eos_token_id", 1)? as u32,
        }),
        place: Place::Last,
        pooler: Some(Pooler {
            dropout,
            projection: Projection::Biased,
            activation: Some(Activation::Tanh),
            norm: None,
        }),
        bias: true,
        dropout,
        labels: settings.labels()?,
    })
}

/// Whether hidden states are scaled before the last projection: so in the first release. Files of transformers 4 say it
/// by tied embeddings, those of transformers 5 by a field of its own.
fn scaled(settings: Settings<'_>) -> Result<bool> {
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    settings.flag(&["scale_decoder_outputs"], tied)
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["d_model", "hidden_size"], 512)?;
    let head_width = settings.count(&["d_kv", "head_dim"], 64)?;
    let heads = settings.count(&["num_heads", "num_attention_heads"], 8)?;
    let (kind, activation) = feed_forward(settings)?;
    let rate = settings.rate(&["dropout_rate"], 0.1)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["num_layers", "num_hidden_layers"], 6)?,
        direction: Direction::Both,
        embedding: Embedding {
            vocabulary: settings.count(&["vocab_size"], 32_128)?,
            kinds: None,
            width: None,
            scale: None,
            norm: false,
            padding: None,
        },
        position: Position::Distance(distance(settings)?),
        attention: decoder::grouped(
            heads,
            heads,
            head_width,
            AttentionBias::None,
            Scale::Same(1.0),
        ),
        feed_forward: FeedForward {
            inner: settings.count(&["d_ff"], 2048)?,
            activation,
            kind,
            bias: false,
        },
        norm: Norm {
            kind: NormKind::Rms,
            eps: settings.epsilon(&["layer_norm_epsilon"], 1e-6)?,
        },
        residual: Residual::PreNorm,
        dropout: Dropout {
            embedding: rate,
            attention: rate,
            attended: rate,
            fed: rate,
            inner: rate,
            last: rate,
        },
    })
}

/// `relu`, `gated-silu` and so on; `gated-gelu` means the approximation by a hyperbolic tangent.
fn feed_forward(settings: Settings<'_>) -> Result<(FeedForwardKind, Activation)> {
    let field = "feed_forward_proj";
    let named = settings.text(&[field])?.unwrap_or("relu");
    let (kind, name) = match named.split_once('-') {
        None => (FeedForwardKind::Plain, named),
        Some(("gated", "gelu")) => return Ok((FeedForwardKind::Gated, Activation::GeluTanh)),
        Some(("gated", name)) => (FeedForwardKind::Gated, name),
        Some(_) => {
            let known = "implemented are an activation and gated- with an activation";
            return Err(unsupported(field, &Value::from(named), known));
        }
    };
    match name.parse() {
        Ok(activation) => Ok((kind, activation)),
        Err(error) => Err(unsupported(field, &Value::from(named), format!("{error}"))),
    }
}

fn distance(settings: Settings<'_>) -> Result<Distance> {
    let [kinds, longest] = [
        "relative_attention_num_buckets",
        "relative_attention_max_distance",
    ];
    let plan = Distance {
        kinds: settings.count(&[kinds], 32)?,
        longest: settings.count(&[longest], 128)?,
    };
    if plan.kinds < 4 {
        let why = "expected at least 4, half of them for each direction";
        return Err(invalid(kinds, settings.value(&[kinds]), why));
    }
    if plan.longest <= plan.kinds / 2 {
        let why = format!("expected more than half of {kinds} ({})", plan.kinds / 2);
        return Err(invalid(longest, settings.value(&[longest]), why));
    }
    Ok(plan)
}

fn names(blueprint: &Blueprint, depth: usize) -> Names {
    let shared = [
        "shared.weight",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "lm_head.weight",
    ];
    let names = Names::new("transformer", blueprint.depth)
        .without_prefix(Head::Seq2Seq)
        .any_of(&shared, "embeddings.tokens.weight");
    let names = shared[1..].iter().fold(names, |names, name| {
        let prefixed = format!("transformer.{name}");
        names
            .copy(name, "embeddings.tokens.weight")
            .copy(&prefixed, "embeddings.tokens.weight")
    });
    let names = side(names, blueprint, "encoder", "stack", 1)
        .same(shared[1], "encoder_embeddings.tokens.weight")
        // Old versions of the reference wrote it and never read it.
        .keep(&["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"])
        .head(Head::Seq2Seq)
        .same(shared[2], "decoder_embeddings.tokens.weight")
        .linear("lm_head", "head")
        .blocks(depth);
    let names = side(names, blueprint, "decoder", "decoder", 2).head(Head::Classifier);
    side(names, blueprint, "decoder", "decoder", 2)
        .same(shared[2], "decoder_embeddings.tokens.weight")
        .bare()
        .linear("classification_head.dense", "pooler")
        .linear("classification_head.out_proj", "head")
        .head(Head::TokenClassifier)
        .linear("classifier", "head")
}

/// The names of encoder or decoder.
///
/// # Arguments
/// - `file`, `path`: what it is called in the file and in the model
/// - `last`: the number of the feed-forward part in a block
fn side(names: Names, blueprint: &Blueprint, file: &str, path: &str, last: usize) -> Names {
    let at = |part: &str| format!("{path}.blocks.{{}}.{part}");
    let layer = |number: usize, part: &str| format!("{file}.block.{{}}.layer.{number}.{part}");
    let attention = |names: Names, number: usize, name: &str, path: &str| {
        let parts = [
            ("q", "query"),
            ("k", "key"),
            ("v", "value"),
            ("o", "output"),
        ];
        parts.iter().fold(names, |names, (short, part)| {
            let name = layer(number, &format!("{name}.{short}"));
            names.linear(&name, &at(&format!("{path}.{part}")))
        })
    };
    let names = attention(names, 0, "SelfAttention", "attention")
        .norm(&layer(0, "layer_norm"), &at("attention_norm"))
        .same(
            &format!("{file}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
            &format!("{path}.distances.weight"),
        )
        .norm(&layer(last, "layer_norm"), &at("feed_forward_norm"))
        .linear(&layer(last, "DenseReluDense.wo"), &at("feed_forward.down"))
        .norm(&format!("{file}.final_layer_norm"), &format!("{path}.norm"));
    let names = match blueprint.feed_forward.kind {
        FeedForwardKind::Plain => {
            names.linear(&layer(last, "DenseReluDense.wi"), &at("feed_forward.up"))
        }
        FeedForwardKind::Gated => names
            .linear(
                &layer(last, "DenseReluDense.wi_0"),
                &at("feed_forward.gate"),
            )
            .linear(&layer(last, "DenseReluDense.wi_1"), &at("feed_forward.up")),
    };
    if last == 1 {
        return names;
    }
    attention(names, 1, "EncDecAttention", "across.attention")
        .norm(&layer(1, "layer_norm"), &at("across.norm"))
}
