//! Log-likelihoods and generations against lm-evaluation-harness 0.4.13; `golden/make_harness.py` wrote what it says.

use std::path::Path;

use finetune_eval::{
    Continuation, LanguageModel, Prompt,
    local::{Local, Long},
};
use finetune_model::device;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    with_bos: Model,
    without_bos: Model,
}

#[derive(Deserialize)]
struct Model {
    continuations: Vec<Asked>,
    documents: Vec<Text>,
    prompts: Vec<Answered>,
}

#[derive(Deserialize)]
struct Asked {
    context: String,
    text: String,
    log_likelihood: f64,
    greedy: bool,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    log_likelihood: f64,
}

#[derive(Deserialize)]
struct Answered {
    context: String,
    stop: Vec<String>,
    max_tokens: usize,
    text: String,
}

fn check(name: &str, golden: &Model) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let device = device(None).expect("the default device");
    // The harness cuts what is too long, and so does this test; the default is to refuse it.
    let local = Local::open(&folder, "plain", &device)
        .expect("a tiny model")
        .long(Long::CutLeft);

    let requests: Vec<_> = golden
        .continuations
        .iter()
        .map(|asked| Continuation::new(asked.context.as_str(), asked.text.as_str()))
        .collect();
    let scores = local.score(&requests).expect("scores");
    for (asked, score) in golden.continuations.iter().zip(scores) {
        let error = (score.log_likelihood - asked.log_likelihood).abs();
        assert!(
            error < 1e-4,
            "{name}: {:?} after {:?}: {error:e}",
            asked.text,
            asked.context
        );
        assert_eq!(
            score.greedy, asked.greedy,
            "{name}: {:?} after {:?}",
            asked.text, asked.context
        );
    }

    let documents: Vec<_> = golden
        .documents
        .iter()
        .map(|document| document.text.clone())
        .collect();
    for (document, score) in golden
        .documents
        .iter()
        .zip(local.rolling(&documents).expect("scores"))
    {
        let error = (score.log_likelihood - document.log_likelihood).abs();
        assert!(
            error < 1e-5 * document.log_likelihood.abs(),
            "{name}: {:?}: {error:e}",
            document.text
        );
    }

    let prompts: Vec<_> = golden
        .prompts
        .iter()
        .map(|prompt| Prompt {
            stop: prompt.stop.clone(),
            ..Prompt::new(prompt.context.as_str(), prompt.max_tokens)
        })
        .collect();
    for (prompt, made) in golden
        .prompts
        .iter()
        .zip(local.generate(&prompts).expect("answers"))
    {
        assert_eq!(made.text, prompt.text, "{name}: after {:?}", prompt.context);
    }
}

#[test]
fn equals_the_harness_with_and_without_a_bos_token() {
    let golden: Golden = serde_json::from_str(include_str!("golden/harness.json"))
        .expect("golden/harness.json has the form that make_harness.py writes");
    check("with_bos", &golden.with_bos);
    check("without_bos", &golden.without_bos);
}
