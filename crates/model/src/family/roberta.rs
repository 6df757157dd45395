//! RoBERTa (Liu et al. 2019): BERT with positions that skip padding, and other heads.

use super::settings::Settings;
use super::{Architecture, bert};
use crate::blueprint::{ClassifierHead, Heads, MaskedHead, Place, Pooler, Position, Spread};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = bert::blueprint(settings, 768)?;
    if let Position::Learned { first, .. } = &mut blueprint.position {
        // The reference numbers positions from behind the padding's id.
        *first = settings.whole("pad_token_id", 1)? + 1;
    }
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    let spread = settings.number(&["initializer_range"], 0.02, 0.0..=1.0)?;
    let dropout = settings.rate(&["classifier_dropout"], blueprint.dropout.fed)?;
    Ok(Architecture {
        heads: Heads {
            causal: None,
            classifier: Some(ClassifierHead {
                place: Place::First,
                pooler: Some(Pooler {
                    activation: Activation::Tanh,
                    dropout,
                }),
                bias: true,
                dropout,
                labels: settings.labels()?,
            }),
            masked: Some(MaskedHead {
                tied,
                activation: Activation::Gelu,
            }),
        },
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Masked, "RobertaForMaskedLM"),
            (Head::Classifier, "RobertaForSequenceClassification"),
        ],
        spread: Spread {
            weights: spread,
            residual: spread,
        },
        adapted: &["query", "value"],
        longest: blueprint.longest(),
        blueprint,
    })
}

fn names(depth: usize, tied: bool) -> Names {
    let names = bert::trunk("roberta", depth)
        .keep(&["pooler.dense.{}"])
        .bare()
        .head(Head::Classifier)
        .linear("classifier.dense", "pooler")
        .linear("classifier.out_proj", "head")
        .head(Head::Masked)
        .linear("lm_head.dense", "transform")
        .norm("lm_head.layer_norm", "norm");
    if tied {
        names
            .same("lm_head.bias", "bias")
            .copy("lm_head.decoder.weight", "embeddings.tokens.weight")
            .copy("lm_head.decoder.bias", "bias")
    } else {
        // The reference keeps the tied head's bias and does not use it.
        names
            .linear("lm_head.decoder", "decoder")
            .keep(&["lm_head.bias"])
    }
}
