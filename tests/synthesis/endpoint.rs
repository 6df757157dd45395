//! Asked of a service.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use finetune::train::signal;
use tempfile::TempDir;

use super::*;
use crate::service::{Server, completion, send};

/// The arguments of a child process, as JSON.
const ARGUMENTS: &str = "FINETUNE_SYNTHESIS_ARGUMENTS";

/// A folder with texts, and the arguments of a run over them.
struct Run {
    folder: TempDir,
    endpoint: String,
    more: Vec<String>,
}

impl Run {
    fn new(server: &Server, count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let numbers = (1..=count).map(|number| format!("Text number {number}."));
        texts(&folder.path().join("texts.jsonl"), numbers);
        Self {
            folder,
            endpoint: server.base.clone(),
            more: Vec::new(),
        }
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.more.extend(arguments.iter().copied().map(Into::into));
        self
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The arguments of a run with this cache.
    fn arguments(&self, cache: &str) -> Vec<String> {
        let fixed = ["--model", "mock", "--field", "body", "--endpoint"];
        let fixed = fixed.into_iter().map(String::from);
        let places = [
            self.endpoint.clone(),
            "--output".to_owned(),
            self.at("made.jsonl"),
            "--cache".to_owned(),
            self.at(cache),
            self.at("texts.jsonl"),
        ];
        fixed
            .chain(places)
            .chain(self.more.iter().cloned())
            .collect()
    }

    fn run(&self, cache: &str) -> Result<(), String> {
        let arguments = self.arguments(cache);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        ran(&arguments)
    }

    fn made(&self) -> Vec<u8> {
        fs::read(self.at("made.jsonl")).unwrap()
    }

    /// How many answers lie in the cache, the half written one left out.
    fn cached(&self) -> usize {
        let text = fs::read_to_string(self.at("cache/answers.jsonl")).unwrap_or_default();
        text.matches('\n').count()
    }

    /// This test again, as a process of its own.
    fn child(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["endpoint::child", "--exact", "--nocapture"])
            .env(
                ARGUMENTS,
                serde_json::to_string(&self.arguments("cache")).unwrap(),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// Does nothing, unless this process is a child.
#[test]
fn child() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
    let given = ["synthesize".to_owned()].into_iter().chain(arguments);
    run(&Flags::parse_from(given), signal::flag().unwrap()).unwrap();
}

/// A pair that asks for the text.
fn good(body: &Value) -> String {
    let prompt = body["messages"][1]["content"].as_str().unwrap();
    let text = prompt.split("Text:\n").nth(1).unwrap();
    let text = text.lines().next().unwrap();
    let pairs = json!({"pairs": [{"question": format!("What is this? {text}"), "answer": text}]});
    completion(&pairs.to_string(), "stop")
}

/// What a real service does now and then.
fn fail(kind: usize, stream: &mut TcpStream) {
    let ok = "200 OK";
    match kind {
        0 => send(stream, "429 Too Many Requests", "Retry-After: 1\r\n", ""),
        1 => send(stream, "500 Internal Server Error", "", "oops"),
        2 => drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"cho")),
        3 => send(stream, ok, "", "{\"choices\": [{"),
        4 => std::thread::sleep(Duration::from_millis(1_500)),
        5 => send(stream, ok, "", &completion("Sorry, I cannot.", "stop")),
        6 => send(stream, ok, "", &completion("{\"pairs\": [{\"que", "length")),
        _ => send(stream, ok, "", &completion("{\"pairs\": []}", "stop")),
    }
}

