#![no_main]

use std::collections::BTreeMap;

use finetune_data::synthesize::{Answer, Ask, Ended, Recipe, Refusal, Request, Synthesis};
use finetune_data::{Document, Origin};

struct Parrot(String);

impl Ask for Parrot {
    fn model(&self) -> &str {
        "parrot"
    }

    fn ask(&self, _: &Request) -> Result<Answer, Refusal> {
        Ok(Answer {
            text: self.0.clone(),
            ended: Ended::Stop,
            usage: None,
        })
    }
}

// What a model answers where JSON of a shape is asked for.
libfuzzer_sys::fuzz_target!(|text: String| {
    let document = Document {
        text: "A text.".into(),
        fields: BTreeMap::new(),
        origin: Origin::new("a.txt", 1),
    };
    let parrot = Parrot(text);
    for recipe in Recipe::list() {
        if let Ok((_, counts)) = Synthesis::new(recipe)
            .threads(1)
            .redraws(0)
            .run(&parrot, std::slice::from_ref(&document))
        {
            assert!(counts.balanced());
        }
    }
});
