//! Asked of a model of ours, which learned by heart what it answers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use finetune::burn::tensor::Device;
use finetune::data::synthesize::{Answer, Ask, Ended, Recipe, Refusal, Request, Synthesis};
use finetune::data::tokenizer::TokenizerPlan;
use finetune::data::{Document, Origin};
use finetune::eval::local::Author;
use finetune::train::batch::CausalBatches;
use finetune::train::objective::NextToken;
use finetune::train::{BatchConfig, Schedule};

use super::*;

const TOWNS: [(&str, &str); 6] = [
    ("Rome", "Italy"),
    ("Oslo", "Norway"),
    ("Athens", "Greece"),
    ("Dublin", "Ireland"),
    ("Madrid", "Spain"),
    ("Riga", "Latvia"),
];

fn text((town, country): (&str, &str)) -> String {
    format!("{town} lies in {country}.")
}

/// What the model is to answer when it is shown the text.
fn answer((town, country): (&str, &str)) -> String {
    let pair = json!({"question": format!("Where is {town}?"), "answer": format!("In {country}.")});
    json!({"pairs": [pair]}).to_string()
}

/// A folder with a small model that has learned its answers, and a recipe that shows it the texts alone.
fn learned(folder: &Path) {
    let model = folder.join("model");
    let words: Vec<String> = TOWNS.map(|town| text(town) + &answer(town)).into();
    let plan = TokenizerPlan {
        vocabulary: 400,
        minimum: 1,
        add_bos: false,
        ..TokenizerPlan::default()
    };
    let tokenizer = Tokenizer::train(words.iter().map(String::as_str), &plan).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": tokenizer.vocabulary(),
        "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "hidden_act": "silu",
        "tie_word_embeddings": true, "eos_token_id": tokenizer.eos(), "initializer_range": 0.1,
    });
    let checkpoint = Checkpoint::create(config, 5).unwrap();
    let device = device(None).unwrap().autodiff();
    let template = Templates::default().get("plain", &tokenizer).unwrap();
    let encoder = Encoder::new(tokenizer, template);
    let pairs = TOWNS.map(|town| Conversation::pair(text(town), answer(town)));
    let (rows, _) = encoder.encode_all(&pairs).unwrap();
    let config = TrainConfig {
        steps: Some(120),
        batch: BatchConfig {
            rows: pairs.len(),
            length: 128,
            ..BatchConfig::default()
        },
        schedule: Schedule::constant(5e-3),
        ..TrainConfig::default()
    };
    let batches = CausalBatches::new(rows, &config.batch, 1, &encoder, &device).unwrap();
    let trained = Trainer::new(config).fit(
        checkpoint.causal_lm(&device).unwrap(),
        &NextToken,
        &batches,
        None,
    );
    let trained = trained.unwrap().finished().unwrap().model;
    checkpoint.save(&trained, &model).unwrap();
    encoder.tokenizer().save(&model).unwrap();
    fs::write(folder.join("bare.json"), json!(bare()).to_string()).unwrap();
    texts(&folder.join("texts.jsonl"), TOWNS.map(text));
}

fn bare() -> Recipe {
    Recipe {
        name: "bare".to_owned(),
        system: None,
        template: "{{ text }}".to_owned(),
        ..Recipe::named("question-answers").unwrap()
    }
}

fn author(folder: &Path) -> Author {
    let device: Device = device(None).unwrap();
    Author::of(
        &Checkpoint::open(folder.join("model")).unwrap(),
        None,
        "plain",
        &device,
    )
    .unwrap()
}

fn documents() -> Vec<Document> {
    let document = |(town, place)| Document {
        text: text(town),
        fields: [].into(),
        origin: Origin::new("towns.txt", place),
    };
    TOWNS.into_iter().zip(1..).map(document).collect()
}

fn request(prompt: &str) -> Request {
    Request {
        system: None,
        prompt: prompt.to_owned(),
        max_tokens: 80,
        temperature: 0.0,
        seed: 1,
    }
}

/// Counts how often the author is asked, and sets the flag at the third time.
struct Counted<'a>(&'a Author, AtomicUsize, Arc<AtomicBool>);

impl Ask for Counted<'_> {
    fn model(&self) -> &str {
        self.0.model()
    }

    fn settings(&self) -> String {
        self.0.settings()
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        if self.1.fetch_add(1, Ordering::Relaxed) == 2 {
            self.2.store(true, Ordering::Relaxed);
        }
        self.0.ask(request)
    }
}

#[test]
fn a_model_of_ours_makes_data_that_finetune_reads() {
    let folder = tempfile::tempdir().unwrap();
    learned(folder.path());
    the_example_runs(folder.path());
    chance_is_a_function_of_the_question(&author(folder.path()));
    a_run_goes_on_where_it_was(folder.path());
    what_cannot_be_answered_is_refused(folder.path());
}