#[test]
fn data_are_made_in_spite_of_failures_and_read_by_finetune() {
    // For each text another failure, once.
    let failed = Mutex::new(BTreeSet::new());
    let server = Server::start(move |_, body, stream| {
        let good = good(body);
        if failed.lock().unwrap().insert(good.clone()) {
            let number = (1..=8).find(|number| good.contains(&format!("number {number}.")));
            fail(number.unwrap() - 1, stream);
        } else {
            send(stream, "200 OK", "", &good);
        }
    });
    // A variable that is set wherever this test runs; its value is a secret as good as any.
    let key = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let run = Run::new(&server, 8).with(&[
        "--key-from",
        "CARGO_MANIFEST_DIR",
        "--timeout",
        "1",
        "--threads",
        "3",
    ]);
    run.run("cache").unwrap();
    let made = Path::new(&run.at("made.jsonl")).to_owned();
    let found = pairs(&made);
    assert_eq!(found.len(), 8);
    assert_eq!(
        found[2],
        (
            "What is this? Text number 3.".to_owned(),
            "Text number 3.".to_owned()
        )
    );
    let row = &rows(&made)[2];
    let source = &row["synthesis"];
    assert_eq!(
        (&source["recipe"], &source["model"]),
        (&json!("question-answers"), &json!("mock"))
    );
    assert_eq!(source["source"], format!("{}:3", run.at("texts.jsonl")));
    assert_eq!(
        (&row["source_place"], &source["chunk"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(server.count(), 16);
    let asked = server.asked.lock().unwrap();
    assert!(
        asked
            .iter()
            .all(|(head, _)| head.contains(&format!("Bearer {key}")))
    );
    drop(asked);
    let first = run.made();
    let kept = fs::read_to_string(run.at("cache/answers.jsonl")).unwrap();
    assert!(!kept.contains(&key) && !String::from_utf8_lossy(&first).contains("Bearer"));
    // The same again asks nothing.
    run.run("cache").unwrap();
    assert_eq!((server.count(), run.made()), (16, first));
}

#[test]
fn each_kind_of_data_has_rows_that_are_read_again() {
    let server = Server::start(|_, body, stream| {
        let prompt = body["messages"][1]["content"].as_str().unwrap();
        assert!(prompt.contains("Aim at this: towns"), "{prompt}");
        let answer = json!({
            "paraphrases": [{"text": "t"}], "questions": [{"prompt": "q"}],
            "variants": [{"prompt": "p", "completion": "c"}],
            "preferences": [{"prompt": "p", "chosen": "good", "rejected": "bad"}],
        });
        send(
            stream,
            "200 OK",
            "",
            &completion(&answer.to_string(), "stop"),
        );
    });
    for (make, expected) in [
        ("paraphrases", json!(["text"])),
        ("questions", json!(["completion", "prompt"])),
        ("harder", json!(["completion", "prompt"])),
        ("preferences", json!(["chosen", "prompt", "rejected"])),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pair = json!({"question": "Which town?", "answer": "Rome."});
        fs::write(at("pairs.jsonl"), pair.to_string()).unwrap();
        let [input, made, cache] =
            ["pairs.jsonl", "made.jsonl", "cache"].map(|name| at(name).display().to_string());
        let endpoint = ["--endpoint", &server.base, "--model", "m", "--aim", "towns"];
        let places = ["--make", make, "--output", &made, "--cache", &cache, &input];
        ran(&[endpoint.as_slice(), &places].concat()).unwrap();
        let row = rows(&at("made.jsonl")).remove(0);
        let names = row.as_object().unwrap().keys();
        let names: Vec<&String> = names.filter(|name| !name.starts_with('s')).collect();
        assert_eq!(json!(names), expected);
        assert_eq!(row["synthesis"]["seed"], "towns");
        match make {
            "questions" => assert_eq!(pairs(&at("made.jsonl")), [("q".into(), "Rome.".into())]),
            "harder" => assert_eq!(pairs(&at("made.jsonl")), [("p".into(), "c".into())]),
            "preferences" => {
                let mapping: AnyChat = "prompt=prompt,completion=chosen".parse().unwrap();
                let read = Loaders::default().examples(&[&made], &OnError::Stop, &mapping);
                assert_eq!(read.unwrap().0[0].answer(), Some("good"));
            }
            _ => assert_eq!(row["text"], "t"),
        }
    }
    let asked = server.asked.lock().unwrap();
    let shown = asked[1].1["messages"][1]["content"].as_str().unwrap();
    assert!(
        shown.contains("Question:\nWhich town?\n\nIts answer:\nRome."),
        "{shown}"
    );
}

/// A service that takes its time, so that a run can be ended in the middle.
fn slow() -> Server {
    Server::start(|_, body, stream| {
        std::thread::sleep(Duration::from_millis(60));
        send(stream, "200 OK", "", &good(body));
    })
}

/// Waits until the service was asked so many times.
fn wait(server: &Server, count: usize) {
    for _ in 0..3_000 {
        if server.count() >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("asked {} times only", server.count());
}

#[test]
fn a_killed_run_goes_on_without_asking_twice() {
    let server = slow();
    let run = Run::new(&server, 30).with(&["--threads", "2"]);
    let mut asked_before = 0;
    for kill in 1..=2 {
        let mut child = run.child();
        wait(&server, 9 * kill);
        child.kill().unwrap();
        child.wait().unwrap();
        // What was on its way arrives.
        std::thread::sleep(Duration::from_millis(200));
        assert!(!Path::new(&run.at("made.jsonl")).exists());
        // Only what was on its way when the run was killed is lost, for each of two threads one answer.
        let lost = server.count() - run.cached();
        assert!(lost <= 2 * kill, "{lost} answers are lost");
        assert!(server.count() > asked_before && run.cached() < 30);
        asked_before = server.count();
    }
    let left = 30 - run.cached();
    run.run("cache").unwrap();
    assert_eq!(server.count(), asked_before + left);
    // It made what a run makes that nobody killed.
    let made = run.made();
    run.run("another").unwrap();
    assert!(run.made() == made);
    assert_eq!(pairs(Path::new(&run.at("made.jsonl"))).len(), 30);
}

#[cfg(unix)]
#[test]
fn a_signal_lets_what_is_on_its_way_come_in() {
    let server = slow();
    let run = Run::new(&server, 30).with(&["--threads", "3"]);
    let mut child = run.child();
    wait(&server, 8);
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(child.wait().unwrap().success());
    let asked = server.count();
    assert!(asked < 30);
    assert_eq!(pairs(Path::new(&run.at("made.jsonl"))).len(), asked);
    // Nothing is asked twice, and what was made is replaced by the whole.
    run.run("cache").unwrap();
    assert_eq!(server.count(), 30);
    assert_eq!(pairs(Path::new(&run.at("made.jsonl"))).len(), 30);
}

#[test]
fn a_budget_ends_a_run_and_more_of_it_goes_on() {
    let server = slow();
    let run = Run::new(&server, 8).with(&["--max-tokens", "50", "--threads", "1"]);
    let run = run.with(&["--price-answer", "1000000"]);
    // For each answer 50 are set aside, and 10 are taken.
    let short = run.arguments("cache");
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    ran(&[short.as_slice(), &["--budget-cost", "75"]].concat()).unwrap();
    assert_eq!(
        (server.count(), rows(Path::new(&run.at("made.jsonl"))).len()),
        (3, 3)
    );
    run.run("cache").unwrap();
    assert_eq!(
        (server.count(), rows(Path::new(&run.at("made.jsonl"))).len()),
        (8, 8)
    );
}
