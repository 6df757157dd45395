//! RoBERTa (Liu et al. 2019): BERT with positions that skip padding, and other heads.

use super::settings::Settings;
use super::{Architecture, bert};
use crate::blueprint::{Heads, MaskedHead, Position};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = bert::blueprint(settings, 768, 1)?;
    if let Position::Learned { first, .. } = &mut blueprint.position {
        // The reference numbers positions from behind the padding's id.
        *first = settings.whole("pad_token_id", 1)? + 1;
    }
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    let dropout = bert::head_dropout(settings, &blueprint)?;
    Ok(Architecture {
        heads: Heads {
            classifier: Some(bert::by_first(settings, Activation::Tanh, [dropout; 2])?),
            token_classifier: Some(bert::by_token(settings, dropout)?),
            masked: Some(MaskedHead::new(tied, Activation::Gelu)),
            ..Heads::default()
        },
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Masked, "RobertaForMaskedLM"),
            (Head::Classifier, "RobertaForSequenceClassification"),
            (Head::TokenClassifier, "RobertaForTokenClassification"),
        ],
        spread: settings.spread()?,
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
        .head(Head::TokenClassifier)
        .linear("classifier", "head")
        .head(Head::Masked)
        .linear("lm_head.dense", "transform")
        .norm("lm_head.layer_norm", "norm");
    bert::to_vocabulary(names, tied, "lm_head.decoder", "lm_head.bias")
}
