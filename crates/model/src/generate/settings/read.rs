//! The fields of `generation_config.json`, each checked.

use serde_json::Value;

use super::Length;
use crate::error::Result;
use crate::family::settings::{Settings as Fields, invalid};
use crate::generate::beams::{Beams, Early};
use crate::generate::rules::Rules;
use crate::generate::sampling::Sampling;

/// The greatest number that a file may hold.
const MOST: f64 = 1e9;

pub(super) fn drawn(fields: Fields<'_>, draw: bool) -> Result<Sampling> {
    let number =
        |name: &str, default: f64, from: f64, to: f64| fields.number(&[name], default, from..=to);
    // Without a draw the reference looks at none of these; a file may then hold any number.
    let share = |name: &str, default: f64| {
        let positive = |share: &f64| *share > 0.0 || !draw;
        let found = number(name, default, 0.0, if draw { 1.0 } else { MOST })?;
        Some(found).filter(positive).ok_or_else(|| {
            let why = "expected a share above 0 and up to 1, or do_sample false";
            invalid(name, fields.value(&[name]), why)
        })
    };
    let temperature = number("temperature", 1.0, 0.0, MOST)?;
    if draw && temperature == 0.0 {
        let why = "expected a number above 0, or do_sample false";
        return Err(invalid("temperature", fields.value(&["temperature"]), why));
    }
    let top_k = fields.whole("top_k", 50)?;
    Ok(Sampling {
        temperature,
        top_k: (top_k > 0).then_some(top_k),
        top_p: share("top_p", 1.0)?,
        min_p: number("min_p", 0.0, 0.0, 1.0)?,
        typical_p: share("typical_p", 1.0)?,
        epsilon_cutoff: number("epsilon_cutoff", 0.0, 0.0, 1.0)?,
        eta_cutoff: number("eta_cutoff", 0.0, 0.0, 1.0)?,
        repetition_penalty: number("repetition_penalty", 1.0, f64::MIN_POSITIVE, MOST)?,
        rules: rules(fields)?,
        seed: 0,
    })
}

fn rules(fields: Fields<'_>) -> Result<Rules> {
    let penalty = ["encoder_repetition_penalty"];
    Ok(Rules {
        encoder_repetition_penalty: fields.number(&penalty, 1.0, f64::MIN_POSITIVE..=MOST)?,
        no_repeat_ngram_size: fields.whole("no_repeat_ngram_size", 0)?,
        encoder_no_repeat_ngram_size: fields.whole("encoder_no_repeat_ngram_size", 0)?,
        bad_words_ids: bad_words(fields)?,
        min_length: fields.whole("min_length", 0)?,
        min_new_tokens: fields.whole("min_new_tokens", 0)?,
        forced_bos_token_id: token(fields, "forced_bos_token_id")?,
        forced_eos_token_id: tokens(fields, "forced_eos_token_id")?,
        exponential_decay_length_penalty: decay(fields)?,
        suppress_tokens: tokens(fields, "suppress_tokens")?,
        begin_suppress_tokens: tokens(fields, "begin_suppress_tokens")?,
    })
}

pub(super) fn beams(fields: Fields<'_>) -> Result<Beams> {
    let name = "early_stopping";
    let early_stopping = match fields.value(&[name]) {
        None | Some(Value::Bool(false)) => Early::Unlikely,
        Some(Value::Bool(true)) => Early::AtOnce,
        Some(Value::String(text)) if text == "never" => Early::Impossible,
        other => return Err(invalid(name, other, "expected true, false or \"never\"")),
    };
    Ok(Beams {
        count: fields.count(&["num_beams"], 1)?,
        length_penalty: fields.number(&["length_penalty"], 1.0, -MOST..=MOST)?,
        early_stopping,
        renormalize_logits: fields.flag(&["renormalize_logits"], false)?,
    })
}

pub(super) fn length(fields: Fields<'_>) -> Result<Option<Length>> {
    let new = fields.count_if(&["max_new_tokens"])?.map(Length::New);
    let whole = fields.count_if(&["max_length"])?.map(Length::Whole);
    Ok(new.or(whole))
}

/// A token's id, where there is one.
pub(super) fn token(fields: Fields<'_>, name: &str) -> Result<Option<u32>> {
    let Some(value) = fields.value(&[name]) else {
        return Ok(None);
    };
    id(value)
        .map(Some)
        .ok_or_else(|| invalid(name, Some(value), "expected the number of a token"))
}

/// The ids of tokens: a number, or a list of them.
pub(super) fn tokens(fields: Fields<'_>, name: &str) -> Result<Vec<u32>> {
    let Some(value) = fields.value(&[name]) else {
        return Ok(Vec::new());
    };
    let ids = match value {
        Value::Array(list) => list.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    };
    let why = "expected the number of a token, or a list of them";
    ids.ok_or_else(|| invalid(name, Some(value), why))
}

fn bad_words(fields: Fields<'_>) -> Result<Vec<Vec<u32>>> {
    let name = "bad_words_ids";
    let Some(value) = fields.value(&[name]) else {
        return Ok(Vec::new());
    };
    let run = |run: &Value| -> Option<Vec<u32>> {
        let run = run.as_array().filter(|run| !run.is_empty())?;
        run.iter().map(id).collect()
    };
    let runs = value
        .as_array()
        .and_then(|runs| runs.iter().map(run).collect());
    let why = "expected a list of lists of one token or more";
    runs.ok_or_else(|| invalid(name, Some(value), why))
}

fn decay(fields: Fields<'_>) -> Result<Option<(usize, f64)>> {
    let name = "exponential_decay_length_penalty";
    let Some(value) = fields.value(&[name]) else {
        return Ok(None);
    };
    let pair = value.as_array().and_then(|pair| match pair.as_slice() {
        [start, factor] => Some((id(start)? as usize, factor.as_f64().filter(|f| *f > 0.0)?)),
        _ => None,
    });
    let why = "expected a number of tokens and a factor above 0";
    pair.map(Some)
        .ok_or_else(|| invalid(name, Some(value), why))
}

/// A text, or a list of them.
pub(super) fn strings(fields: Fields<'_>, name: &str) -> Result<Vec<String>> {
    if let Some(Value::String(text)) = fields.value(&[name]) {
        return Ok(vec![text.clone()]);
    }
    let texts = fields.texts(name)?.unwrap_or_default();
    Ok(texts.into_iter().map(ToOwned::to_owned).collect())
}

fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}
