//! Batches of rows for real models: how rows are laid out changes no loss and no gradient.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use finetune_data::encode::{AnsweredRow, Encoded, Fingerprint, Row};
use finetune_data::shard::{ShardWriter, Shards};
use finetune_data::{Label, Origin};
use finetune_model::{
    CausalLm, Checkpoint, Classifier, Generator, Noise, Seq2Seq, Side, Stops, weights,
};
use finetune_train::batch::{
    AnswerBatch, AnswerBatches, CausalBatch, CausalBatches, LabelBatch, LabelBatches, Labels,
    Specials, TokenLabelBatch, TokenLabelBatches,
};
use finetune_train::objective::{Classification, EachToken, NextToken, Regression, SeveralClasses};
use finetune_train::optimizer::{self, Gradients};
use finetune_train::{
    Batch, BatchConfig, Batches, Decay, Event, Objective, Order, Result, Schedule, TrainConfig,
    Trainer,
};
use proptest::prelude::*;
use serde_json::json;

const VOCABULARY: u64 = 60;

fn device() -> Device {
    Device::default().autodiff()
}

fn llama() -> CausalLm {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY,
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "hidden_act": "silu", "initializer_range": 0.2,
        "attention_bias": false, "mlp_bias": false, "bos_token_id": 1, "eos_token_id": 2,
    });
    Checkpoint::create(config, 3)
        .unwrap()
        .causal_lm(&device())
        .unwrap()
}

/// A row of some length; its tokens and marks follow from its number. The last token is the stop token, 2.
fn row(length: usize, number: u64) -> Row {
    let noise = Noise::new(number, 1, 0);
    let mut ids: Vec<u32> = (0..length as u64)
        .map(|place| 3 + (noise.uniform(place) * (VOCABULARY - 3) as f32) as u32)
        .collect();
    ids[length - 1] = 2;
    let mut learn: Vec<bool> = (0..length).map(|place| place * 3 > length).collect();
    learn[length - 1] = true;
    Row {
        encoded: Encoded {
            kinds: vec![0; length],
            ids,
            learn,
        },
        origin: Origin::new("rows.jsonl", number),
    }
}

fn rows(lengths: &[usize]) -> Vec<Row> {
    lengths
        .iter()
        .enumerate()
        .map(|(number, length)| row(*length, number as u64))
        .collect()
}

/// The summed loss and its gradients over some batches.
fn passes(
    model: &CausalLm,
    batches: impl IntoIterator<Item = CausalBatch>,
) -> (f64, usize, Gradients) {
    let (mut sum, mut targets, mut gradients) = (0.0, 0, Gradients::new());
    for batch in batches {
        let loss = NextToken.loss(model, &batch, Noise::off());
        sum += f64::from(loss.clone().into_scalar::<f32>());
        targets += batch.targets();
        optimizer::accumulate(
            &mut gradients,
            weights::gradients(model, &mut loss.backward()),
        );
    }
    (sum, targets, gradients)
}

fn floats(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.clone().into_data().iter::<f32>().collect()
}

/// Equal per target, to 1e-6.
fn same(found: &(f64, usize, Gradients), expected: &(f64, usize, Gradients), what: &str) {
    assert_eq!(found.1, expected.1, "{what}: targets");
    let count = expected.1 as f64;
    let difference = (found.0 - expected.0).abs() / count;
    assert!(
        difference < 1e-6,
        "{what}: the loss differs by {difference}"
    );
    assert!(found.2.keys().eq(expected.2.keys()));
    for (path, gradient) in &found.2 {
        for (a, b) in floats(gradient).iter().zip(floats(&expected.2[path])) {
            let difference = f64::from((a - b).abs()) / count;
            assert!(
                difference < 1e-6,
                "{what}: the gradient of {path} differs by {difference}"
            );
        }
    }
}

fn batch(rows: &[Vec<&Row>], side: Side, pad: u32) -> CausalBatch {
    CausalBatch::new(rows, side, pad, &device()).unwrap()
}

