#![no_main]

use std::path::{Component, Path};

use finetune_data::hub::{HubName, Kind};

// A name that is read stays inside of its repository, and is read again as it is printed.
libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(name) = HubName::parse(text, Kind::Dataset) {
        let printed = name.to_string();
        assert_eq!(
            HubName::parse(&printed, Kind::Model).expect("it is a name"),
            name
        );
        for part in [name.id(), name.revision(), name.path().unwrap_or("a")] {
            let mut parts = Path::new(part).components();
            assert!(
                parts.all(|part| matches!(part, Component::Normal(_))),
                "{part}"
            );
        }
    }
});
