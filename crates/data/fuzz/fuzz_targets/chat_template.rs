#![no_main]

use finetune_data::template::{ChatTemplate, Template};
use finetune_data::{Conversation, Role, Turn};

// A template that a model brings: whatever it does, it ends, and the pieces are the text that it renders.
libfuzzer_sys::fuzz_target!(|source: &str| {
    let turns = [
        (Role::System, "s"),
        (Role::User, "a <b>\n"),
        (Role::Assistant, " c"),
        (Role::User, "d"),
        (Role::Assistant, "e"),
    ];
    let conversation = Conversation::new(turns.map(|(role, text)| Turn::new(role, text)).into());
    if let Ok(template) = ChatTemplate::new(source) {
        for open in [false, true] {
            let _ = template.render(&conversation, open);
        }
    }
});
