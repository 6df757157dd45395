#![no_main]

use std::str::FromStr;

use finetune_data::load::{Loaders, OnError};
use finetune_data::mapping::{
    ChatMapping, CompletionMapping, LabelMapping, Mapping, PreferenceMapping, TextMapping,
};

// The text of a mapping, and records that it maps; where the text is no mapping, the one that is taken unasked does.
libfuzzer_sys::fuzz_target!(|input: (&str, &[u8])| {
    map::<TextMapping>(input);
    map::<CompletionMapping>(input);
    map::<ChatMapping>(input);
    map::<LabelMapping>(input);
    map::<PreferenceMapping>(input);
});

fn map<M>((text, bytes): (&str, &[u8]))
where
    M: Mapping<Example: Send> + FromStr + Default + Sync,
{
    let path = finetune_data_fuzz::written("a.jsonl", bytes);
    let mapping: M = text.parse().unwrap_or_default();
    let loaders = Loaders::default();
    if let Ok((examples, counts)) = loaders.examples(&[path], &OnError::Skip, &mapping) {
        assert!(counts.balanced(), "{counts}");
        assert_eq!(examples.len() as u64, counts.kept);
    }
}
