//! What must not change a result: padding, packing, the cache, the batch, and the type of the weights within its precision.

#![allow(clippy::unwrap_used)]

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use finetune_model::blueprint::Place;
use finetune_model::{
    Branch, Cache, CausalLm, Checkpoint, MaskedLm, Noise, Order, Side, Targets, Tokens, weights,
};
use serde_json::{Value, json};

fn llama() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, "attention_dropout": 0.5,
    })
}

fn gpt2() -> Value {
    json!({
        "model_type": "gpt2", "vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64,
        "initializer_range": 0.3,
    })
}

fn bert() -> Value {
    json!({
        "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 64, "initializer_range": 0.3,
    })
}

fn xlnet(attention: &str) -> Value {
    json!({
        "model_type": "xlnet", "vocab_size": 40, "d_model": 16, "n_layer": 2, "n_head": 4, "d_inner": 24, "dropout": 0.5,
        "initializer_range": 0.3, "attn_type": attention,
    })
}

fn modernbert(pooling: &str) -> Value {
    json!({
        "model_type": "modernbert", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 4, "num_attention_heads": 4, "local_attention": 2, "pad_token_id": null,
        "classifier_pooling": pooling, "initializer_range": 0.3,
    })
}

fn causal(config: Value) -> CausalLm {
    Checkpoint::create(config, 5)
        .unwrap()
        .causal_lm(&Device::default())
        .unwrap()
}

fn texts() -> Vec<Vec<u32>> {
    vec![vec![1, 7, 9, 30, 2, 8], vec![5, 5, 11], vec![17, 3, 39, 20]]
}

fn rows(texts: &[Vec<u32>]) -> Vec<Vec<Vec<u32>>> {
    texts.iter().map(|text| vec![text.clone()]).collect()
}

fn tokens(rows: &[Vec<Vec<u32>>], side: Side) -> Tokens {
    Tokens::new(rows, Some(15), side, 3, &Device::default()).unwrap()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .cast(FloatDType::F32)
        .into_data()
        .try_into_vec::<f32>()
        .unwrap()
}

/// Targets: every next token of every document.
fn next_tokens(tokens: &Tokens) -> Targets {
    let ids: Vec<i32> = tokens.ids.to_data().iter::<i32>().collect();
    let mut targets = Targets::default();
    for (row, spans) in tokens.spans.iter().enumerate() {
        for span in spans {
            for place in span.start..span.end - 1 {
                let place = row as u32 * tokens.length() as u32 + place;
                targets.places.push(place);
                targets.ids.push(ids[place as usize + 1] as u32);
            }
        }
    }
    targets
}

fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= tolerance, "differ by {worst}");
}

/// Log-probabilities of every text alone.
fn alone(model: &CausalLm) -> Vec<f32> {
    let one = |text: &Vec<u32>| {
        let tokens = Tokens::single(text, &Device::default()).unwrap();
        read(model.log_probs(&tokens, &next_tokens(&tokens), Noise::off()))
    };
    texts().iter().flat_map(one).collect()
}

/// Rotations that follow the length of a text, for texts of more than four tokens.
fn dynamic() -> Value {
    let mut config = llama();
    config["rope_scaling"] = json!({"rope_type": "dynamic", "factor": 2.0});
    config["max_position_embeddings"] = json!(4);
    config
}

#[test]
fn frequencies_that_follow_a_text_do_not_follow_its_padding() {
    let model = causal(dynamic());
    for side in [Side::Right, Side::Left] {
        let tokens = tokens(&rows(&texts()), side);
        let found = read(model.log_probs(&tokens, &next_tokens(&tokens), Noise::off()));
        close(&found, &alone(&model), 2e-6);
    }
}

#[test]
fn padding_and_packing_change_nothing() {
    for config in [llama(), gpt2(), xlnet("bi"), xlnet("uni")] {
        let model = causal(config);
        let expected = alone(&model);
        let packed = [texts()];
        for (rows, side) in [
            (&rows(&texts())[..], Side::Right),
            (&rows(&texts())[..], Side::Left),
            (&packed[..], Side::Right),
            (&packed[..], Side::Left),
        ] {
            let tokens = tokens(rows, side);
            let found = read(model.log_probs(&tokens, &next_tokens(&tokens), Noise::off()));
            close(&found, &expected, 2e-6);
        }
    }
}

