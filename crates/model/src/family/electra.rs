//! ELECTRA (Clark et al. 2020): BERT with narrower embeddings and a projection behind them.

use super::settings::Settings;
use super::{Architecture, bert, decoder};
use crate::blueprint::{DiscriminatorHead, Heads, MaskedHead};
use crate::checkpoint::names::Names;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = bert::blueprint(settings, 256, 0)?;
    blueprint.embedding.width = Some(settings.count(&["embedding_size"], 128)?);
    let dropout = bert::head_dropout(settings, &blueprint)?;
    let tied = settings.flag(&["tie_word_embeddings"], true)?;
    Ok(Architecture {
        heads: Heads {
            classifier: Some(bert::by_first(settings, Activation::Gelu, [dropout; 2])?),
            token_classifier: Some(bert::by_token(settings, dropout)?),
            masked: Some(MaskedHead::new(tied, Activation::Gelu)),
            discriminator: Some(DiscriminatorHead {
                activation: blueprint.feed_forward.activation,
            }),
            ..Heads::default()
        },
        names: names(blueprint.depth, tied),
        classes: &[
            (Head::Discriminator, "ElectraForPreTraining"),
            (Head::Masked, "ElectraForMaskedLM"),
            (Head::Classifier, "ElectraForSequenceClassification"),
            (Head::TokenClassifier, "ElectraForTokenClassification"),
        ],
        spread: settings.spread()?,
        adapted: &["query", "value"],
        longest: blueprint.longest(),
        blueprint,
    })
}

fn names(depth: usize, tied: bool) -> Names {
    let names = bert::trunk("electra", depth)
        .linear("embeddings_project", "embeddings.project")
        .bare()
        .head(Head::Classifier)
        .linear("classifier.dense", "pooler")
        .linear("classifier.out_proj", "head")
        .head(Head::TokenClassifier)
        .linear("classifier", "head")
        .head(Head::Discriminator)
        .linear("discriminator_predictions.dense", "transform")
        .linear("discriminator_predictions.dense_prediction", "head")
        .head(Head::Masked)
        .linear("generator_predictions.dense", "transform")
        .norm("generator_predictions.LayerNorm", "norm");
    decoder::biased_output(names, tied, "generator_lm_head", "decoder")
}
