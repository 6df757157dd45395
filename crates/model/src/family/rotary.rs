//! Rotary positions in a `config.json`: the base, the share of a head that is rotated, and how frequencies are stretched.

use serde_json::Value;

use super::settings::{Settings, invalid, unsupported};
use crate::blueprint::{Rotary, Scaling};
use crate::error::Result;

const ORIGINAL: &str = "original_max_position_embeddings";

/// Rotary settings lie in `rope_parameters` (transformers 5), or in `rope_theta` and `rope_scaling` (before).
pub(super) fn plan(settings: Settings<'_>, head_width: usize, base: f64) -> Result<Rotary> {
    let nested = settings.object(&["rope_scaling", "rope_parameters"])?;
    plan_of(settings, nested, head_width, base, 1.0)
}

/// The same from fields that a family keeps elsewhere.
///
/// # Arguments
/// - `nested`: the fields of the rotation, where there are any
/// - `base`, `share`: the base and the share of a head's features that are rotated, where nothing is said
pub(super) fn plan_of(
    settings: Settings<'_>,
    nested: Option<Settings<'_>>,
    head_width: usize,
    base: f64,
    share: f64,
) -> Result<Rotary> {
    let number = |names: &[&str], default, range: std::ops::RangeInclusive<f64>| {
        let outer = settings.number(names, default, range.clone())?;
        nested.map_or(Ok(outer), |nested| nested.number(names, outer, range))
    };
    let base = number(&["rope_theta"], base, 1.0..=1e15)?;
    let share = number(&["partial_rotary_factor", "rotary_pct"], share, 0.0..=1.0)?;
    let width = (head_width as f64 * share) as usize;
    if width < 2 || !width.is_multiple_of(2) {
        let why = format!("expected an even number of rotated features per head, found {width}");
        return Err(invalid("head_dim", Some(&head_width.into()), why));
    }
    let longest = settings.count(&["max_position_embeddings"], 2048)?;
    let original = settings.count_if(&[ORIGINAL])?;
    let scaling = match nested {
        None => Scaling::None,
        Some(nested) => scaling(nested, base, width, longest, original)?,
    };
    Ok(Rotary {
        base,
        width,
        scaling,
    })
}

/// The rotation of some of the blocks, from fields that are theirs alone: all features of a head are rotated.
///
/// # Arguments
/// - `nested`: the fields, where there are any
/// - `base`: the base, where nothing is said
/// - `longest`: the length of texts that the model was made for
pub(super) fn of_blocks(
    nested: Option<Settings<'_>>,
    head_width: usize,
    base: f64,
    longest: usize,
) -> Result<Rotary> {
    let own = nested.unwrap_or_default();
    own.number(&["partial_rotary_factor"], 1.0, 1.0..=1.0)?;
    let rotary = plan_of(Settings::default(), None, head_width, base, 1.0)?;
    let base = own.number(&["rope_theta"], base, 1.0..=1e15)?;
    Ok(Rotary {
        base,
        scaling: scaling(own, base, rotary.width, longest, None)?,
        ..rotary
    })
}

/// # Arguments
/// - `longest`: the length of texts that the model is made for
/// - `original`: that of its pretraining, where it stands outside of these fields
fn scaling(
    nested: Settings<'_>,
    base: f64,
    width: usize,
    longest: usize,
    original: Option<usize>,
) -> Result<Scaling> {
    let factor = || nested.number(&["factor"], 1.0, 1.0..=1e6);
    let inner = nested.count(&[ORIGINAL], longest)?;
    let original = original.unwrap_or(inner);
    match nested.text(&["rope_type", "type"])?.unwrap_or("default") {
        "default" => Ok(Scaling::None),
        "linear" => Ok(Scaling::Linear { factor: factor()? }),
        "dynamic" if width > 2 => Ok(Scaling::Dynamic {
            factor: factor()?,
            original: longest,
        }),
        "llama3" => {
            let low = nested.number(&["low_freq_factor"], 1.0, 1e-6..=1e6)?;
            let high = nested.number(&["high_freq_factor"], 4.0, 1e-6..=1e6)?;
            if high <= low {
                let value = nested.value(&["high_freq_factor"]);
                let why = format!("expected more than low_freq_factor ({low})");
                return Err(invalid("high_freq_factor", value, why));
            }
            Ok(Scaling::Llama3 {
                factor: factor()?,
                low,
                high,
                original,
            })
        }
        "yarn" => yarn(nested, base, width, longest, original),
        other => {
            let known = "implemented are default, linear, dynamic, llama3, yarn";
            Err(unsupported("rope_type", &Value::from(other), known))
        }
    }
}

/// Peng et al. 2023, with the magnitude as the reference derives it: `0.1 · ln factor + 1`, or the quotient of two such
/// numbers where `mscale` and `mscale_all_dim` are given.
fn yarn(
    nested: Settings<'_>,
    base: f64,
    width: usize,
    longest: usize,
    original: usize,
) -> Result<Scaling> {
    let natural = (longest as f64 / original as f64).max(1.0);
    let factor = nested.number(&["factor"], natural, 1.0..=1e6)?;
    let positive = |name: &str, default| nested.number(&[name], default, 0.0..=1e6);
    let magnitude = |scale: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * scale * factor.ln() + 1.0
        }
    };
    let (part, whole) = (positive("mscale", 0.0)?, positive("mscale_all_dim", 0.0)?);
    let derived = if part > 0.0 && whole > 0.0 {
        magnitude(part) / magnitude(whole)
    } else {
        magnitude(1.0)
    };
    let or = |value: f64, default: f64| if value == 0.0 { default } else { value };
    let fast = or(positive("beta_fast", 32.0)?, 32.0);
    let slow = or(positive("beta_slow", 1.0)?, 1.0);
    let pair = |turns| Rotary::pair_of(base, width, turns, original);
    let (mut first, mut last) = (pair(fast), pair(slow));
    if nested.flag(&["truncate"], true)? {
        (first, last) = (first.floor(), last.ceil());
    }
    first = first.max(0.0);
    last = last.min(width as f64 - 1.0);
    if first.to_bits() == last.to_bits() {
        last += 0.001;
    }
    Ok(Scaling::Yarn {
        factor,
        ramp: (first, last),
        magnitude: positive("attention_factor", derived)?,
    })
}
