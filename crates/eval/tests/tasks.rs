//! Tasks and runs against engines that know their answers.

use std::sync::Mutex;

use finetune_data::{
    Document, Origin, Value,
    mapping::{AnyChat, LabelMapping},
};
use finetune_eval::{
    Context, Continuation, EvalError, Evaluation, Finish, Generation, LanguageModel, Prompt,
    Result, Run, Score, Task, evaluate,
    task::{
        Classification, LanguageModeling, MultipleChoice, NO_LABEL, Prompting, QuestionAnswering,
    },
};
use serde_json::json;

/// Answers every prompt with the same text, and likes continuations by their length in bytes.
#[derive(Default)]
struct Canned {
    answer: String,
    asked: Mutex<Vec<Prompt>>,
    scored: Mutex<Vec<Continuation>>,
    broken: bool,
}

impl LanguageModel for Canned {
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
        self.scored
            .lock()
            .map_err(|error| EvalError::Engine(error.to_string().into()))?
            .extend_from_slice(requests);
        let score = |request: &Continuation| {
            let log_likelihood = if self.broken {
                f64::NAN
            } else {
                -(request.text.len() as f64)
            };
            Score {
                log_likelihood,
                greedy: false,
                tokens: request.text.split_whitespace().count(),
            }
        };
        Ok(requests.iter().map(score).collect())
    }

    fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
        self.asked
            .lock()
            .map_err(|error| EvalError::Engine(error.to_string().into()))?
            .extend_from_slice(prompts);
        let answer = |_: &Prompt| Generation {
            text: self.answer.clone(),
            finished: Finish::Stop,
            tokens: 3,
        };
        let answers = prompts.iter().map(answer);
        Ok(if self.broken {
            answers.skip(1).collect()
        } else {
            answers.collect()
        })
    }
}

fn canned(answer: &str) -> Canned {
    Canned {
        answer: answer.to_owned(),
        ..Canned::default()
    }
}

/// A record at a line of a file.
fn record(line: u64, fields: Value) -> Document {
    let Value::Object(fields) = fields else {
        panic!("an object")
    };
    Document {
        text: String::new(),
        fields: fields.into_iter().collect(),
        origin: Origin::new("rows.jsonl", line),
    }
}

fn qa() -> QuestionAnswering {
    QuestionAnswering::new("questions", AnyChat::default())
}

#[test]
fn questions_are_asked_and_graded() {
    let documents = [
        record(
            1,
            json!({"question": "Which rank?", "answer": "Rank eight."}),
        ),
        record(
            2,
            json!({"question": "Which alpha?", "answer": "Sixteen.", "also": ["The rank, eight"]}),
        ),
        record(3, json!({"question": "Which seed?", "answer": "Any."})),
    ];
    let model = canned("  rank eight\n");
    let run = evaluate("canned", &model, &qa().also_accepted("also"), &documents).unwrap();
    let outputs: Vec<_> = run
        .outcomes
        .iter()
        .map(|outcome| outcome.output.as_str())
        .collect();
    assert_eq!(outputs, ["rank eight"; 3]);
    let exact: Vec<_> = run
        .outcomes
        .iter()
        .map(|outcome| outcome.scores["exact_match"])
        .collect();
    assert_eq!(exact, [1.0, 1.0, 0.0]);
    let estimate = run.estimate("exact match").unwrap();
    assert!((estimate.value - 2.0 / 3.0).abs() < 1e-12 && estimate.count == 3);
    assert_eq!(run.outcomes[2].origin.to_string(), "rows.jsonl:3");
    assert_eq!(run.outcomes[1].references, ["Sixteen.", "The rank, eight"]);
    let asked = model.asked.lock().unwrap();
    // By default the engine's own template is used, and the reference never reaches the engine.
    for (prompt, document) in asked.iter().zip(&documents) {
        let Context::Conversation(conversation) = &prompt.context else {
            panic!("a conversation")
        };
        assert_eq!(conversation.turns.len(), 1);
        assert_eq!(
            Some(conversation.question().as_str()),
            document.fields["question"].as_str()
        );
    }
}

