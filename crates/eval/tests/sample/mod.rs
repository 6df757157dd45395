//! A report as a small fine-tuning run would make it, from made-up answers.

use finetune_data::Origin;
use finetune_eval::{
    Analysis, Classes, Finish, Flow, Metric, Outcome, Report, Result, Run, Task,
    analysis::Vocabulary,
    learning_curve::{LearningCurve, Point},
    metric::{Better, Normalization, Unit, exact_match, rouge_l, token_f1},
    report::{Training, TrainingPoint, ValidationPoint},
    task::QuestionAnswering,
};

/// Questions with their answers.
const PAIRS: [(&str, &str); 8] = [
    (
        "What does the rank of an adapter set?",
        "The rank sets the width of the update: how many directions the adapter can add to each weight.",
    ),
    (
        "Why is the loss a sum?",
        "The loss is a sum so that the loop can divide once by the number of targets, whatever the batches are.",
    ),
    (
        "How do I resume a run?",
        "Start the same command with --resume; the run goes on from its last checkpoint and ends with the same bytes.",
    ),
    (
        "What happens when a row is too long?",
        "The truncation policy decides: the row is refused, dropped or cut, and the report counts what was done.",
    ),
    (
        "What is a chat template?",
        "A chat template turns the turns of a conversation into the one text that the model was trained on.",
    ),
    (
        "When should I merge an adapter?",
        "Merge it when you want a single folder to deploy; keep it apart while you still train.",
    ),
    (
        "Which rows teach the model to stop?",
        "Rows that end with the stop token and whose mask covers it; the trainer refuses to start without any.",
    ),
    (
        "How is the validation set chosen?",
        "By a hash of the text, so that a row stays on its side when the data grow.",
    ),
];

/// What an untuned model writes.
const WILD: [&str; 6] = [
    "The answer is the answer is the answer is the answer is the answer is the one that you have",
    "I think that the question is about the model and the model is about the data, which was the first of the many things that the people of the town had seen in the early years of the century, when the railway came to the valley and the mills were built along the river.",
    "",
    "It is a question of the adaptor and the wieghts, and there are many of them.",
    "A checkpoint is a place where the army stops the traffic.\n\nA checkpoint is a place where the army stops the traffic.",
    "The rank sets the order.",
];