#[test]
fn the_layout_of_rows_changes_no_loss_and_no_gradient() {
    let model = llama();
    let rows = rows(&[7, 3, 12, 5, 2, 9]);
    let alone: Vec<Vec<&Row>> = rows.iter().map(|row| vec![row]).collect();
    let expected = passes(&model, [batch(&alone, Side::Right, 0)]);
    let split = |sizes: &[usize]| {
        let mut rest = &alone[..];
        let mut batches = Vec::new();
        for size in sizes {
            let (some, others) = rest.split_at(*size);
            batches.push(batch(some, Side::Right, 0));
            rest = others;
        }
        passes(&model, batches)
    };
    for sizes in [&[1; 6][..], &[2, 4], &[5, 1], &[3, 2, 1]] {
        same(&split(sizes), &expected, &format!("split {sizes:?}"));
    }
    same(
        &passes(&model, [batch(&alone, Side::Left, 0)]),
        &expected,
        "padded on the left",
    );
    // The stop token as padding.
    same(
        &passes(&model, [batch(&alone, Side::Right, 2)]),
        &expected,
        "padded with the stop token",
    );
    let packed = [
        vec![&rows[2], &rows[1]],
        vec![&rows[0], &rows[4], &rows[3]],
        vec![&rows[5]],
    ];
    same(
        &passes(&model, [batch(&packed, Side::Right, 0)]),
        &expected,
        "packed",
    );
    let one: Vec<&Row> = rows.iter().rev().collect();
    same(
        &passes(&model, [batch(&[one], Side::Right, 0)]),
        &expected,
        "all in one row",
    );
}

#[test]
fn targets_stand_before_their_tokens() {
    let rows = rows(&[4, 3, 5]);
    let batch = batch(&[vec![&rows[0], &rows[1]], vec![&rows[2]]], Side::Right, 0);
    assert_eq!(batch.tokens.length(), 7);
    assert_eq!(
        (batch.tokens(), batch.targets()),
        (12, batch.targets.ids.len())
    );
    let ids: Vec<u32> = batch
        .tokens
        .ids
        .to_data()
        .iter::<i32>()
        .map(|id| id as u32)
        .collect();
    for (place, id) in batch.targets.places.iter().zip(&batch.targets.ids) {
        assert_eq!(ids[*place as usize + 1], *id);
    }
    // Of the second document's first token nothing is learned, though it is not the row's first.
    assert!(!batch.targets.places.contains(&3));
    let places: Vec<u64> = batch.origins().iter().map(|origin| origin.place).collect();
    assert_eq!(places, [0, 1, 2]);
}

fn config(rows: usize, pack: bool, order: Order) -> BatchConfig {
    BatchConfig {
        rows,
        length: 16,
        pack,
        order,
    }
}

fn specials() -> Specials {
    Specials {
        pad: 0,
        bos: Some(1),
        stop: vec![2],
    }
}

fn places(batches: impl Iterator<Item = Result<CausalBatch>>) -> Vec<Vec<u64>> {
    batches
        .map(|batch| {
            batch
                .unwrap()
                .origins()
                .iter()
                .map(|origin| origin.place)
                .collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_epoch_has_every_row_once_and_can_be_entered_anywhere(
        lengths in prop::collection::vec(2usize..=16, 1..40),
        size in 1usize..5,
        pack: bool,
        order in prop_oneof![Just(Order::Shuffled), Just(Order::Sequential), Just(Order::Grouped)],
        seed: u64,
        epoch in 0u64..3,
        share in 0.0..1.0,
    ) {
        let data = CausalBatches::new(rows(&lengths), &config(size, pack, order), seed, specials(), &device()).unwrap();
        let whole = places(data.epoch(epoch, 0));
        prop_assert_eq!(whole.len() as u64, data.per_epoch(epoch));
        let mut seen = whole.concat();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len() as u64).collect::<Vec<_>>());
        let from = (share * whole.len() as f64) as usize;
        prop_assert_eq!(&places(data.epoch(epoch, from as u64)), &whole[from..]);
        for batch in data.epoch(epoch, 0) {
            let batch = batch.unwrap();
            prop_assert!(batch.tokens.batch() <= size && batch.tokens.length() <= 16);
            prop_assert!(batch.targets() > 0);
        }
        prop_assert_eq!(data.tokens(), lengths.iter().sum::<usize>());
        let targets: usize = data.epoch(epoch, 0).map(|batch| batch.unwrap().targets()).sum();
        prop_assert_eq!(data.targets(), targets);
    }
}

