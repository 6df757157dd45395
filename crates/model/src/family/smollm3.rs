//! SmolLM3 (Hugging Face 2025): LLaMA in which some blocks do not rotate.

use super::Architecture;
use super::decoder::{self, Defaults, LLAMA};
use super::settings::{Settings, invalid};
use crate::blueprint::{Each, Position};
use crate::error::Result;
use crate::head::Head;

const DEFAULTS: Defaults = Defaults {
    vocabulary: 128_256,
    width: 2048,
    depth: 36,
    heads: 16,
    groups: Some(4),
    base: 2e6,
    tied: true,
    padding: Some(128_004),
    ..LLAMA
};

pub(super) fn architecture(settings: Settings<'_>) -> Result<Architecture> {
    let mut blueprint = decoder::blueprint(settings, &DEFAULTS)?;
    blueprint.feed_forward.bias = settings.flag(&["mlp_bias"], false)?;
    let turns = turns(settings, blueprint.depth)?;
    let used = settings.flag(&["use_sliding_window"], false)?;
    let window = settings.count_if(&["sliding_window"])?.filter(|_| used);
    let slides = |block: usize| window.is_some() && !turns[block];
    blueprint.attention.window = decoder::windows(settings, blueprint.depth, window, slides)?;
    if let Position::Rotary(Each::Same(rotary)) = &blueprint.position {
        let of = |turns: &bool| rotary.clone().filter(|_| *turns);
        blueprint.position = Position::Rotary(Each::Own(turns.iter().map(of).collect()));
    }
    let classes = &[
        (Head::Causal, "SmolLM3ForCausalLM"),
        (Head::Classifier, "SmolLM3ForSequenceClassification"),
        (Head::TokenClassifier, "SmolLM3ForTokenClassification"),
    ];
    decoder::assembled(settings, &DEFAULTS, blueprint, classes)
}

/// Which blocks rotate: `no_rope_layers`, where 1 means that a block does, or all but every nth.
fn turns(settings: Settings<'_>, depth: usize) -> Result<Vec<bool>> {
    let field = "no_rope_layers";
    let Some(listed) = settings.wholes(field)? else {
        let every = settings.count(&["no_rope_layer_interval"], 4)?;
        return Ok((1..=depth)
            .map(|block| !block.is_multiple_of(every))
            .collect());
    };
    if listed.len() < depth {
        let why = format!(
            "expected one number for each of {depth} blocks, found {}",
            listed.len()
        );
        return Err(invalid(field, settings.value(&[field]), why));
    }
    Ok(listed[..depth].iter().map(|number| *number != 0).collect())
}