fn the_example_runs(folder: &Path) {
    let at = |name: &str| folder.join(name).display().to_string();
    let made = |name: &str, more: &[&str]| -> PathBuf {
        let (output, cache) = (at(&format!("{name}.jsonl")), at(name));
        let (model, recipe, input) = (at("model"), at("bare.json"), at("texts.jsonl"));
        let fixed = [
            ["--model", &model, "--template", "plain"],
            ["--prompt", &recipe, "--field", "body"],
            ["--output", &output, "--cache", &cache],
            ["--max-tokens", "80", "--temperature", "0"],
        ];
        ran(&[fixed.as_flattened(), more, &[&input]].concat()).unwrap();
        output.into()
    };
    let one = made("one", &["--threads", "1"]);
    let expected =
        TOWNS.map(|(town, country)| (format!("Where is {town}?"), format!("In {country}.")));
    assert_eq!(pairs(&one), expected);
    let source = &rows(&one)[4]["synthesis"];
    assert_eq!(
        (&source["recipe"], &source["model"]),
        (&json!("bare"), &json!(at("model")))
    );
    assert_eq!(source["source"], format!("{}:5", at("texts.jsonl")));
    let many = made("many", &["--threads", "4"]);
    assert!(fs::read(&one).unwrap() == fs::read(many).unwrap());
}

fn chance_is_a_function_of_the_question(author: &Author) {
    let drawn = Synthesis::new(bare())
        .draws(4)
        .temperature(1.2)
        .max_tokens(60);
    let (one, counts) = drawn.clone().threads(1).run(author, &documents()).unwrap();
    assert!(counts.balanced() && counts.prompts == 24, "{counts}");
    // A prompt has some ten tokens, an answer at most sixty: nothing is estimated.
    assert!(counts.usage.prompt <= 20 * counts.requests, "{counts}");
    assert!(counts.usage.completion <= 60 * counts.requests, "{counts}");
    let (many, again) = drawn.threads(5).run(author, &documents()).unwrap();
    assert_eq!((one, counts), (many, again));
    let hot = |seed| {
        let request = Request {
            temperature: 2.0,
            seed,
            ..request("Rome lies in Italy.")
        };
        author.ask(&request).unwrap().text
    };
    assert_eq!(hot(1), hot(1));
    assert_ne!(hot(1), hot(2));
}

fn a_run_goes_on_where_it_was(folder: &Path) {
    let author = author(folder);
    let run = |synthesis: &Synthesis| {
        let stop = Arc::new(AtomicBool::new(false));
        let counted = Counted(&author, AtomicUsize::new(0), stop.clone());
        let synthesis = synthesis.clone().stop_flag(stop);
        let (made, counts) = synthesis.run(&counted, &documents()).unwrap();
        assert!(counts.balanced(), "{counts}");
        (made, counted.1.into_inner())
    };
    let synthesis = Synthesis::new(bare())
        .temperature(0.0)
        .max_tokens(80)
        .threads(1);
    let kept = synthesis.cache(folder.join("kept.jsonl"));
    let (first, asked) = run(&kept);
    assert_eq!((first.len(), asked), (3, 3));
    let (whole, asked) = run(&kept);
    assert_eq!((whole.len(), asked), (6, 3));
    assert_eq!(first, whole[..3]);
    assert_eq!(run(&kept).1, 0);
    // Other weights are another model, whatever its folder is called.
    let weights = folder.join("model/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let whole = bytes.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let other = self::author(folder);
    assert_eq!(other.model(), author.model());
    assert_ne!(other.settings(), author.settings());
    fs::write(&weights, whole).unwrap();
    assert_eq!(self::author(folder).settings(), author.settings());
}

fn what_cannot_be_answered_is_refused(folder: &Path) {
    let author = author(folder);
    let known = author.ask(&request("Rome lies in Italy.")).unwrap();
    assert_eq!(known.text, answer(TOWNS[0]));
    assert_eq!(known.ended, Ended::Stop);
    let cut = Request {
        max_tokens: 5,
        ..request("Rome lies in Italy.")
    };
    let cut = author.ask(&cut).unwrap();
    assert_eq!(
        (cut.ended, cut.usage.unwrap().completion),
        (Ended::Length, 5)
    );
    let long = author.ask(&request(&"Rome ".repeat(200))).unwrap_err();
    assert!(
        matches!(&long, Refusal::Rejected { message } if message.contains("128")),
        "{long:?}"
    );
    // What fails for every request ends the run.
    let hot = Request {
        temperature: f64::INFINITY,
        ..request("Rome")
    };
    let hot = author.ask(&hot).unwrap_err();
    assert!(
        matches!(&hot, Refusal::Denied { message } if message.contains("temperature")),
        "{hot:?}"
    );
    // Instructions are read too.
    let told = Request {
        system: Some("You answer with JSON.".to_owned()),
        ..request("Rome lies in Italy.")
    };
    let told = author.ask(&told).unwrap();
    assert!(told.usage.unwrap().prompt > known.usage.unwrap().prompt);
}