#[test]
fn fingerprints_tell_data_and_order_apart() {
    let data = |rows: Vec<Row>, config: &BatchConfig, seed| {
        CausalBatches::new(rows, config, seed, specials(), &device())
            .unwrap()
            .fingerprint()
    };
    let plain = config(2, false, Order::Shuffled);
    let first = data(rows(&[5, 6]), &plain, 1);
    let mut moved = rows(&[5, 6]);
    moved[0].origin = Origin::new("elsewhere.jsonl", 77);
    assert_eq!(data(moved, &plain, 1), first);
    let mut learned = rows(&[5, 6]);
    learned[0].encoded.learn[1] ^= true;
    let others = [
        data(learned, &plain, 1),
        data(rows(&[6, 5]), &plain, 1),
        data(rows(&[5, 6]), &plain, 2),
        data(rows(&[5, 6]), &config(2, true, Order::Shuffled), 1),
        data(rows(&[5, 6]), &config(1, false, Order::Shuffled), 1),
    ];
    assert!(others.iter().all(|other| *other != first));
}

#[test]
fn rows_on_disk_make_the_batches_of_rows_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = Fingerprint {
        tokenizer: "t".into(),
        template: "m".into(),
        settings: "s".into(),
        vocabulary: VOCABULARY,
    };
    let all = rows(&[5, 16, 3, 9, 2, 12, 7, 8, 4, 6, 11, 10]);
    // Three files, one of a single row.
    for (number, part) in [&all[..7], &all[7..8], &all[8..]].into_iter().enumerate() {
        let mut writer = ShardWriter::new(fingerprint.clone());
        for row in part {
            writer.push(row).unwrap();
        }
        let name = format!("part-{number}.tokens");
        writer.write(folder.path().join(name)).unwrap();
    }
    for pack in [false, true] {
        for order in [Order::Shuffled, Order::Sequential, Order::Grouped] {
            let config = config(2, pack, order);
            let shards = Shards::open(&[folder.path()], &fingerprint).unwrap();
            let disk = CausalBatches::new(shards, &config, 5, specials(), &device()).unwrap();
            let memory =
                CausalBatches::new(all.clone(), &config, 5, specials(), &device()).unwrap();
            assert_eq!(disk.fingerprint(), memory.fingerprint());
            assert_eq!(disk.tokens(), memory.tokens());
            assert_eq!(disk.targets(), memory.targets());
            for (a, b) in disk.epoch(1, 1).zip(memory.epoch(1, 1)) {
                let (a, b) = (a.unwrap(), b.unwrap());
                assert_eq!(a.origins, b.origins);
                assert_eq!(a.targets.ids, b.targets.ids);
                assert_eq!(a.targets.places, b.targets.places);
                let ids = |batch: &CausalBatch| batch.tokens.ids.clone().into_data();
                assert_eq!(ids(&a), ids(&b));
            }
        }
    }
    // Some of them, in another order.
    let chosen = vec![11, 7, 0, 3, 6];
    let some: Vec<Row> = chosen.iter().map(|row| all[*row].clone()).collect();
    let packed = config(2, true, Order::Shuffled);
    let shards = Arc::new(Shards::open(&[folder.path()], &fingerprint).unwrap());
    let part = (Arc::clone(&shards), chosen);
    let disk = CausalBatches::new(part, &packed, 5, specials(), &device()).unwrap();
    let memory = CausalBatches::new(some, &packed, 5, specials(), &device()).unwrap();
    assert_eq!(disk.fingerprint(), memory.fingerprint());
    assert_eq!(disk.tokens(), memory.tokens());
    assert_eq!(places(disk.epoch(1, 0)), places(memory.epoch(1, 0)));
    let none = CausalBatches::new((shards, Vec::new()), &packed, 5, specials(), &device());
    assert!(none.unwrap_err().to_string().contains("no rows"));

    let shards = Shards::open(&[folder.path()], &fingerprint).unwrap();
    let config = BatchConfig {
        length: 15,
        ..config(2, false, Order::Shuffled)
    };
    let error = CausalBatches::new(shards, &config, 5, specials(), &device()).unwrap_err();
    assert!(error.to_string().contains("16"), "{error}");
}

