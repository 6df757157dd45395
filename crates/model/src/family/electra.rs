//! ELECTRA (Clark et al. 2020): BERT with narrower embeddings and a projection behind them.

use super::settings::Settings;
use super::{Architecture, bert};
use crate::blueprint::{ClassifierHead, Heads, Place, Pooler, Spread};
use crate::error::Result;
use crate::head::Head;
use crate::op::Activation;

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = bert::blueprint(settings, 256)?;
    blueprint.embedding.width = Some(settings.count(&["embedding_size"], 128)?);
    let spread = settings.number(&["initializer_range"], 0.02, 0.0..=1.0)?;
    let dropout = settings.rate(&["classifier_dropout"], blueprint.dropout.fed)?;
    Ok(Architecture {
        heads: Heads {
            classifier: Some(ClassifierHead {
                place: Place::First,
                pooler: Some(Pooler {
                    activation: Activation::Gelu,
                    dropout,
                }),
                bias: true,
                dropout,
                labels: settings.labels()?,
            }),
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
        spread: Spread {
            weights: spread,
            residual: spread,
        },
        adapted: &["query", "value"],
        longest: blueprint.longest(),
        blueprint,
    })
}