fn bloom() -> Value {
    json!({
        "model_type": "bloom", "vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 4, "initializer_range": 0.3,
    })
}

/// Blocks that see three tokens.
fn mistral() -> Value {
    json!({
        "model_type": "mistral", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, "sliding_window": 3,
    })
}

#[test]
fn a_branch_is_read_as_its_whole_text_alone() {
    let part = |ids, after| Branch { ids, after };
    let rows = [
        vec![
            part(&[1, 7, 9, 30, 2, 8][..], None),
            part(&[5, 5, 11], Some(2)),
            part(&[17, 3, 39, 20, 4], Some(6)),
        ],
        vec![part(&[6, 12], None), part(&[13, 14, 15], Some(1))],
    ];
    // The texts, and for each the places of its own tokens.
    let texts: [(&[u32], std::ops::Range<usize>); 5] = [
        (&[1, 7, 9, 30, 2, 8], 0..6),
        (&[1, 7, 9, 5, 5, 11], 6..9),
        (&[1, 7, 9, 5, 17, 3, 39, 20, 4], 9..14),
        (&[6, 12], 15..17),
        (&[6, 12, 13, 14, 15], 17..20),
    ];
    let device = Device::default();
    for config in [llama(), gpt2(), bloom(), mistral()] {
        let model = causal(config);
        assert!(model.takes_branches());
        for (side, first) in [(Side::Right, 0), (Side::Left, 1)] {
            let tokens = Tokens::branched(&rows, Some(15), side, 3, &device).unwrap();
            let found = model.hidden(&tokens, Noise::off(), None);
            for (text, places) in &texts {
                let alone = Tokens::single(text, &device).unwrap();
                let alone = model.hidden(&alone, Noise::off(), None);
                let expected = alone.narrow(0, text.len() - places.len(), places.len());
                let padding = first * if places.start < 15 { 1 } else { 10 };
                let found = found
                    .clone()
                    .narrow(0, places.start + padding, places.len());
                close(&read(found), &read(expected), 5e-6);
            }
        }
    }
    for config in [xlnet("uni"), dynamic()] {
        assert!(!causal(config).takes_branches());
    }
}

#[test]
#[should_panic(expected = "have branches")]
fn branches_are_not_cached() {
    let rows =
        [[(&[1, 2][..], None), (&[3][..], Some(0))].map(|(ids, after)| Branch { ids, after })];
    let rows = rows.map(Vec::from);
    let tokens = Tokens::branched(&rows, None, Side::Right, 0, &Device::default()).unwrap();
    let _ = causal(llama()).hidden(&tokens, Noise::off(), Some(&mut Cache::new()));
}

#[test]
fn a_second_stream_sees_what_comes_before_and_the_first_one_both_sides() {
    let model = causal(xlnet("bi"));
    let off = Noise::off();
    let [one, other] = [[4, 8, 15, 16, 23], [4, 8, 15, 39, 38]]
        .map(|ids| Tokens::single(&ids, &Device::default()).unwrap());
    let ahead = |tokens: &Tokens| read(model.hidden(tokens, off, None).narrow(0, 0, 3));
    assert_eq!(ahead(&one), ahead(&other));
    let both = |tokens: &Tokens| {
        let order = Order::new(tokens);
        read(model.ordered(tokens, &order, off).narrow(0, 0, 3))
    };
    assert_ne!(both(&one), both(&other));
    // The same order, said place by place: the last place is asked, and nothing sees it or what follows.
    let hidden: Vec<bool> = (0..25).map(|pair| pair % 5 >= pair / 5).collect();
    let order = Order::new(&one).hiding(&hidden).unwrap();
    let order = order.asking(&[0.0, 0.0, 0.0, 1.0, 0.0], &one).unwrap();
    let found = read(model.ordered(&one, &order, off));
    let expected = read(model.hidden(&one, off, None).narrow(0, 2, 1));
    close(&found, &expected, 2e-6);
}

#[test]
fn an_order_of_another_shape_is_refused() {
    let tokens = Tokens::single(&[4, 8], &Device::default()).unwrap();
    let error = Order::new(&tokens).hiding(&[true; 3]).unwrap_err();
    assert!(error.to_string().contains("1x2x2"), "{error}");
    let error = Order::new(&tokens).asking(&[1.0; 3], &tokens).unwrap_err();
    assert!(error.to_string().contains("2 places"), "{error}");
}