#[test]
fn validation_rows_need_no_stop_token_and_keep_their_order() {
    let mut some = rows(&[5, 6, 7]);
    for row in &mut some {
        *row.encoded.ids.last_mut().unwrap() = 9;
    }
    let shuffled = config(2, false, Order::Shuffled);
    assert!(CausalBatches::new(some.clone(), &shuffled, 1, specials(), &device()).is_err());
    let data = CausalBatches::validation(some, &shuffled, specials(), &device()).unwrap();
    assert_eq!(places(data.epoch(0, 0)), [vec![0, 1], vec![2]]);
}

#[test]
fn a_llama_learns_its_rows_packed_or_not() {
    let fit = |pack| {
        let config = TrainConfig {
            steps: Some(40),
            schedule: Schedule::constant(1e-2),
            batch: BatchConfig {
                rows: 4,
                length: 24,
                pack,
                order: Order::Shuffled,
            },
            ..TrainConfig::default()
        };
        let data = |rows| {
            CausalBatches::new(rows, &config.batch, config.seed, specials(), &device()).unwrap()
        };
        let (train, held_out) = (data(rows(&[7, 9, 12, 5, 8, 9])), data(rows(&[7, 9])));
        let trained = Trainer::new(config.clone())
            .fit(llama(), &NextToken, &train, Some(&held_out))
            .unwrap();
        trained.best().unwrap().loss
    };
    for pack in [false, true] {
        let loss = fit(pack);
        assert!(loss < 0.1, "{loss}");
    }
}

fn bert(labels: usize) -> Classifier {
    let config = json!({
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": VOCABULARY,
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 32, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2, "pad_token_id": 0,
    });
    Checkpoint::create(config, 3)
        .unwrap()
        .classifier(labels, &device())
        .unwrap()
}

fn labeled(labels: &[Label]) -> Vec<(Row, Label)> {
    let mut rows = rows(&[5, 7, 6, 9, 4, 8]);
    rows[1].encoded.kinds[3..].fill(1);
    rows.into_iter()
        .zip(labels.iter().cloned().cycle())
        .collect()
}

fn names() -> Vec<String> {
    ["good", "bad"].map(str::to_owned).to_vec()
}

fn all(data: &LabelBatches) -> Vec<LabelBatch> {
    data.epoch(0, 0).map(Result::unwrap).collect()
}

#[test]
fn labels_are_names_or_numbers_of_classes() {
    let build = |labels: &[Label]| {
        LabelBatches::classes(
            labeled(labels),
            &names(),
            &config(6, false, Order::Sequential),
            1,
            0,
            &device(),
        )
    };
    let data = build(&[Label::Class("bad".to_owned()), Label::Number(0.0)]).unwrap();
    let batch = all(&data).remove(0);
    assert_eq!(batch.labels, Labels::Classes(vec![1, 0, 1, 0, 1, 0]));
    let kinds: Vec<i32> = batch
        .tokens
        .kinds
        .unwrap()
        .to_data()
        .iter::<i32>()
        .collect();
    assert_eq!(kinds.iter().sum::<i32>(), 4);
    assert_eq!(kinds[9 + 3..9 + 7], [1; 4]);
    for (label, shown) in [
        (Label::Class("so so".to_owned()), "\"so so\""),
        (Label::Number(2.0), "label 2;"),
        (Label::Number(0.5), "label 0.5;"),
        (
            Label::Classes(BTreeSet::from(["bad".to_owned()])),
            "\"[bad]\"",
        ),
    ] {
        let error = build(&[label]).unwrap_err().to_string();
        assert!(
            error.contains(shown)
                && (error.contains("one of good, bad") || error.contains("not a list")),
            "{error}"
        );
        assert!(error.starts_with("rows.jsonl: "), "{error}");
    }
}

