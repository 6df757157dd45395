//! BERT (Devlin et al. 2018): an encoder with learned positions, segments and norms after each part.

use super::settings::Settings;
use super::{Architecture, decoder};
use crate::blueprint::{
    AttentionBias, Blueprint, ClassifierHead, Direction, Dropout, Embedding, FeedForward,
    FeedForwardKind, Heads, MaskedHead, Norm, NormKind, Place, Pooler, Position, Projection,
    Residual, TokenClassifierHead,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings, 768, 0)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    let dropout = head_dropout(settings, &blueprint)?;
    Ok(Architecture {
        heads: Heads {
            classifier: Some(by_first(settings, Activation::Tanh, [0.0, dropout])?),
            token_classifier: Some(by_token(settings, dropout)?),
            masked: Some(MaskedHead::new(tied, blueprint.feed_forward.activation)),
            ..Heads::default()
        },
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Masked, "BertForMaskedLM"),
            (Head::Classifier, "BertForSequenceClassification"),
            (Head::TokenClassifier, "BertForTokenClassification"),
        ],
        spread: settings.spread()?,
        adapted: &["query", "value"],
        longest: blueprint.longest(),
        blueprint,
    })
}

/// The class of a text by its first token, through one more projection.
///
/// # Arguments
/// - `dropout`: the rates before that projection and before the one to the classes
pub(super) fn by_first(
    settings: Settings<'_>,
    activation: Activation,
    dropout: [f64; 2],
) -> Result<ClassifierHead> {
    Ok(ClassifierHead {
        again: None,
        place: Place::First,
        pooler: Some(Pooler {
            dropout: dropout[0],
            projection: Projection::Biased,
            activation: Some(activation),
            norm: None,
        }),
        bias: true,
        dropout: dropout[1],
        labels: settings.labels()?,
    })
}

/// The class of every token by its hidden state alone.
pub(super) fn by_token(settings: Settings<'_>, dropout: f64) -> Result<TokenClassifierHead> {
    Ok(TokenClassifierHead {
        pooler: None,
        bias: true,
        dropout,
        labels: settings.labels()?,
    })
}

/// The rate of dropout around a classifier's head.
pub(super) fn head_dropout(settings: Settings<'_>, blueprint: &Blueprint) -> Result<f64> {
    settings.rate(&["classifier_dropout"], blueprint.dropout.fed)
}

/// The trunk of BERT and of those that came after it.
///
/// # Arguments
/// - `width`: the features of the hidden state where the file is silent; everything else is a fixed part of it
/// - `padding`: the token that fills rows where the file is silent
pub(super) fn blueprint(settings: Settings<'_>, width: usize, padding: usize) -> Result<Blueprint> {
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    settings.only("position_embedding_type", "absolute")?;
    let (heads, inner) = (width / 64, 4 * width);
    let width = settings.count(&["hidden_size"], width)?;
    let hidden = settings.rate(&["hidden_dropout_prob"], 0.1)?;
    let vocabulary = settings.count(&["vocab_size"], 30_522)?;
    let field = &["num_attention_heads"];
    Ok(Blueprint {
        width,
        depth: settings.depth(&["num_hidden_layers"], 12)?,
        direction: Direction::Both,
        embedding: Embedding {
            vocabulary,
            padding: settings.padding_or(padding, vocabulary)?,
            kinds: Some(settings.count(&["type_vocab_size"], 2)?),
            width: None,
            scale: None,
            norm: true,
        },
        position: Position::Learned {
            length: settings.count(&["max_position_embeddings"], 512)?,
            first: 0,
        },
        attention: decoder::undivided(
            settings,
            field,
            heads,
            ("hidden_size", width),
            AttentionBias::All,
        )?,
        feed_forward: FeedForward {
            inner: settings.count(&["intermediate_size"], inner)?,
            activation: settings.activation(&["hidden_act"], Activation::Gelu)?,
            kind: FeedForwardKind::Plain,
            bias: true,
        },
        norm: Norm {
            kind: NormKind::Layer,
            eps: settings.epsilon(&["layer_norm_eps"], 1e-12)?,
        },
        residual: Residual::PostNorm,
        dropout: Dropout {
            embedding: hidden,
            attention: settings.rate(&["attention_probs_dropout_prob"], 0.1)?,
            attended: hidden,
            fed: hidden,
            ..Dropout::default()
        },
    })
}

/// The names of the trunk, under the family's prefix.
pub(super) fn trunk(prefix: &str, depth: usize) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let layer = |part: &str| format!("encoder.layer.{{}}.{part}");
    Names::new(prefix, depth)
        .same(
            "embeddings.word_embeddings.weight",
            "embeddings.tokens.weight",
        )
        .same(
            "embeddings.position_embeddings.weight",
            "embeddings.positions.weight",
        )
        .same(
            "embeddings.token_type_embeddings.weight",
            "embeddings.kinds.weight",
        )
        .norm("embeddings.LayerNorm", "embeddings.norm")
        .linear(&layer("attention.self.query"), &at("attention.query"))
        .linear(&layer("attention.self.key"), &at("attention.key"))
        .linear(&layer("attention.self.value"), &at("attention.value"))
        .linear(&layer("attention.output.dense"), &at("attention.output"))
        .norm(&layer("attention.output.LayerNorm"), &at("attention_norm"))
        .linear(&layer("intermediate.dense"), &at("feed_forward.up"))
        .linear(&layer("output.dense"), &at("feed_forward.down"))
        .norm(&layer("output.LayerNorm"), &at("feed_forward_norm"))
        // A constant that old versions of the reference wrote, and a head that is not ours.
        .keep(&["embeddings.position_ids", "qa_outputs.{}"])
}

fn names(depth: usize, tied: bool) -> Names {
    let names = trunk("bert", depth)
        .keep(&["cls.seq_relationship.{}"])
        .head(Head::Classifier)
        .linear("pooler.dense", "pooler")
        .bare()
        .linear("classifier", "head")
        .head(Head::TokenClassifier)
        .linear("classifier", "head")
        .head(Head::Masked)
        .linear("cls.predictions.transform.dense", "transform")
        .norm("cls.predictions.transform.LayerNorm", "norm");
    to_vocabulary(
        names,
        tied,
        "cls.predictions.decoder",
        "cls.predictions.bias",
    )
}

/// The projection to the vocabulary where the tied head's bias has a name of its own: the embedding with it, or a layer.
///
/// # Arguments
/// - `decoder`: what the layer is called
/// - `bias`: what the tied head's bias is called
pub(super) fn to_vocabulary(names: Names, tied: bool, decoder: &str, bias: &str) -> Names {
    if tied {
        names
            .same(bias, "bias")
            .copy(&format!("{decoder}.weight"), "embeddings.tokens.weight")
            .copy(&format!("{decoder}.bias"), "bias")
    } else {
        // The reference keeps the tied head's bias and does not use it.
        names.linear(decoder, "decoder").keep(&[bias])
    }
}
