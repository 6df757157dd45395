//! Our own models behind the seam, on a tiny model with random weights.

use std::collections::BTreeSet;

use finetune_data::{
    Conversation, Document, Label, Labeled, Origin,
    encode::Encoder,
    mapping::AnyChat,
    template::{QuestionAnswer, Templates},
    tokenizer::{Tokenizer, TokenizerPlan},
};
use finetune_eval::{
    Context, Continuation, EvalError, Finish, LanguageModel, Prompt, Report, Run, Score, evaluate,
    local::{Local, LocalClassifier, Long, Writer},
    metric::{of_labels, of_several},
    task::{LanguageModeling, Prompting, QuestionAnswering},
};
use finetune_model::{Checkpoint, Noise, Targets, Tokens, device};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

const TEXT: &str = "The rank sets the width of the update, and the alpha sets its scale. \
    A small rank is often enough; a large one learns more and forgets more.";

fn tokenizer(add_bos: bool) -> Tokenizer {
    let plan = TokenizerPlan {
        vocabulary: 300,
        minimum: 1,
        add_bos,
        ..TokenizerPlan::default()
    };
    Tokenizer::train([TEXT; 3].into_iter(), &plan).expect("a tokenizer of 300 tokens")
}

fn config(longest: usize) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 300, "hidden_size": 32,
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": longest, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": true,
        "rope_theta": 10000.0, "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 1
    })
}

fn local(length: usize, add_bos: bool) -> Local {
    let device = device(None).expect("the default device");
    let checkpoint = Checkpoint::create(config(256), 7).expect("a configuration of llama");
    let model = checkpoint.causal_lm(&device).expect("random weights");
    let encoder = Encoder::new(tokenizer(add_bos), Box::new(QuestionAnswer::default()));
    Local::new(model, encoder).length(length)
}

fn near(a: Score, b: Score) -> bool {
    (a.log_likelihood - b.log_likelihood).abs() < 1e-4
        && a.tokens == b.tokens
        && a.greedy == b.greedy
}

#[test]
fn scores_do_not_depend_on_the_batch() {
    let requests: Vec<_> = [
        "The rank",
        "A small rank is",
        "and",
        "The rank sets the width of the",
    ]
    .into_iter()
    .flat_map(|context| {
        [" update", " scale", " rank is often enough"].map(|text| Continuation::new(context, text))
    })
    .collect();
    for add_bos in [true, false] {
        let all = local(256, add_bos).score(&requests).unwrap();
        let small = local(256, add_bos)
            .batch_tokens(1)
            .score(&requests)
            .unwrap();
        let single: Vec<_> = requests
            .iter()
            .flat_map(|one| {
                local(256, add_bos)
                    .score(std::slice::from_ref(one))
                    .unwrap()
            })
            .collect();
        for ((a, b), c) in all.iter().zip(&small).zip(&single) {
            assert!(near(*a, *b) && near(*a, *c), "{a:?} {b:?} {c:?}");
        }
    }
}

/// Configurations of families that stand in their texts in different ways, and of some that share nothing.
fn families() -> [Value; 6] {
    let with = |more: Value| {
        let mut config = json!({
            "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
            "initializer_range": 0.1, "bos_token_id": 0, "eos_token_id": 1,
        });
        for (name, value) in more.as_object().expect("an object") {
            config[name] = value.clone();
        }
        config
    };
    [
        with(json!({"model_type": "llama"})),
        json!({
            "model_type": "gpt2", "vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256,
            "initializer_range": 0.1,
        }),
        json!({
            "model_type": "bloom", "vocab_size": 300, "hidden_size": 32, "n_layer": 2, "n_head": 4,
            "initializer_range": 0.1,
        }),
        with(json!({"model_type": "mistral", "sliding_window": 9})),
        with(json!({
            "model_type": "llama", "rope_scaling": {"rope_type": "dynamic", "factor": 2.0},
            "max_position_embeddings": 16,
        })),
        json!({
            "model_type": "xlnet", "vocab_size": 300, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48,
            "initializer_range": 0.1,
        }),
    ]
}

