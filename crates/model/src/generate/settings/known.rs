//! Which fields of `generation_config.json` are read, refused, or without effect.

use serde_json::Value;

use super::FILE;
use crate::error::{Result, escape};
use crate::family::settings::{Settings as Fields, invalid};

/// Refuses what is not implemented and not off.
pub(super) fn refuse(fields: Fields<'_>) -> Result<()> {
    for (name, off) in REFUSED {
        if let Some(value) = fields.value(&[name])
            && !off.iter().any(|off| off.is(value))
        {
            let why =
                "it changes what is written and is not implemented; remove it, or set it to null";
            return Err(invalid(name, Some(value), why));
        }
    }
    Ok(())
}

/// A note for every field that nobody knows.
pub(super) fn unknown(config: &Value) -> Vec<String> {
    let known = |name: &str| {
        READ.contains(&name)
            || WITHOUT_EFFECT.contains(&name)
            || REFUSED.iter().any(|(refused, _)| *refused == name)
    };
    let names = config
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    names
        .filter(|name| !known(name))
        .map(|name| {
            format!(
                "{FILE}: {} is not known here and has no effect",
                escape(name)
            )
        })
        .collect()
}

/// Settings that change what is written and are not implemented, each with the values that mean that it is off; `null`
/// always does.
const REFUSED: &[(&str, &[Off])] = &[
    ("assistant_early_exit", &[]),
    ("constraints", &[]),
    ("diversity_penalty", &[Off::Number(0.0)]),
    ("dola_layers", &[]),
    ("force_words_ids", &[]),
    ("guidance_scale", &[Off::Number(1.0)]),
    ("is_assistant", &[Off::False]),
    ("max_time", &[]),
    ("num_beam_groups", &[Off::Number(1.0)]),
    ("penalty_alpha", &[Off::Number(0.0)]),
    ("prompt_lookup_num_tokens", &[]),
    ("remove_invalid_values", &[Off::False]),
    ("sequence_bias", &[]),
    ("token_healing", &[Off::False]),
    ("top_h", &[]),
    ("use_mtp", &[Off::False]),
    ("watermarking_config", &[]),
];

enum Off {
    False,
    Number(f64),
}

impl Off {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::False => value == &Value::Bool(false),
            Self::Number(off) => value
                .as_f64()
                .is_some_and(|number| number.to_bits() == off.to_bits()),
        }
    }
}

/// Settings that are read.
const READ: &[&str] = &[
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_beams",
    "num_return_sequences",
    "renormalize_logits",
    "repetition_penalty",
    "stop_strings",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Settings that do not change what is written: speed, memory, what else is returned; and padding, which is known by its
/// place here.
const WITHOUT_EFFECT: &[&str] = &[
    "_commit_hash",
    "_from_model_config",
    "assistant_confidence_threshold",
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "continuous_batching_config",
    "disable_compile",
    "low_memory",
    "max_cache_len",
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "prefill_chunk_size",
    "return_dict_in_generate",
    "speculation_type",
    "target_lookbehind",
    "transformers_version",
    "use_cache",
];
