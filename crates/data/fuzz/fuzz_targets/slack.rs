#![no_main]

// A day of a channel of Slack's export, which the list of people beside it tells from other files.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let users = r#"[{"id":"U1","team_id":"T1","name":"ann","profile":{"display_name":"Ann"}}]"#;
    finetune_data_fuzz::written("users.json", users.as_bytes());
    finetune_data_fuzz::load("general/2024-01-01.json", bytes);
});