#[test]
fn a_bert_learns_classes_and_numbers() {
    let mut config = TrainConfig {
        steps: Some(60),
        schedule: Schedule::constant(5e-3),
        ..TrainConfig::default()
    };
    config.batch.rows = 3;
    let classes = [
        Label::Class("bad".to_owned()),
        Label::Class("good".to_owned()),
    ];
    let data =
        LabelBatches::classes(labeled(&classes), &names(), &config.batch, 1, 0, &device()).unwrap();
    let held_out = data.clone().in_order();
    let trained = Trainer::new(config.clone())
        .fit(bert(2), &Classification, &data, Some(&held_out))
        .unwrap();
    assert!(trained.best().unwrap().loss < 0.05, "{:?}", trained.best());

    let numbers = [Label::Number(0.5), Label::Number(-1.25)];
    let data = LabelBatches::numbers(labeled(&numbers), &config.batch, 1, 0, &device()).unwrap();
    let held_out = data.clone().in_order();
    let trained = Trainer::new(config)
        .fit(bert(1), &Regression, &data, Some(&held_out))
        .unwrap();
    assert!(trained.best().unwrap().loss < 0.05, "{:?}", trained.best());
}

/// Rows whose labels follow from their ids; the first token of each has none.
fn tagged(label: impl Fn(u32) -> u32) -> Vec<(Row, Vec<Option<u32>>)> {
    let tag = |row: Row| {
        let ids = row.encoded.ids.iter().enumerate();
        let labels = ids.map(|(place, id)| (place > 0).then(|| label(*id)));
        let labels = labels.collect();
        (row, labels)
    };
    rows(&[5, 7, 6, 9, 4, 8]).into_iter().map(tag).collect()
}

