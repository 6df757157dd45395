#![no_main]

use finetune_data::shard::Shard;

// A shard that opens holds the rows and tokens that it says.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for bytes in [bytes, &finetune_data_fuzz::sealed(bytes)] {
        let path = finetune_data_fuzz::written("a.tokens", bytes);
        if let Ok(shard) = Shard::inspect(path) {
            let tokens: usize = shard.rows().map(|row| row.encoded.ids.len()).sum();
            assert_eq!(
                (shard.rows().count(), tokens),
                (shard.len(), shard.tokens())
            );
        }
    }
});