/// A small number that looks random.
fn dice(index: usize, salt: usize) -> usize {
    let mixed = (index as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(23)
        ^ (salt as u64).wrapping_mul(0xd134_2543_de82_ef95);
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize
}

/// The answer of a model that is right in `skill` of 100 cases.
fn answer(index: usize, salt: usize, skill: usize) -> (String, Finish) {
    let reference = PAIRS[index % PAIRS.len()].1;
    let roll = dice(index, salt) % 100;
    let finish = if roll < skill + 20 {
        Finish::Stop
    } else {
        Finish::Length
    };
    let text = match roll {
        _ if roll < skill => reference.to_owned(),
        _ if roll < skill + 10 => reference
            .replace("the ", "")
            .replace("adapter", "adpater")
            .replace("number", "nubmer"),
        _ if roll < skill + 18 => reference
            .split(&[':', ';', ','][..])
            .next()
            .unwrap_or_default()
            .to_owned(),
        _ => WILD[dice(index, salt + 7) % WILD.len()].to_owned(),
    };
    (text, finish)
}

fn run(model: &str, task: &dyn Task, salt: usize, skill: usize, items: usize) -> Result<Run> {
    let outcome = |index: usize| {
        let (question, reference) = PAIRS[index % PAIRS.len()];
        let question = match index / PAIRS.len() {
            0 => question.to_owned(),
            variant => format!("{question} ({variant})"),
        };
        let (output, finished) = answer(index, salt, skill);
        let squad = Normalization::default();
        let mut outcome = Outcome::new(
            Origin::new("data/questions.jsonl", index as u64 + 1),
            question,
            reference,
            &output,
        )
        .with_score("f1", token_f1(reference, &output, squad))
        .with_score("rouge_l", rouge_l(reference, &output).f1)
        .with_score("exact_match", exact_match(reference, &output, squad));
        outcome.finished = Some(finished);
        outcome
    };
    Run::of_outcomes(
        model,
        task.name(),
        &task.metrics(),
        (0..items).map(outcome).collect(),
    )
}

/// The loss after training on an eighth of the rows and so on, with three seeds.
fn learning() -> LearningCurve {
    let value = |rows: u64, seed: u64| {
        let noise = dice(rows as usize, seed as usize) % 100;
        1.31 + 12.0 * (rows as f64).powf(-0.55) + (noise as f64 - 50.0) / 2500.0
    };
    let sizes = [114, 228, 456, 912];
    let runs = sizes
        .into_iter()
        .flat_map(|rows| (1..4).map(move |seed| (rows, seed)));
    LearningCurve {
        metric: "validation loss".to_owned(),
        better: Better::Lower,
        unit: Unit::Number,
        items: 120,
        points: runs
            .map(|(rows, seed)| Point {
                rows,
                seed,
                value: value(rows, seed),
            })
            .collect(),
    }
}

fn training() -> Training {
    let steps = 360;
    let point = |step: u64| {
        let progress = step as f64 / steps as f64;
        let noise = (dice(step as usize, 3) % 1000) as f64 / 1000.0 - 0.5;
        TrainingPoint {
            step,
            epoch: Some(progress * 3.0),
            loss: Some(0.62 + 2.7 * (-4.2 * progress).exp() + 0.34 * noise),
            learning_rate: Some(
                2e-3 * (progress * 12.0).min(1.0) * (1.0 + (progress * std::f64::consts::PI).cos())
                    / 2.0,
            ),
            gradient_norm: Some(1.0),
            seconds: Some(step as f64 * 0.3),
        }
    };
    let validation = |index: u64| ValidationPoint {
        step: index * 40,
        loss: Some(
            0.98 + 2.3 * (-4.6 * index as f64 / 9.0).exp() + 0.04 * (index as f64 / 9.0).powi(3),
        ),
    };
    Training {
        note: "LoRA of rank 16 on all linear layers, 3 epochs over 912 pairs, 41 s on 2 cores."
            .into(),
        steps: (1..=steps).map(point).collect(),
        validations: (0..=9).map(validation).collect(),
    }
}

/// Answers with one of two labels.
fn labelled(items: usize) -> Result<Run> {
    let label = |place: usize| ["yes", "no"][dice(place, 3) % 2];
    let outcomes = (0..items).map(|place| {
        let origin = Origin::new("data/questions.jsonl", place as u64 + 1);
        Outcome::new(origin, "", label(place), label(place + place / 9))
    });
    Run::of_outcomes("fine-tuned", "labels", &[], outcomes.collect())
}

/// The report over `items` items.
pub(crate) fn report(items: usize) -> Result<Report> {
    let task = QuestionAnswering::new(
        "held-out questions",
        finetune_data::mapping::AnyChat::default(),
    );
    let metrics: Vec<Box<dyn Metric>> = task.metrics();
    let bare = run("base, bare prompt", &task, 1, 2, items)?;
    let shots = run("base, few-shot", &task, 2, 9, items)?;
    let tuned = run("fine-tuned", &task, 3, 61, items)?;
    let vocabulary = || {
        Vocabulary::new().with_common_english().with_texts(
            PAIRS
                .iter()
                .flat_map(|(question, answer)| [*question, *answer]),
        )
    };
    let classes = Classes::standard(vocabulary());
    let analyses: Vec<Analysis> = [&bare, &shots, &tuned]
        .into_iter()
        .map(|run| classes.analyze(&run.model, &run.outcomes))
        .collect::<Result<_>>()?;
    let analyses: Vec<&Analysis> = analyses.iter().collect();
    let flow = Flow::between(analyses[1], analyses[2])?;
    let fixed: Vec<usize> = flow.fixed_items().into_iter().take(3).collect();
    let broken: Vec<usize> = flow.broken_items().into_iter().take(2).collect();
    let worst = analyses[2].worst(3);
    Ok(Report::new("Quickstart: a small model learns to answer about fine-tuning")
        .subtitle("120 held-out questions, none of them seen in training")
        .model("base, bare prompt", "The pretrained model, given the question alone.")
        .model("base, few-shot", "The same model after three solved examples.")
        .model("fine-tuned", "The same model with a LoRA adapter, given the question alone.")
        .compare(&[&bare, &shots, &tuned], &metrics)?
        .errors(&analyses)
        .examples("Answers side by side", "Questions that were answered wrong before and right after.", &analyses, &fixed)
        .examples("What broke", "Questions that were right before and wrong after.", &analyses, &broken)
        .examples("The worst answers after training", "The least similar to their references.", &analyses, &worst)
        .flow(flow)
        .confusion(&labelled(items)?)?
        .learning_curve(learning())
        .training(training())
        .count("pairs", "1,032", "facts × phrasings, seed 17")
        .count("training", 912, "")
        .count("held out", 120, "paraphrases that training never sees")
        .count("dropped", 0, "")
        .section("Training", [("optimizer", "AdamW, β 0.9/0.999"), ("learning rate", "2e-3, cosine, 30 steps of warmup"), ("batch", "8 × 1"), ("seed", "17")])
        .section("Adapter", [("rank", "16"), ("alpha", "32"), ("targets", "all linear layers"), ("trained", "1.2 M of 5.9 M numbers")])
        .reproduce("cargo run --release --example quickstart")
        .note("The questions are about one small field, in the words of a few authors. The figures say nothing about other questions.")
        .note("Similarity counts words, not meaning: a right answer in other words counts as wrong.")
        .summarise())
}
