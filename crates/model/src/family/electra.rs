//! ELECTRA (Clark et al. 2020): BERT with narrower embeddings and a projection behind them.

use super::settings::Settings;
use super::{Architecture, bert};
use crate::blueprint::Heads;
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = bert::blueprint(settings, 256)?;
    blueprint.embedding.width = Some(settings.count(&["embedding_size"], 128)?);
    let dropout = bert::head_dropout(settings, &blueprint)?;
    Ok(Architecture {
        heads: Heads {
            classifier: Some(bert::by_first(settings, Activation::Gelu, [dropout; 2])?),
            ..Heads::default()
        },
        names: bert::trunk("electra", blueprint.depth)
            .linear("embeddings_project", "embeddings.project")
            // The heads of pretraining.
            .keep(&[
                "discriminator_predictions.{}",
                "generator_predictions.{}",
                "generator_lm_head.{}",
            ])
            .bare()
            .head(Head::Classifier)
            .linear("classifier.dense", "pooler")
            .linear("classifier.out_proj", "head"),
        classes: &[(Head::Classifier, "ElectraForSequenceClassification")],
        spread: settings.spread()?,
        adapted: &["query", "value"],
        longest: blueprint.longest(),
        blueprint,
    })
}