#[test]
fn a_masked_model_sees_its_document_alone() {
    let checkpoint = Checkpoint::create(bert(), 5).unwrap();
    let model: MaskedLm = checkpoint.masked_lm(&Device::default()).unwrap();
    let own = |tokens: &Tokens| {
        let mut places = Targets::default();
        for (row, spans) in tokens.spans.iter().enumerate() {
            for place in spans.iter().flat_map(|span| span.start..span.end) {
                places
                    .places
                    .push(row as u32 * tokens.length() as u32 + place);
                places.ids.push(4);
            }
        }
        read(model.log_probs(tokens, &places, Noise::off()))
    };
    let single = |text: &Vec<u32>| own(&Tokens::single(text, &Device::default()).unwrap());
    let expected: Vec<f32> = texts().iter().flat_map(single).collect();
    close(&own(&tokens(&rows(&texts()), Side::Right)), &expected, 2e-6);
    close(&own(&tokens(&rows(&texts()), Side::Left)), &expected, 2e-6);
    close(&own(&tokens(&[texts()], Side::Right)), &expected, 2e-6);
}

#[test]
fn padding_changes_no_class_and_packing_no_class_of_a_token() {
    let device = Device::default();
    for pooling in ["cls", "mean"] {
        let checkpoint = Checkpoint::create(modernbert(pooling), 5).unwrap();
        let model = checkpoint.classifier(3, &device).unwrap();
        let logits = |tokens: &Tokens| read(model.logits(tokens, Noise::off()));
        let one = |text: &Vec<u32>| logits(&Tokens::single(text, &device).unwrap());
        let alone: Vec<f32> = texts().iter().flat_map(one).collect();
        for side in [Side::Right, Side::Left] {
            close(&logits(&tokens(&rows(&texts()), side)), &alone, 2e-6);
        }
    }
    let checkpoint = Checkpoint::create(modernbert("cls"), 5).unwrap();
    let model = checkpoint.token_classifier(3, &device).unwrap();
    let classes = |tokens: &Tokens| {
        let mut targets = next_tokens(tokens);
        targets.ids.iter_mut().for_each(|id| *id %= 3);
        read(model.log_probs(tokens, &targets, Noise::off()))
    };
    let one = |text: &Vec<u32>| classes(&Tokens::single(text, &device).unwrap());
    let alone: Vec<f32> = texts().iter().flat_map(one).collect();
    for side in [Side::Right, Side::Left] {
        close(&classes(&tokens(&rows(&texts()), side)), &alone, 2e-6);
        close(&classes(&tokens(&[texts()], side)), &alone, 2e-6);
    }
}

#[test]
fn the_cache_changes_nothing() {
    for config in [llama(), gpt2()] {
        let model = causal(config);
        let off = Noise::off();
        let whole = tokens(&rows(&texts()), Side::Left);
        let length = whole.length();
        let expected = model.logits(model.hidden(&whole, off, None));
        let [_, vocabulary] = expected.dims();
        let expected = read(
            expected
                .reshape([3, length, vocabulary])
                .narrow(1, length - 2, 2),
        );
        // All but the last two tokens at once, then those one by one.
        let short: Vec<Vec<Vec<u32>>> = texts()
            .iter()
            .map(|text| vec![text[..text.len() - 2].to_vec()])
            .collect();
        let mut now =
            Tokens::new(&short, Some(length - 2), Side::Left, 3, &Device::default()).unwrap();
        for mut cache in [Cache::new(), Cache::with_room(length)] {
            let _ = model.hidden(&now, off, Some(&mut cache));
            let mut found = Vec::new();
            for step in [2, 1] {
                let ids: Vec<u32> = texts().iter().map(|text| text[text.len() - step]).collect();
                let next = now.next(&ids).unwrap();
                let logits = model.logits(model.hidden(&next, off, Some(&mut cache)));
                found.push(logits.reshape([3, 1, vocabulary]));
                now = next;
            }
            close(&read(Tensor::cat(found, 1)), &expected, 3e-6);
            now = Tokens::new(&short, Some(length - 2), Side::Left, 3, &Device::default()).unwrap();
        }
    }
}

