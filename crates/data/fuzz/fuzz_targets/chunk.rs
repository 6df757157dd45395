#![no_main]

use std::collections::BTreeMap;

use finetune_data::chunk::{Chunker, Form};
use finetune_data::{Document, Origin};

// Whatever a text is, its chunks are parts of it, none too long, and nothing but white space is lost between them.
libfuzzer_sys::fuzz_target!(|input: (u8, u8, bool, &str)| {
    let (limit, overlap, plain, text) = input;
    let limit = usize::from(limit).max(1);
    let overlap = usize::from(overlap) % limit;
    let form = if plain { Form::Plain } else { Form::Markdown };
    let document = Document {
        text: text.into(),
        fields: BTreeMap::new(),
        origin: Origin::new("a.md", 1),
    };
    let chunker = Chunker::characters(limit).overlap(overlap).form(form);
    let mut covered = 0;
    for chunk in chunker.chunks(&document).expect("the limits are sound") {
        let place = |name: &str| chunk.fields["chunk"][name].as_u64().expect("a number") as usize;
        let (start, end) = (place("start"), place("end"));
        assert_eq!(chunk.text, text[start..end]);
        assert!(chunk.text.chars().count() <= limit);
        assert!(end > covered);
        assert!(
            text.get(covered..start)
                .is_none_or(|lost| lost.trim().is_empty())
        );
        covered = end;
    }
    assert!(text[covered..].trim().is_empty());
});