#[test]
fn results_do_not_depend_on_chunks_and_progress_is_told() {
    let documents: Vec<_> = (1..=10)
        .map(|line| {
            record(
                line,
                json!({"question": format!("q{line}"), "answer": format!("a {line}")}),
            )
        })
        .collect();
    let whole = evaluate("canned", &canned("a 7"), &qa(), &documents).unwrap();
    let mut told = Vec::new();
    let parts = Evaluation::default()
        .chunk(4)
        .progress(|done, total| told.push((done, total)))
        .run("canned", &canned("a 7"), &qa(), &documents)
        .unwrap();
    assert_eq!(told, [(4, 10), (8, 10), (10, 10)]);
    assert_eq!(whole.outcomes, parts.outcomes);
    assert_eq!(whole.measured, parts.measured);
    let again: Run = serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
    assert_eq!(again.outcomes, whole.outcomes);
}

#[test]
fn nothing_is_scored_over_nothing() {
    let error = evaluate("canned", &canned(""), &qa(), &[]).unwrap_err();
    assert!(matches!(error, EvalError::EmptyEvaluation { .. }));
    assert!(
        error
            .to_string()
            .contains("questions: the evaluation set is empty"),
        "{error}"
    );

    let missing = [
        record(1, json!({"question": "q", "answer": "a"})),
        record(2, json!({"question": "q"})),
    ];
    let model = canned("a");
    let error = evaluate("canned", &model, &qa(), &missing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("rows.jsonl:2"), "{error}");
    assert!(
        model.asked.lock().unwrap().is_empty(),
        "the model is not asked before all records are known to be good"
    );

    let documents = [record(1, json!({"question": "q", "answer": "a"}))];
    let error = evaluate(
        "canned",
        &Canned {
            broken: true,
            ..canned("a")
        },
        &qa(),
        &documents,
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            EvalError::AnswerCount {
                expected: 1,
                found: 0
            }
        ),
        "{error}"
    );

    let text = [record(1, json!({"text": "some words"}))];
    let error = evaluate(
        "canned",
        &Canned {
            broken: true,
            ..canned("")
        },
        &LanguageModeling::new("text"),
        &text,
    );
    assert!(
        matches!(error, Err(EvalError::NotFinite { .. })),
        "{error:?}"
    );
}

#[test]
fn plain_text_is_measured_by_the_corpus() {
    let documents = [
        record(1, json!({"text": "two words"})),
        record(2, json!({"text": "and three more"})),
    ];
    let run = evaluate(
        "canned",
        &canned(""),
        &LanguageModeling::new("text"),
        &documents,
    )
    .unwrap();
    // One nat per byte.
    assert!(
        (run.estimate("bits per byte").unwrap().value - std::f64::consts::LOG2_E).abs() < 1e-12
    );
    let words = run.estimate("word perplexity").unwrap();
    assert!((words.value - (23.0_f64 / 5.0).exp()).abs() < 1e-9 && words.count == 2);
}