#[test]
fn half_types_compute_what_full_ones_do_within_their_precision() {
    let device = Device::default();
    let expected = alone(&causal(llama()));
    for (dtype, tolerance) in [(FloatDType::F16, 0.03), (FloatDType::BF16, 0.3)] {
        let checkpoint = Checkpoint::create(llama(), 5).unwrap().with_dtype(dtype);
        let model = checkpoint.causal_lm(&device).unwrap();
        assert!(
            weights::parameters(&model)
                .iter()
                .all(|p| p.dtype == dtype.into())
        );
        close(&alone(&model), &expected, tolerance);
    }
}

#[test]
fn noise_is_a_function_of_its_key_and_off_means_none() {
    for config in [llama(), gpt2(), xlnet("bi")] {
        let model = causal(config);
        let tokens = tokens(&rows(&texts()), Side::Right);
        let run = |noise| read(model.hidden(&tokens, noise, None));
        let on = run(Noise::new(1, 2, 3));
        assert_eq!(on, run(Noise::new(1, 2, 3)));
        assert_ne!(on, run(Noise::new(1, 2, 4)));
        assert_ne!(on, run(Noise::off()));
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_the_spread_is_that_of_the_configuration() {
    let values = |seed| {
        let checkpoint = Checkpoint::create(gpt2(), seed).unwrap();
        let model = checkpoint.causal_lm(&Device::default()).unwrap();
        weights::values(&model)
            .into_iter()
            .map(|(path, value)| (path, read(value)))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(3), values(3));
    assert_ne!(values(3), values(4));
    for (path, values) in values(3) {
        let spread = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
        let expected = match path.as_str() {
            p if p.ends_with("bias") => 0.0,
            p if p.contains("norm") => 1.0,
            p if p.ends_with("output.weight") || p.ends_with("down.weight") => 0.15,
            _ => 0.3,
        };
        assert!(
            (spread - expected).abs() < 0.15 * expected + 1e-6,
            "{path}: {spread}"
        );
    }
}

#[test]
fn a_model_is_usable_from_many_threads_and_forks() {
    let model = causal(llama());
    let expected = alone(&model);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(alone(&model), expected));
        }
    });
    let fork = model.clone().fork(&Device::default());
    assert_eq!(alone(&fork), expected);
}

#[test]
#[should_panic(expected = "64 learned positions")]
fn a_text_beyond_the_learned_positions_is_a_mistake() {
    let model = causal(gpt2());
    let tokens = Tokens::single(&[1; 65], &Device::default()).unwrap();
    let _ = model.hidden(&tokens, Noise::off(), None);
}

#[test]
fn a_text_has_one_vector_wherever_its_padding_lies() {
    let off = Noise::off();
    for config in [llama(), gpt2(), bert()] {
        let checkpoint = Checkpoint::create(config, 5).unwrap();
        let trunk = checkpoint.trunk(&Device::default()).unwrap();
        for place in [Place::Mean, Place::First, Place::Last] {
            let mut alone = Vec::new();
            for text in texts() {
                let one = Tokens::single(&text, &Device::default()).unwrap();
                let hidden = read(trunk.hidden(&one, off));
                let width = hidden.len() / text.len();
                let of = |row: usize| hidden[row * width..(row + 1) * width].to_vec();
                let expected = match place {
                    Place::Mean => (0..width)
                        .map(|i| (0..text.len()).map(|row| of(row)[i]).sum::<f32>())
                        .map(|sum| sum / text.len() as f32)
                        .collect(),
                    Place::First => of(0),
                    _ => of(text.len() - 1),
                };
                let pooled = read(trunk.pooled(&one, place, off));
                close(&pooled, &expected, 1e-6);
                alone.extend(pooled);
            }
            for side in [Side::Left, Side::Right] {
                let padded = tokens(&rows(&texts()), side);
                let pooled = read(trunk.pooled(&padded, place, off));
                close(&pooled, &alone, 2e-6);
                let width = pooled.len() / texts().len();
                let unit = read(trunk.embed(&padded, place, off));
                for (unit, pooled) in unit.chunks(width).zip(pooled.chunks(width)) {
                    let length = pooled.iter().map(|x| x * x).sum::<f32>().sqrt();
                    let expected: Vec<f32> = pooled.iter().map(|x| x / length).collect();
                    close(unit, &expected, 1e-6);
                }
            }
        }
    }
}