fn family(config: Value) -> Local {
    let device = device(None).expect("the default device");
    let checkpoint = Checkpoint::create(config, 7).expect("a configuration");
    let model = checkpoint.causal_lm(&device).expect("random weights");
    let encoder = Encoder::new(tokenizer(true), Box::new(QuestionAnswer::default()));
    Local::new(model, encoder).length(128).long(Long::CutLeft)
}

/// Questions with answers, some longer than a model of 128 tokens takes, in any order.
fn questions() -> impl Strategy<Value = Vec<Continuation>> {
    let words: Vec<&str> = TEXT.split_whitespace().collect();
    let text = |count| {
        let words = prop::sample::select(words.clone());
        prop::collection::vec(words, count).prop_map(|words| words.join(" "))
    };
    let answers = prop::collection::vec(text(1..6), 1..5);
    let question = (text(0..40), answers).prop_map(|(context, answers)| {
        let answer = |answer| Continuation::new(context.as_str(), format!(" {answer}"));
        answers.into_iter().map(answer).collect::<Vec<_>>()
    });
    let questions = prop::collection::vec(question, 1..4);
    questions
        .prop_map(|questions| questions.concat())
        .prop_shuffle()
}

#[test]
fn what_is_read_once_scores_as_what_is_read_alone() {
    for config in families() {
        let models = [1, 64, 4096].map(|tokens| family(config.clone()).batch_tokens(tokens));
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 12,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let result = runner.run(&questions(), |requests| {
            let alone: Vec<Score> = requests
                .iter()
                .flat_map(|one| models[0].score(std::slice::from_ref(one)).unwrap())
                .collect();
            for model in &models {
                let found = model.score(&requests).unwrap();
                for (a, b) in alone.iter().zip(found) {
                    let distance = (a.log_likelihood - b.log_likelihood).abs();
                    prop_assert!(distance < 1e-5, "{a:?} {b:?}: {distance}");
                    prop_assert_eq!((a.tokens, a.greedy), (b.tokens, b.greedy));
                }
            }
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{}: {error}", config["model_type"]));
    }
}

#[test]
fn probabilities_of_all_next_tokens_sum_to_one() {
    let local = local(256, false);
    let tokenizer = local.encoder().tokenizer();
    let context = "The rank sets the";
    let before = tokenizer.encode(context).unwrap();
    let mut total = 0.0;
    for id in 0..300 {
        let text = tokenizer.decode(&[id]).unwrap();
        // Only tokens that text leads back to can be asked for.
        let whole = tokenizer.encode(&format!("{context}{text}")).unwrap();
        if text.trim_start() == text && whole.len() == before.len() + 1 && whole[before.len()] == id
        {
            let score = local.score(&[Continuation::new(context, text)]).unwrap()[0];
            assert_eq!(score.tokens, 1);
            total += score.log_likelihood.exp();
        }
    }
    assert!(total > 0.05 && total <= 1.0 + 1e-6, "{total}");
}

#[test]
fn what_it_generates_is_greedy() {
    let local = local(256, true);
    let made = local
        .generate(&[Prompt::new("The rank", 6)])
        .unwrap()
        .remove(0);
    assert_eq!((made.finished, made.tokens), (Finish::Length, 6));
    let ids = local
        .encoder()
        .tokenizer()
        .encode(&format!("The rank{}", made.text))
        .unwrap();
    let start = local.encoder().tokenizer().encode("The rank").unwrap();
    // A random model writes bytes that need not read back as the same tokens; where they do, they score as greedy.
    if ids.len() == start.len() + 6 {
        let score = local
            .score(&[Continuation::new("The rank", made.text)])
            .unwrap()[0];
        assert!(score.greedy, "{score:?}");
    }
}

#[test]
fn answers_do_not_depend_on_the_batch_and_keep_their_order() {
    let prompts: Vec<_> = (0..7)
        .map(|index| {
            let context = "The rank sets the scale. ".repeat(index % 3 + 1) + &"and ".repeat(index);
            Prompt {
                stop: [vec![], vec![" ".to_owned()]][index % 2].clone(),
                ..Prompt::new(context, 5 + index % 2)
            }
        })
        .collect();
    let together = local(256, true).generate(&prompts).unwrap();
    let alone = local(256, true).batch_rows(1).generate(&prompts).unwrap();
    assert_eq!(together, alone);
    for (prompt, made) in prompts.iter().zip(&together) {
        assert!(made.tokens <= prompt.max_tokens);
        assert!(prompt.stop.iter().all(|stop| !made.text.contains(stop)));
        assert_eq!(
            made.finished == Finish::Length,
            made.tokens == prompt.max_tokens && !made.text.is_empty()
        );
    }
}

#[test]
fn rolling_windows_score_every_token() {
    let text = TEXT.repeat(2);
    for add_bos in [true, false] {
        let whole = local(256, add_bos);
        let tokens = whole.encoder().tokenizer().encode(&text).unwrap().len();
        assert!(tokens < 256);
        let rolling = whole.rolling(std::slice::from_ref(&text)).unwrap()[0];
        assert_eq!(rolling.tokens, tokens + usize::from(add_bos));
        let cut = local(16, add_bos)
            .rolling(std::slice::from_ref(&text))
            .unwrap()[0];
        assert_eq!(cut.tokens, rolling.tokens);
        assert!(
            (cut.log_likelihood - rolling.log_likelihood).abs() > 1e-3,
            "shorter context, other scores"
        );
    }
    // Without a BOS token of its own, a document that fits is the continuation of nothing.
    let whole = local(256, false);
    let single = whole
        .score(&[Continuation::new("", text.as_str())])
        .unwrap()[0];
    let rolling = whole.rolling(&[text]).unwrap()[0];
    assert!(near(single, rolling), "{single:?} {rolling:?}");
}

#[test]
fn whitespace_moves_to_the_continuation() {
    let local = local(256, true);
    let a = local
        .score(&[Continuation::new("The rank ", "sets")])
        .unwrap()[0];
    let b = local
        .score(&[Continuation::new("The rank", " sets")])
        .unwrap()[0];
    assert_eq!(a, b);
}

#[test]
fn too_long_is_refused_or_cut() {
    let context = TEXT.repeat(3);
    let request = Continuation::new(context.as_str(), " rank");
    let error = local(32, true)
        .score(std::slice::from_ref(&request))
        .unwrap_err();
    assert!(
        matches!(
            error,
            EvalError::TooLong {
                what: "continuation",
                limit: 32,
                ..
            }
        ),
        "{error}"
    );
    local(32, true)
        .long(Long::CutLeft)
        .score(&[request])
        .unwrap();
    let alone = Continuation::new("The", context.as_str());
    let error = local(32, true)
        .long(Long::CutLeft)
        .score(&[alone])
        .unwrap_err();
    assert!(
        matches!(
            error,
            EvalError::TooLong {
                what: "continuation",
                ..
            }
        ),
        "{error}"
    );
    let error = local(32, true)
        .generate(&[Prompt::new(context.as_str(), 8)])
        .unwrap_err();
    assert!(
        matches!(error, EvalError::TooLong { what: "prompt", .. }),
        "{error}"
    );
    let made = local(32, true)
        .long(Long::CutLeft)
        .generate(&[Prompt::new(context, 8)])
        .unwrap();
    assert_eq!(made.len(), 1);
    let error = local(32, true)
        .score(&[Continuation::new("The", "")])
        .unwrap_err();
    assert!(error.to_string().contains("no token"), "{error}");
}

#[test]
fn conversations_go_through_the_template() {
    let local = local(256, true);
    let conversation = Conversation::prompt("Which rank?");
    let a = local
        .score(&[Continuation::new(conversation.clone(), " small")])
        .unwrap()[0];
    let b = local
        .score(&[Continuation::new(
            "Question: Which rank?\nAnswer:",
            " small",
        )])
        .unwrap()[0];
    assert_eq!(a.tokens, b.tokens);
    let prompts = [
        Prompt::new(conversation, 4),
        Prompt::new("Question: Which rank?\nAnswer:", 4),
    ];
    assert!(matches!(prompts[0].context, Context::Conversation(_)));
    let made = local.generate(&prompts).unwrap();
    assert_eq!(made[0], made[1]);
}

#[test]
fn a_whole_evaluation() {
    let document = |line: u64| Document {
        text: String::new(),
        fields: [
            ("question", "Which rank?"),
            ("answer", "A small rank is often enough."),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect(),
        origin: Origin::new("qa.jsonl", line),
    };
    let documents: Vec<_> = (1..=3).map(document).collect();
    let task = QuestionAnswering::new("questions", AnyChat::default())
        .max_tokens(4)
        .prompting(Prompting::bare());
    let run = evaluate("tiny", &local(64, true), &task, &documents).unwrap();
    assert_eq!(run.outcomes.len(), 3);
    assert_eq!(run.estimate("token F1").unwrap().count, 3);
    let text = Document {
        text: TEXT.to_owned(),
        fields: [].into(),
        origin: Origin::new("a.txt", 1),
    };
    let run = evaluate(
        "tiny",
        &local(64, true),
        &LanguageModeling::new("text"),
        &[text],
    )
    .unwrap();
    assert!(run.estimate("bits per byte").unwrap().value > 1.0);
}

#[test]
fn a_folder_opens() {
    let folder = tempfile::tempdir().unwrap();
    let device = device(None).unwrap();
    let checkpoint = Checkpoint::create(config(48), 7).unwrap();
    checkpoint
        .save(&checkpoint.causal_lm(&device).unwrap(), folder.path())
        .unwrap();
    tokenizer(true).save(folder.path()).unwrap();
    let opened = Local::open(folder.path(), "question-answer", &device).unwrap();
    let request = [Continuation::new("The rank", " sets")];
    assert_eq!(
        opened.score(&request).unwrap(),
        local(48, true).score(&request).unwrap()
    );
    let long = Prompt::new("The rank ".repeat(30), 8);
    assert!(matches!(
        opened.generate(&[long]).unwrap_err(),
        EvalError::TooLong { limit: 48, .. }
    ));
}

#[test]
fn a_folder_says_how_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let device = device(None).unwrap();
    let checkpoint = Checkpoint::create(config(64), 7).unwrap();
    checkpoint
        .save(&checkpoint.causal_lm(&device).unwrap(), folder.path())
        .unwrap();
    tokenizer(true).save(folder.path()).unwrap();
    let prompts = [Prompt::new("The rank", 12), Prompt::new("and", 12)];
    let answers = |settings: &str| {
        std::fs::write(folder.path().join("generation_config.json"), settings).unwrap();
        let opened = Local::open(folder.path(), "question-answer", &device)?;
        opened.generate(&prompts)
    };
    let plain = answers("{}").unwrap();
    // Nothing is drawn.
    assert_eq!(answers(r#"{"do_sample": true}"#).unwrap(), plain);
    let unlike = answers(r#"{"no_repeat_ngram_size": 1, "repetition_penalty": 2.0}"#).unwrap();
    assert_ne!(unlike, plain);
    let searched = answers(r#"{"num_beams": 3, "num_return_sequences": 3}"#).unwrap();
    assert_eq!(searched.len(), 2);
    let error = answers(r#"{"guidance_scale": 2.0}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("guidance_scale"), "{error}");
    // The settings go where the weights go.
    answers(r#"{"num_beams": 3}"#).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let opened = Checkpoint::open(folder.path()).unwrap();
    opened
        .save(&opened.causal_lm(&device).unwrap(), copy.path())
        .unwrap();
    let copied = Checkpoint::open(copy.path()).unwrap().generation().unwrap();
    assert_eq!(copied.beams.count, 3);
}

#[test]
fn classifiers_are_measured() {
    let device = device(None).unwrap();
    let labels = ["good", "bad"].map(str::to_owned).to_vec();
    let checkpoint = Checkpoint::create(config(64), 7)
        .unwrap()
        .with_labels(&labels);
    let encoder = || {
        let tokenizer = tokenizer(true);
        let template = Templates::default().get("plain", &tokenizer).unwrap();
        Encoder::new(tokenizer, template).length(32)
    };
    let examples: Vec<_> = (1..=9)
        .map(|line| Labeled {
            text: format!("The rank is {}", "small ".repeat(line)),
            pair: None,
            label: Label::Class(labels[line % 2].clone()),
            origin: Origin::new("labels.csv", line as u64),
        })
        .collect();
    let classify = |rows| {
        let model = checkpoint.classifier(2, &device).unwrap();
        let local = LocalClassifier::new(model, encoder(), labels.clone()).batch_rows(rows);
        local.evaluate("tiny", "labels", &examples).unwrap()
    };
    let (all, single) = (classify(32), classify(1));
    assert_eq!(all.outcomes.len(), 9);
    for (a, b) in all.outcomes.iter().zip(&single.outcomes) {
        assert_eq!((&a.output, &a.origin), (&b.output, &b.origin));
        let sum: f64 = a.log_likelihoods.iter().map(|value| value.exp()).sum();
        assert!(
            (sum - 1.0).abs() < 1e-5 && (a.log_likelihoods[0] - b.log_likelihoods[0]).abs() < 1e-4
        );
    }
    // Five of nine are "bad"; a classifier is compared with that over the same items.
    let majority = Run::majority("labels", &examples[..5], &examples).unwrap();
    assert!(
        majority
            .outcomes
            .iter()
            .all(|outcome| outcome.output == "bad")
    );
    let report = Report::new("labels").compare(&[&majority, &all], &of_labels(&labels));
    let report = report.unwrap().confusion(&all).unwrap();
    let accuracy = majority.estimate("accuracy").unwrap();
    assert!((accuracy.value - 5.0 / 9.0).abs() < 1e-12);
    assert_eq!(report.confusion.unwrap().classes()[0].count, 5);
    assert!(Run::majority("labels", &[], &examples).is_err());
    assert!(Run::majority("labels", &examples, &[]).is_err());
    let model = checkpoint.classifier(2, &device).unwrap();
    let local = LocalClassifier::new(model, encoder(), labels.clone());
    assert!(matches!(
        local.evaluate("tiny", "labels", &[]),
        Err(EvalError::EmptyEvaluation { .. })
    ));
    let unknown = Labeled {
        label: Label::Class("odd".into()),
        ..examples[0].clone()
    };
    let error = local
        .evaluate("tiny", "labels", &[unknown])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("labels.csv:1") && error.contains("\"odd\""),
        "{error}"
    );
}

#[test]
fn classifiers_of_several_classes_are_measured() {
    let device = device(None).unwrap();
    let labels = ["joy", "anger", "fear"].map(str::to_owned).to_vec();
    let checkpoint = Checkpoint::create(config(64), 7)
        .unwrap()
        .with_label_sets(&labels);
    let tokenizer = tokenizer(true);
    let template = Templates::default().get("plain", &tokenizer).unwrap();
    let encoder = Encoder::new(tokenizer, template).length(32);
    let example = |line: usize, classes: &[usize]| Labeled {
        text: format!("The rank is {}", "small ".repeat(line)),
        pair: None,
        label: Label::Classes(classes.iter().map(|&class| labels[class].clone()).collect()),
        origin: Origin::new("labels.csv", line as u64),
    };
    let examples = [
        example(1, &[]),
        example(2, &[0]),
        example(3, &[0, 2]),
        example(4, &[0, 2]),
    ];
    let model = checkpoint.classifier(3, &device).unwrap();
    let local = LocalClassifier::new(model, encoder, labels.clone());
    let run = local.evaluate("tiny", "labels", &examples).unwrap();
    for outcome in &run.outcomes {
        let given = labels.iter().zip(&outcome.log_likelihoods);
        let given: Vec<&str> = given
            .filter(|(_, log)| log.exp() > 0.5)
            .map(|(label, _)| label.as_str())
            .collect();
        let written = outcome.output.trim_matches(['[', ']']);
        let written: BTreeSet<&str> = written
            .split(", ")
            .filter(|label| !label.is_empty())
            .collect();
        assert_eq!(written, given.into_iter().collect::<BTreeSet<_>>());
    }
    assert_eq!(run.outcomes[2].reference(), "[fear, joy]");
    // Always joy and fear: 5 hits of 8 given and 5 that hold; two of four sets are equal.
    let majority = Run::majority("labels", &examples, &examples).unwrap();
    let figure = |name| majority.estimate(name).unwrap().value;
    assert!((figure("micro F1") - 10.0 / 13.0).abs() < 1e-12);
    assert!((figure("equal sets") - 0.5).abs() < 1e-12);
    let report = Report::new("labels").compare(&[&majority, &run], &of_several());
    assert!(report.unwrap().to_string().contains("micro F1"));
    let mut odd = examples[0].clone();
    odd.label = Label::Classes(["joy".to_owned(), "envy".to_owned()].into());
    let error = local.evaluate("tiny", "labels", &[odd]).unwrap_err();
    assert!(error.to_string().contains("\"envy\""), "{error}");
}

fn answering() -> Local {
    let device = device(None).expect("the default device");
    let config = json!({
        "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": 300, "d_model": 32, "d_kv": 8,
        "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0, "eos_token_id": 1,
    });
    let checkpoint = Checkpoint::create(config, 7).expect("a configuration of T5");
    let model = checkpoint.seq2seq(&device).expect("random weights");
    let encoder = Encoder::new(tokenizer(false), Box::new(QuestionAnswer::default()));
    Local::new(model, encoder)
}

#[test]
fn a_model_with_an_encoder_scores_and_answers() {
    let requests: Vec<_> = ["The rank", "A small rank is often enough"]
        .into_iter()
        .flat_map(|context| {
            ["update", "the scale of the update"].map(|text| Continuation::new(context, text))
        })
        .collect();
    let all = answering().score(&requests).unwrap();
    for (request, score) in requests.iter().zip(&all) {
        let alone = answering()
            .batch_tokens(1)
            .score(std::slice::from_ref(request));
        assert!(near(alone.unwrap()[0], *score), "{request:?}");
        // What the score says, token by token.
        let local = answering();
        let tokenizer = local.encoder().tokenizer();
        let Context::Text(text) = &request.context else {
            panic!("a text");
        };
        let source = tokenizer.encode_pair(text, None, None).unwrap().ids;
        let targets = tokenizer.encode(&request.text).unwrap();
        let Writer::Answering(model) = local.model() else {
            panic!("a model with an encoder");
        };
        let device = device(None).unwrap();
        let source = Tokens::single(&source, &device).unwrap();
        let read = [&[0], &targets[..targets.len() - 1]].concat();
        let answer = Tokens::single(&read, &device).unwrap();
        let places = Targets {
            places: (0..targets.len() as u32).collect(),
            ids: targets.clone(),
        };
        let sum = model
            .log_probs(&source, &answer, &places, Noise::off())
            .sum();
        let sum = f64::from(sum.into_data().iter::<f32>().next().unwrap());
        assert!((sum - score.log_likelihood).abs() < 1e-4, "{sum} {score:?}");
        assert_eq!(score.tokens, targets.len());
    }
    let prompts: Vec<_> = requests
        .iter()
        .map(|request| Prompt::new(request.context.clone(), 12))
        .collect();
    let answers = answering().generate(&prompts).unwrap();
    assert_eq!(answers.len(), prompts.len());
    assert_eq!(answers[0], answers[1]);
    for (prompt, answer) in prompts.iter().zip(&answers) {
        let alone = answering()
            .batch_rows(1)
            .generate(std::slice::from_ref(prompt));
        assert_eq!(alone.unwrap()[0], *answer);
        let mut shown = String::new();
        let streamed = answering()
            .stream(prompt, &mut |piece| {
                shown.push_str(piece);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((&streamed.text, &shown), (&answer.text, &answer.text));
    }
    let refused = answering()
        .rolling(&["A document.".to_owned()])
        .unwrap_err();
    assert!(
        refused.to_string().contains("only a causal model"),
        "{refused}"
    );
    let long = answering().length(3).generate(&prompts[2..3]).unwrap_err();
    assert!(
        matches!(long, EvalError::TooLong { limit: 3, .. }),
        "{long}"
    );
}
