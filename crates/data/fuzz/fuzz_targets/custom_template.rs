#![no_main]

use finetune_data::Conversation;
use finetune_data::template::{CustomTemplate, Template};

// A pattern that a user writes.
libfuzzer_sys::fuzz_target!(|pattern: &str| {
    if let Ok(template) = CustomTemplate::new(pattern) {
        let _ = template.render(&Conversation::pair("a", "b"), false);
    }
});