#[test]
fn labels_of_tokens_stand_at_their_places_and_are_checked() {
    let build = |rows: Vec<(Row, Vec<Option<u32>>)>| {
        let config = config(4, false, Order::Sequential);
        TokenLabelBatches::new(rows, 3, &config, 1, 0, &device())
    };
    let data = build(tagged(|id| id % 3)).unwrap();
    let batches: Vec<TokenLabelBatch> = data.epoch(0, 0).map(Result::unwrap).collect();
    assert_eq!(batches.len(), 2);
    let (batch, length) = (&batches[0], batches[0].tokens.length() as u32);
    assert_eq!(length, 9);
    assert_eq!(batch.targets(), 4 + 6 + 5 + 8);
    assert_eq!(batch.targets.places[..5], [1, 2, 3, 4, length + 1]);
    let ids = &data.rows()[1].0.encoded.ids;
    assert_eq!(batch.targets.ids[4], ids[1] % 3);
    let refused = |change: &dyn Fn(&mut Vec<Option<u32>>), parts: &[&str]| {
        let mut rows = tagged(|id| id % 3);
        change(&mut rows[2].1);
        let error = build(rows).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    refused(
        &|labels| labels[1] = Some(3),
        &["rows.jsonl:2", "label 3; expected one below 3"],
    );
    refused(
        &|labels| labels.truncate(5),
        &["list of 5; expected one for each of 6 tokens"],
    );
    refused(
        &|labels| labels.fill(None),
        &["1 rows have no token with a label: rows.jsonl:2"],
    );
    assert!(build(Vec::new()).is_err());
}

#[test]
fn an_electra_learns_classes_of_tokens_replaced_tokens_and_hidden_ones() {
    let checkpoint = Checkpoint::create(
        json!({
            "model_type": "electra", "vocab_size": VOCABULARY, "embedding_size": 8, "hidden_size": 16,
            "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "max_position_embeddings": 32,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2,
        }),
        3,
    )
    .unwrap();
    let mut config = TrainConfig {
        steps: Some(80),
        schedule: Schedule::constant(1e-2),
        ..TrainConfig::default()
    };
    config.batch.rows = 3;
    let data = |classes, label: &dyn Fn(u32) -> u32| {
        let rows = tagged(label);
        TokenLabelBatches::new(rows, classes, &config.batch, 1, 0, &device()).unwrap()
    };
    let classes = data(3, &|id| id % 3);
    let model = checkpoint.token_classifier(3, &device()).unwrap();
    let classified = Trainer::new(config.clone())
        .fit(model, &EachToken, &classes, Some(&classes))
        .unwrap();
    let replaced = data(2, &|id| id % 2);
    let model = checkpoint.discriminator(&device()).unwrap();
    let told = Trainer::new(config.clone())
        .fit(model, &EachToken, &replaced, Some(&replaced))
        .unwrap();
    let hidden = data(VOCABULARY as usize, &|id| (id + 1) % 7);
    let model = checkpoint.masked_lm(&device()).unwrap();
    let guessed = Trainer::new(config.clone())
        .fit(model, &EachToken, &hidden, Some(&hidden))
        .unwrap();
    for best in [classified.best(), told.best(), guessed.best()] {
        assert!(best.unwrap().loss < 0.1, "{best:?}");
    }
}

#[test]
fn a_bert_learns_several_classes_of_a_row() {
    let mut config = TrainConfig {
        steps: Some(60),
        schedule: Schedule::constant(5e-3),
        ..TrainConfig::default()
    };
    config.batch.rows = 3;
    let [good, bad] = ["good", "bad"].map(str::to_owned);
    let sets = [
        Label::Classes(BTreeSet::new()),
        Label::Class(bad.clone()),
        Label::Classes(BTreeSet::from([good, bad])),
    ];
    let rows = rows(&[5, 7, 6, 9, 4, 8]).into_iter();
    let rows = rows.zip(sets.into_iter().cycle()).collect();
    let data = LabelBatches::several(rows, &names(), &config.batch, 1, 0, &device()).unwrap();
    let held_out = data.clone().in_order();
    let first = all(&held_out).remove(0);
    assert_eq!(first.targets(), 3 * 2);
    let model = bert(2);
    let logits: Vec<f64> = model
        .logits(&first.tokens, Noise::off())
        .into_data()
        .iter::<f64>()
        .collect();
    let signs = [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0];
    let losses = logits
        .iter()
        .zip(signs)
        .map(|(x, sign)| (-sign * x).exp().ln_1p());
    let expected: f64 = losses.sum();
    let loss = SeveralClasses.loss(&model, &first, Noise::off());
    let found = f64::from(loss.into_scalar::<f32>());
    assert!(
        (found - expected).abs() < 1e-5,
        "{found}, expected {expected}"
    );
    let trained = Trainer::new(config)
        .fit(model, &SeveralClasses, &data, Some(&held_out))
        .unwrap();
    assert!(trained.best().unwrap().loss < 0.05, "{:?}", trained.best());
}

#[test]
fn classification_is_the_sum_of_cross_entropies() {
    let model = bert(2).valid();
    let labels = [
        Label::Class("bad".to_owned()),
        Label::Class("good".to_owned()),
    ];
    let data = LabelBatches::classes(
        labeled(&labels),
        &names(),
        &config(6, false, Order::Sequential),
        1,
        0,
        &device(),
    );
    let batch = all(&data.unwrap()).remove(0);
    let logits: Vec<f64> = model
        .logits(&batch.tokens, Noise::off())
        .into_data()
        .iter::<f64>()
        .collect();
    let Labels::Classes(classes) = &batch.labels else {
        panic!()
    };
    let expected: f64 = logits
        .chunks(2)
        .zip(classes)
        .map(|(row, class)| {
            row.iter().map(|logit| logit.exp()).sum::<f64>().ln() - row[*class as usize]
        })
        .sum();
    let found = f64::from(
        Classification
            .loss(&model, &batch, Noise::off())
            .into_scalar::<f32>(),
    );
    assert!(
        (found - expected).abs() < 1e-5,
        "{found}, expected {expected}"
    );
}

/// All that a run shows of itself: events, weights, what is left in its folder.
fn behaviour(config: &TrainConfig) -> String {
    let specials = || Specials {
        pad: 0,
        bos: None,
        stop: Vec::new(),
    };
    let lengths = [7, 9, 12, 5, 8, 9, 6, 11];
    let train = CausalBatches::new(
        rows(&lengths),
        &config.batch,
        config.seed,
        specials(),
        &device(),
    )
    .unwrap();
    let held_out =
        CausalBatches::validation(rows(&[7, 9]), &config.batch, specials(), &device()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let told = Rc::new(RefCell::new(String::new()));
    let log = told.clone();
    let trained = Trainer::new(config.clone())
        .folder(folder.path())
        .observe(move |event: &Event<'_>, _: &CausalLm| {
            let line = match event {
                Event::Stepped(step) => {
                    format!("{} {} {} ", step.step, step.loss, step.learning_rate)
                }
                Event::Validated(validation) => {
                    format!("validation {} {} ", validation.step, validation.best)
                }
                Event::Saved(saved) => format!("saved {} ", saved.step),
                _ => String::new(),
            };
            log.borrow_mut().push_str(&line);
            ControlFlow::Continue(())
        })
        .fit(llama(), &NextToken, &train, Some(&held_out))
        .unwrap();
    let mut left: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort_unstable();
    let weights: Vec<String> = weights::values(&trained.model)
        .values()
        .map(|value| format!("{:?}", floats(value)))
        .collect();
    format!(
        "{} {:?} {left:?} {} {weights:?}",
        told.borrow(),
        trained.outcome(),
        trained.step
    )
}

type Change = fn(&mut TrainConfig);

#[test]
fn every_field_of_the_configuration_does_something() {
    let mut base = TrainConfig {
        epochs: 2.0,
        schedule: Schedule {
            peak: 3e-2,
            warmup: 2.0,
            decay: Decay::Linear,
            floor: 0.1,
        },
        ..TrainConfig::default()
    };
    base.batch = BatchConfig {
        rows: 2,
        length: 12,
        pack: false,
        order: Order::Shuffled,
    };
    base.optimizer.weight_decay = 0.1;
    base.validation.every = Some(1);
    base.checkpoint.every = Some(1);
    let expected = behaviour(&base);
    assert_eq!(behaviour(&base), expected);
    let changes: [(&str, Change); 22] = [
        ("seed", |config| config.seed = 7),
        ("epochs", |config| config.epochs = 1.5),
        ("steps", |config| config.steps = Some(3)),
        ("accumulate", |config| config.accumulate = 3),
        ("batch.rows", |config| config.batch.rows = 3),
        ("batch.pack", |config| config.batch.pack = true),
        ("batch.order", |config| config.batch.order = Order::Grouped),
        ("schedule.peak", |config| config.schedule.peak = 1e-2),
        ("schedule.warmup", |config| config.schedule.warmup = 0.0),
        ("schedule.decay", |config| {
            config.schedule.decay = Decay::Cosine;
        }),
        ("schedule.floor", |config| config.schedule.floor = 0.0),
        ("optimizer.beta1", |config| config.optimizer.beta1 = 0.5),
        ("optimizer.beta2", |config| config.optimizer.beta2 = 0.9),
        ("optimizer.epsilon", |config| {
            config.optimizer.epsilon = 1e-3;
        }),
        ("optimizer.weight_decay", |config| {
            config.optimizer.weight_decay = 0.0;
        }),
        ("optimizer.clip", |config| config.optimizer.clip = 1e-3),
        ("validation.every", |config| config.validation.every = None),
        ("validation.first", |config| config.validation.first = false),
        ("validation.patience", |config| {
            config.validation.patience = Some(1);
            config.validation.margin = 100.0;
        }),
        ("checkpoint.every", |config| {
            config.checkpoint.every = Some(5);
        }),
        ("checkpoint.keep", |config| config.checkpoint.keep = 4),
        ("batch.pack and length", |config| {
            config.batch.pack = true;
            config.batch.length = 30;
        }),
    ];
    for (field, change) in changes {
        let mut config = base.clone();
        change(&mut config);
        assert_ne!(behaviour(&config), expected, "{field} changes nothing");
    }
    // The last step is not the best one when the rate ruins the model.
    base.schedule = Schedule::constant(3.0);
    let best = behaviour(&base);
    base.validation.keep_best = false;
    assert_ne!(
        behaviour(&base),
        best,
        "validation.keep_best changes nothing"
    );
}

fn t5() -> Seq2Seq {
    let config = json!({
        "model_type": "t5", "vocab_size": VOCABULARY, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2,
        "num_heads": 4, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 12,
        "decoder_start_token_id": 0,
    });
    let checkpoint = Checkpoint::create(config, 5).unwrap();
    checkpoint.seq2seq(&device()).unwrap()
}

/// A text and an answer whose tokens follow from their number.
fn answered(source: usize, answer: usize, number: u64) -> AnsweredRow {
    let all = |mut encoded: Encoded, learn: bool| {
        encoded.learn.fill(learn);
        encoded
    };
    AnsweredRow {
        source: all(row(source, number).encoded, false),
        answer: all(row(answer, number + 100).encoded, true),
        origin: Origin::new("rows.jsonl", number),
    }
}

fn answers(rows: &[AnsweredRow], size: usize) -> AnswerBatches {
    let config = BatchConfig {
        rows: size,
        length: 16,
        order: Order::Sequential,
        ..BatchConfig::default()
    };
    let specials = Specials {
        pad: 7,
        bos: None,
        stop: vec![2],
    };
    AnswerBatches::new(rows.to_vec(), 0, &config, 1, specials, &device()).unwrap()
}

#[test]
fn texts_and_answers_side_by_side_are_those_alone() {
    let model = t5();
    let rows = [answered(9, 4, 1), answered(3, 8, 2), answered(6, 1, 3)];
    let losses = |size| -> Vec<f64> {
        let batches = answers(&rows, size);
        let of = |batch: Result<AnswerBatch>| {
            let loss = NextToken.loss(&model, &batch.unwrap(), Noise::off());
            f64::from(loss.into_data().iter::<f32>().next().unwrap())
        };
        batches.epoch(0, 0).map(of).collect()
    };
    let (alone, together) = (losses(1), losses(3));
    assert_eq!((alone.len(), together.len()), (3, 1));
    let sum: f64 = alone.iter().sum();
    assert!(
        (sum - together[0]).abs() < 1e-5 * sum,
        "{alone:?} {together:?}"
    );
    let batch = answers(&rows, 3).epoch(0, 0).next().unwrap().unwrap();
    assert_eq!((batch.targets(), batch.tokens()), (13, 9 + 3 + 6 + 13 + 3));
    // The first target of each row is predicted from the start token.
    assert_eq!(batch.targets.places[..5], [0, 1, 2, 3, 9]);
}

#[test]
fn answers_that_teach_nothing_are_refused() {
    let config = BatchConfig {
        length: 6,
        ..BatchConfig::default()
    };
    let refused = |rows: Vec<AnsweredRow>| {
        let specials = Specials {
            stop: vec![2],
            ..Specials::padding(0)
        };
        AnswerBatches::new(rows, 0, &config, 1, specials, &device())
            .unwrap_err()
            .to_string()
    };
    let long = refused(vec![answered(7, 2, 1)]);
    assert!(long.contains("rows.jsonl:1: 7 tokens"), "{long}");
    let long = refused(vec![answered(3, 7, 2)]);
    assert!(long.contains("rows.jsonl:2: 8 tokens"), "{long}");
    let mut empty = answered(3, 2, 4);
    empty.answer = Encoded::default();
    let empty = refused(vec![empty]);
    assert!(empty.contains("no learned token"), "{empty}");
    let mut endless = answered(3, 3, 5);
    endless.answer.ids[2] = 9;
    let endless = refused(vec![endless]);
    assert!(endless.contains("learns a stop token"), "{endless}");
}

#[test]
fn a_model_with_an_encoder_learns_to_answer() {
    let rows = [answered(5, 4, 1), answered(7, 3, 2), answered(4, 5, 3)];
    let mut config = TrainConfig {
        steps: Some(60),
        ..TrainConfig::default()
    };
    config.schedule = Schedule {
        peak: 2e-2,
        decay: Decay::Constant,
        ..Schedule::default()
    };
    let trained = Trainer::new(config)
        .fit(t5(), &NextToken, &answers(&rows, 3), None)
        .unwrap();
    let model = trained.model.valid();
    let prompts: Vec<Vec<u32>> = rows.iter().map(|row| row.source.ids.clone()).collect();
    let made = Generator::new(&model)
        .stops(Stops::at([2]))
        .new_tokens(10)
        .generate(&prompts)
        .unwrap();
    for (made, row) in made.iter().zip(&rows) {
        let (last, answer) = row.answer.ids.split_last().unwrap();
        assert_eq!((made.ids.as_slice(), *last), (answer, 2));
    }
}
