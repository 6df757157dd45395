use super::device;
use finetune::model::{Cache, Checkpoint, Noise, Tokens};
use std::time::Instant;

#[test]
#[ignore]
fn measure() {
    for (window, layers) in [(None, 2), (Some(64), 2)] {
        let config: finetune::data::Value = format!(r#"{{
            "architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 200, "hidden_size": 256,
            "intermediate_size": 256, "num_hidden_layers": {layers}, "num_attention_heads": 4, "num_key_value_heads": 4,
            "max_position_embeddings": 100000, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": true,
            "rope_theta": 10000.0, "sliding_window": {}}}"#, window.map_or("null".to_owned(), |w: usize| w.to_string())).parse().unwrap();
        let model = Checkpoint::create(config, 1)
            .unwrap()
            .causal_lm(&device())
            .unwrap();
        let mut tokens = Tokens::single(&[1, 2, 3], &device()).unwrap();
        let mut cache = Cache::new();
        let mut start = Instant::now();
        let mut at = 0;
        for step in 1..=16384usize {
            let hidden = model.hidden(&tokens, Noise::off(), Some(&mut cache));
            drop(hidden);
            tokens = tokens.next(&[(step % 190) as u32]).unwrap();
            if [256, 512, 2048, 2304, 8192, 8448, 16128, 16384].contains(&step) {
                println!(
                    "window {window:?}: places {at}..{step}: {:.1} us per token, rooms {:?}",
                    start.elapsed().as_secs_f64() * 1e6 / (step - at) as f64,
                    cache.rooms()
                );
                start = Instant::now();
                at = step;
            }
        }
    }
}