#[test]
fn choices_are_judged_by_three_divisors() {
    // The engine's log-likelihood is minus the bytes of " " + choice: 2, 3 and 7.
    let row = record(
        1,
        json!({"question": "Which?", "choices": ["a", "éé", "abcdef"], "answer": 2}),
    );
    let model = canned("");
    let run = evaluate(
        "canned",
        &model,
        &MultipleChoice::new("choice"),
        std::slice::from_ref(&row),
    )
    .unwrap();
    let outcome = &run.outcomes[0];
    assert_eq!(outcome.log_likelihoods, [-2.0, -5.0, -7.0]);
    assert_eq!(
        (outcome.output.as_str(), outcome.reference()),
        ("a", "abcdef")
    );
    assert_eq!(
        (
            outcome.scores["acc"],
            outcome.scores["acc_norm"],
            outcome.scores["acc_bytes"]
        ),
        (0.0, 1.0, 1.0)
    );
    let asked = model.scored.lock().unwrap();
    assert_eq!(
        asked[0],
        Continuation::new("Question: Which?\nAnswer:", " a")
    );
    for (answer, gold) in [(json!("B"), "éé"), (json!("a"), "a"), (json!(1), "éé")] {
        let mut row = row.clone();
        row.fields.insert("answer".into(), answer);
        let run = evaluate(
            "canned",
            &canned(""),
            &MultipleChoice::new("choice"),
            &[row],
        )
        .unwrap();
        assert_eq!(run.outcomes[0].reference(), gold);
    }
    for (field, value, part) in [
        ("answer", json!(3), "neither an index below 3"),
        ("answer", json!("Z"), "nor the text of a choice"),
        ("choices", json!("a"), "expected a list of texts"),
        ("choices", json!([]), "none of them empty"),
        ("question", json!(null), "\"question\" is missing"),
    ] {
        let mut row = row.clone();
        row.fields.insert(field.into(), value);
        let error = evaluate(
            "canned",
            &canned(""),
            &MultipleChoice::new("choice"),
            &[row],
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.contains(part) && error.contains("rows.jsonl:1"),
            "{error}"
        );
    }
}

#[test]
fn labels_are_scored_or_written() {
    let labels = || ["good", "dreadful"].map(str::to_owned).to_vec();
    let task = || Classification::new("labels", labels(), LabelMapping::default()).unwrap();
    let documents = [
        record(1, json!({"text": "fine", "label": "good"})),
        record(2, json!({"text": "no", "label": "dreadful"})),
    ];
    let run = evaluate("canned", &canned(""), &task(), &documents).unwrap();
    let outputs: Vec<_> = run
        .outcomes
        .iter()
        .map(|outcome| outcome.output.as_str())
        .collect();
    assert_eq!(outputs, ["good", "good"]);
    assert!((run.estimate("accuracy").unwrap().value - 0.5).abs() < 1e-12);
    assert!((run.estimate("macro F1").unwrap().value - 1.0 / 3.0).abs() < 1e-12);

    let run = evaluate(
        "canned",
        &canned(" Dreadful \nand more"),
        &task().generated(4),
        &documents,
    )
    .unwrap();
    assert!(
        run.outcomes
            .iter()
            .all(|outcome| outcome.output == "dreadful")
    );
    let run = evaluate("canned", &canned("so-so"), &task().generated(4), &documents).unwrap();
    assert!(
        run.outcomes
            .iter()
            .all(|outcome| outcome.output == NO_LABEL)
    );
    // An answer outside the list is no class of its own.
    assert!(run.estimate("macro F1").unwrap().value.abs() < 1e-12);

    let odd = [record(9, json!({"text": "fine", "label": "odd"}))];
    let error = evaluate("canned", &canned(""), &task(), &odd)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("rows.jsonl:9")
            && error.contains("\"odd\"")
            && error.contains("\"dreadful\""),
        "{error}"
    );
    for wrong in [vec![], vec!["one"], vec!["a", "a"], vec!["a", ""]] {
        let labels = wrong.iter().map(|label| (*label).to_owned()).collect();
        assert!(
            Classification::new("labels", labels, LabelMapping::default()).is_err(),
            "{wrong:?}"
        );
    }
}

#[test]
fn tasks_refuse_answers_of_another_kind() {
    let row = record(1, json!({"question": "q", "answer": "a"}));
    let error = qa()
        .grade(&row, &finetune_eval::Answer::Scores(vec![]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected an answer of the kind generation, found scores"),
        "{error}"
    );
}

#[test]
fn text_prompts_carry_their_stops() {
    let model = canned("a");
    let documents = [record(1, json!({"question": "Why?", "answer": "a"}))];
    evaluate(
        "canned",
        &model,
        &qa().prompting(Prompting::few_shot(vec![])).max_tokens(9),
        &documents,
    )
    .unwrap();
    let asked = model.asked.lock().unwrap();
    assert_eq!(asked[0].context, Context::from("Question: Why?\nAnswer:"));
    assert_eq!((asked[0].max_tokens, asked[0].stop.len()), (9, 2));
}
