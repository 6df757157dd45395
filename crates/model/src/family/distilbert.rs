//! DistilBERT (Sanh et al. 2019): BERT without segments and without a pooler.

use super::settings::Settings;
use super::{Architecture, bert, decoder};
use crate::blueprint::{
    AttentionBias, Blueprint, Direction, Dropout, Embedding, FeedForward, FeedForwardKind, Heads,
    MaskedHead, Norm, NormKind, Position, Residual,
};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let blueprint = blueprint(settings)?;
    let dropout = settings.rate(&["seq_classif_dropout"], 0.2)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    Ok(Architecture {
        heads: Heads {
            classifier: Some(bert::by_first(settings, Activation::Relu, [0.0, dropout])?),
            token_classifier: Some(bert::by_token(settings, blueprint.dropout.fed)?),
            masked: Some(MaskedHead::new(tied, blueprint.feed_forward.activation)),
            ..Heads::default()
        },
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Masked, "DistilBertForMaskedLM"),
            (Head::Classifier, "DistilBertForSequenceClassification"),
            (Head::TokenClassifier, "DistilBertForTokenClassification"),
        ],
        spread: settings.spread()?,
        // PEFT has no layers of its own choice here.
        adapted: &[],
        longest: blueprint.longest(),
        blueprint,
    })
}

fn blueprint(settings: Settings<'_>) -> Result<Blueprint> {
    let width = settings.count(&["dim", "hidden_size"], 768)?;
    let vocabulary = settings.count(&["vocab_size"], 30_522)?;
    let heads = &["n_heads", "num_attention_heads"];
    let hidden = settings.rate(&["dropout"], 0.1)?;
    Ok(Blueprint {
        width,
        depth: settings.depth(&["n_layers", "num_hidden_layers"], 6)?,
        direction: Direction::Both,
        embedding: Embedding {
            vocabulary,
            padding: settings.padding_or(0, vocabulary)?,
            kinds: None,
            width: None,
            scale: None,
            norm: true,
        },
        position: Position::Learned {
            length: settings.count(&["max_position_embeddings"], 512)?,
            first: 0,
        },
        attention: decoder::undivided(settings, heads, 12, ("dim", width), AttentionBias::All)?,
        feed_forward: FeedForward {
            inner: settings.count(&["hidden_dim"], 3072)?,
            activation: settings.activation(&["activation"], Activation::Gelu)?,
            kind: FeedForwardKind::Plain,
            bias: true,
        },
        norm: Norm {
            kind: NormKind::Layer,
            eps: 1e-12,
        },
        residual: Residual::PostNorm,
        dropout: Dropout {
            embedding: hidden,
            attention: settings.rate(&["attention_dropout"], 0.1)?,
            attended: 0.0,
            fed: hidden,
            ..Dropout::default()
        },
    })
}

fn names(depth: usize, tied: bool) -> Names {
    let at = |part: &str| format!("stack.blocks.{{}}.{part}");
    let layer = |part: &str| format!("transformer.layer.{{}}.{part}");
    let names = Names::new("distilbert", depth)
        .same(
            "embeddings.word_embeddings.weight",
            "embeddings.tokens.weight",
        )
        .same(
            "embeddings.position_embeddings.weight",
            "embeddings.positions.weight",
        )
        .norm("embeddings.LayerNorm", "embeddings.norm")
        .linear(&layer("attention.q_lin"), &at("attention.query"))
        .linear(&layer("attention.k_lin"), &at("attention.key"))
        .linear(&layer("attention.v_lin"), &at("attention.value"))
        .linear(&layer("attention.out_lin"), &at("attention.output"))
        .norm(&layer("sa_layer_norm"), &at("attention_norm"))
        .linear(&layer("ffn.lin1"), &at("feed_forward.up"))
        .linear(&layer("ffn.lin2"), &at("feed_forward.down"))
        .norm(&layer("output_layer_norm"), &at("feed_forward_norm"))
        .keep(&["embeddings.position_ids", "qa_outputs.{}"])
        .bare()
        .head(Head::Classifier)
        .linear("pre_classifier", "pooler")
        .linear("classifier", "head")
        .head(Head::TokenClassifier)
        .linear("classifier", "head")
        .head(Head::Masked)
        .linear("vocab_transform", "transform")
        .norm("vocab_layer_norm", "norm");
    decoder::biased_output(names, tied, "vocab_projector", "decoder")
}
