//! Data is made by asking a service that fails in every way a real one does.

#![cfg(feature = "api")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod service;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use finetune_data::synthesize::{
    Api, Budget, Counts, Price, Rates, Recipe, Retry, Synthesis, write,
};
use finetune_data::{Document, Loaders, OnError, Origin, Value};
use serde_json::json;
use service::{Server, completion, send};

/// A valid answer that repeats the last line of the document and the seed.
fn good(body: &Value) -> String {
    let prompt = body["messages"][1]["content"].as_str().unwrap();
    let text = prompt
        .split("Text:\n")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let pairs = json!({"pairs": [{"question": text, "answer": body["seed"].to_string()}]});
    completion(&pairs.to_string(), "stop")
}

fn documents(count: u64) -> Vec<Document> {
    let document = |place| Document {
        text: format!("Text number {place}."),
        fields: [].into(),
        origin: Origin::new("a.txt", place),
    };
    (1..=count).map(document).collect()
}

fn synthesis() -> Synthesis {
    let first = Duration::from_millis(2);
    let longest = Duration::from_secs(3);
    Synthesis::new(Recipe::named("question-answers").unwrap())
        .max_tokens(50)
        .retry(Retry {
            tries: 3,
            first,
            longest,
        })
}

fn api(server: &Server) -> Api {
    Api::new(&server.base, "mock").timeout(Duration::from_millis(700))
}

fn run(synthesis: &Synthesis, server: &Server, count: u64) -> (Vec<Document>, Counts) {
    let (made, counts) = synthesis.run(&api(server), &documents(count)).unwrap();
    assert!(counts.balanced(), "{counts}");
    assert_eq!(counts.documents, made.len() as u64);
    (made, counts)
}

#[test]
fn documents_come_in_order_with_their_provenance_for_any_number_of_threads() {
    let server = Server::start(|number, body, stream| {
        std::thread::sleep(Duration::from_millis(7 * (number as u64 % 4)));
        send(stream, "200 OK", "", &good(body));
    });
    let synthesis = synthesis().seeds(["a", "b"]).seed(9);
    let (one, counts) = run(&synthesis.clone().threads(1), &server, 6);
    assert_eq!(
        (counts.prompts, counts.answered, counts.requests),
        (12, 12, 12)
    );
    assert_eq!((counts.usage.prompt, counts.usage.completion), (240, 120));
    let (many, _) = run(&synthesis.clone().threads(5), &server, 6);
    assert_eq!(one, many);
    let made = &one[3];
    assert_eq!(made.origin, Origin::new("a.txt", 2));
    assert_eq!(made.fields["question"], "Text number 2.");
    let provenance = &made.fields["synthesis"];
    assert_eq!(provenance["source"], "a.txt:2");
    assert_eq!(
        (&provenance["recipe"], &provenance["model"]),
        (&json!("question-answers"), &json!("mock"))
    );
    assert_eq!(provenance["seed"], "b");
    assert_eq!(made.fields["answer"], provenance["chance"].to_string());
    let asked = server.asked.lock().unwrap();
    assert!(
        asked[0].0.starts_with("POST /v1/chat/completions "),
        "{}",
        asked[0].0
    );
    assert_eq!(asked[0].1["max_tokens"], 50);
    // Another seed is another chance.
    let (other, _) = run(
        &synthesis.seed(10),
        &Server::start(|_, body, stream| send(stream, "200 OK", "", &good(body))),
        6,
    );
    assert_ne!(one[0].fields["answer"], other[0].fields["answer"]);
}

/// What a service does to the first request; the second gets an answer.
fn recovers(fail: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (Duration, Counts) {
    let server = Server::start(move |number, body, stream| match number {
        0 => fail(stream),
        _ => send(stream, "200 OK", "", &good(body)),
    });
    let begun = Instant::now();
    let (made, counts) = run(&synthesis(), &server, 1);
    assert_eq!(
        (made.len(), counts.answered, counts.requests),
        (1, 1, 2),
        "{counts}"
    );
    (begun.elapsed(), counts)
}

#[test]
fn failures_that_pass_are_asked_again() {
    recovers(|stream| {
        send(
            stream,
            "429 Too Many Requests",
            "",
            "{\"error\": {\"message\": \"slow down\"}}",
        );
    });
    let (took, _) =
        recovers(|stream| send(stream, "429 Too Many Requests", "Retry-After: 1\r\n", ""));
    assert!(took >= Duration::from_secs(1), "{took:?}");
    let (took, _) = recovers(|stream| {
        send(
            stream,
            "503 Service Unavailable",
            "retry-after: 1\r\n",
            "<html>",
        );
    });
    assert!(took >= Duration::from_secs(1), "{took:?}");
    recovers(|stream| send(stream, "500 Internal Server Error", "", "oops"));
    recovers(|stream| send(stream, "503 Service Unavailable", "", ""));
    // Nothing was charged for any of these.
    let (_, counts) = recovers(|stream| send(stream, "502 Bad Gateway", "", ""));
    assert_eq!(counts.usage.total(), 30);
}

#[test]
fn answers_that_got_lost_are_asked_again_and_their_cost_is_counted() {
    // Closed without a word; in the middle of the head; in the middle of the body.
    for half in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choices\": [",
    ] {
        let (_, counts) = recovers(move |stream| drop(stream.write_all(half.as_bytes())));
        assert!(counts.usage.total() > 30, "{half:?}: {counts}");
    }
    // Chunks that end before the last one.
    recovers(|stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"cho"));
    });
    // A length that cuts the answer.
    recovers(|stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{\"choices\": []}"));
    });
    // Nothing at all, and one byte after the other.
    recovers(|_| std::thread::sleep(Duration::from_millis(1_500)));
    recovers(|stream| {
        for byte in completion("{}", "stop").repeat(9).bytes() {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    recovers(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n");
        for _ in 0..100 {
            if stream.write_all(b" ").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn responses_of_another_form_are_asked_again() {
    for body in [
        "",
        "not json",
        "{",
        "[]",
        "{}",
        "null",
        "{\"choices\": []}",
        "{\"choices\": {}}",
        "{\"choices\": [{}]}",
        "{\"choices\": [{\"message\": {\"content\": null}, \"finish_reason\": \"stop\"}]}",
        "{\"choices\": [{\"message\": {\"content\": [1]}}]}",
        "{\"error\": {\"message\": \"overloaded\"}}",
    ] {
        recovers(move |stream| send(stream, "200 OK", "", body));
    }
    recovers(|stream| send(stream, "200 OK", "content-encoding: gzip\r\n", "no gzip"));
    recovers(|stream| drop(stream.write_all(b"garbage\r\n\r\n")));
}

/// A service that does the same to every request.
fn fails(
    reply: impl Fn(&mut TcpStream) + Send + Sync + 'static,
    reason: &str,
    requests: u64,
) -> String {
    let server = Server::start(move |_, _, stream| reply(stream));
    let (made, counts) = run(&synthesis().redraws(1), &server, 1);
    assert_eq!(
        (made.len(), counts.failures(), counts.requests),
        (0, 1, requests),
        "{counts}"
    );
    counts.failed[reason].first.clone()
}

#[test]
fn what_cannot_be_had_is_counted_with_its_reason() {
    let message = fails(
        |stream| send(stream, "429 Too Many Requests", "", "{\"error\": \"slow\"}"),
        "busy",
        3,
    );
    assert_eq!(message, "status 429: slow (try 3)");
    let message = fails(
        |stream| send(stream, "429 Too Many Requests", "Retry-After: 3600\r\n", ""),
        "busy",
        1,
    );
    assert!(message.contains("3600 s, longer than allowed"), "{message}");
    fails(
        |stream| send(stream, "500 Internal Server Error", "", ""),
        "server error",
        3,
    );
    fails(drop_connection, "no answer", 3);
    fails(
        |stream| send(stream, "200 OK", "", "{}"),
        "unreadable answer",
        3,
    );
    let body = "{\"error\": {\"message\": \"too \\u001b[31m long\"}}";
    let message = fails(
        move |stream| send(stream, "400 Bad Request", "", body),
        "rejected",
        1,
    );
    assert_eq!(message, "status 400: too \\u{1b}[31m long (try 1)");
    // An answer that is not what was asked for is asked for again with another chance.
    fails(
        |stream| send(stream, "200 OK", "", &completion("Sorry.", "stop")),
        "not JSON",
        2,
    );
    fails(
        |stream| send(stream, "200 OK", "", &completion("{\"pairs\": 1}", "stop")),
        "another form",
        2,
    );
    fails(
        |stream| send(stream, "200 OK", "", &completion("{\"pairs\": [", "length")),
        "cut off",
        2,
    );
    fails(
        |stream| send(stream, "200 OK", "", &completion("", "content_filter")),
        "filtered",
        2,
    );
}

fn drop_connection(stream: &mut TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

#[test]
fn an_invalid_answer_is_asked_for_with_another_chance() {
    let server = Server::start(|number, body, stream| match number {
        0 => send(stream, "200 OK", "", &completion("Sorry.", "stop")),
        _ => send(stream, "200 OK", "", &good(body)),
    });
    let (made, counts) = run(&synthesis(), &server, 1);
    assert_eq!(
        (
            made.len(),
            counts.answered,
            counts.invalid["not JSON"].count
        ),
        (1, 1, 1)
    );
    let asked = server.asked.lock().unwrap();
    assert_ne!(asked[0].1["seed"], asked[1].1["seed"]);
    drop(asked);
    // Where nothing is left to chance, the same would come back.
    let server = Server::start(|_, _, stream| {
        send(stream, "200 OK", "", &completion("Sorry.", "stop"));
    });
    let (_, counts) = run(&synthesis().temperature(0.0), &server, 1);
    assert_eq!((counts.requests, counts.failures()), (1, 1));
}

#[test]
fn a_service_that_refuses_everything_stops_the_run_and_never_shows_the_key() {
    // PATH is set everywhere, and its first folder is a secret as good as any.
    let redirect = "location: http://127.0.0.1:1/elsewhere\r\n";
    let quota = "{\"error\": {\"message\": \"pay\", \"code\": \"insufficient_quota\"}}";
    for (status, headers, body, part) in [
        (
            "401 Unauthorized",
            "",
            "{\"error\": {\"message\": \"bad key KEY\"}}",
            "status 401: bad key [key]",
        ),
        ("403 Forbidden", "", "", "status 403"),
        ("404 Not Found", "", "no such model", "no such model"),
        ("429 Too Many Requests", "", quota, "pay"),
        (
            "307 Temporary Redirect",
            redirect,
            "",
            "redirects to http://127.0.0.1:1/elsewhere",
        ),
    ] {
        let key = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let body = body.replace("KEY", &key);
        let server = Server::start(move |_, _, stream| send(stream, status, headers, &body));
        let api = api(&server).key_from("CARGO_MANIFEST_DIR").unwrap();
        let error = synthesis().run(&api, &documents(40)).unwrap_err();
        let message = format!("{error} {error:?} {api:?}");
        assert_eq!(error.kind(), "service");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!message.contains(&key), "{message}");
        assert!(server.count() <= 4, "{}", server.count());
        assert!(
            server.asked.lock().unwrap()[0]
                .0
                .contains(&format!("Bearer {key}"))
        );
    }
    let error = Api::new("http://127.0.0.1:1", "m")
        .key_from("FINETUNE_NO_SUCH_VARIABLE")
        .unwrap_err();
    assert!(
        error.to_string().contains("FINETUNE_NO_SUCH_VARIABLE"),
        "{error}"
    );
}

#[test]
fn a_run_that_was_stopped_goes_on_without_asking_twice() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("answers.jsonl");
    // A service that does not say what it used: the most that it can be is counted.
    let server = Server::start(|_, body, stream| {
        let silent = good(body).replace("\"usage\"", "\"used\"");
        send(stream, "200 OK", "", &silent);
    });
    let whole = run(&synthesis(), &server, 8).0;
    let before = server.count();
    let synthesis = synthesis().cache(&cache).threads(2);
    // Each prompt is some 800 bytes: enough for a few.
    let budget = Budget {
        tokens: Some(4_000),
        ..Budget::default()
    };
    let (made, counts) = run(&synthesis.clone().budget(budget), &server, 8);
    let answered = counts.answered;
    assert!((1..8).contains(&answered), "{counts}");
    assert_eq!(counts.failed["budget"].count, 8 - answered);
    assert!(counts.usage.total() <= 4_000 && made.len() as u64 == answered);
    // The process was killed while it wrote.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&cache)
        .unwrap();
    file.write_all(b"{\"key\": \"00").unwrap();
    drop(file);
    let (made, counts) = run(&synthesis, &server, 8);
    assert_eq!((counts.cached, counts.answered), (answered, 8 - answered));
    assert_eq!(server.count() - before, 8);
    assert_eq!(made, whole);
    let (again, counts) = run(&synthesis, &server, 8);
    assert_eq!(
        (counts.cached, counts.requests, counts.usage.total()),
        (8, 0, 0)
    );
    assert_eq!(again, whole);
    // Other settings are other answers.
    let (_, counts) = run(&synthesis.temperature(0.0), &server, 8);
    assert_eq!(counts.answered, 8);
    assert!(Path::new(&cache).exists());
}

#[test]
fn a_run_that_is_told_to_end_keeps_what_it_has_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let synthesis = synthesis().cache(folder.path().join("answers.jsonl"));
    let until = Arc::new(AtomicBool::new(false));
    let flag = until.clone();
    // The third request comes when the run is told to end; it is answered all the same.
    let server = Server::start(move |number, body, stream| {
        flag.fetch_or(number == 2, Ordering::Relaxed);
        send(stream, "200 OK", "", &good(body));
    });
    let done = Arc::new(AtomicU64::new(0));
    let seen = done.clone();
    let told = synthesis
        .clone()
        .threads(1)
        .stop_flag(until.clone())
        .watch(move |asking| {
            assert_eq!(asking.total, 8);
            seen.fetch_max(asking.done, Ordering::Relaxed);
        });
    let (made, counts) = run(&told, &server, 8);
    assert_eq!((counts.answered, counts.failed["stopped"].count), (3, 5));
    assert_eq!((made.len(), server.count()), (3, 3));
    assert_eq!(done.load(Ordering::Relaxed), 8);
    // What is in the cache is still taken, and nothing is asked.
    let (again, counts) = run(&told, &server, 8);
    assert_eq!((counts.cached, counts.requests), (3, 0));
    assert_eq!(again, made);
    let (whole, counts) = run(&synthesis, &server, 8);
    assert_eq!((counts.cached, counts.answered), (3, 5));
    assert_eq!((&whole[..3], server.count()), (&made[..], 8));
}

#[test]
fn a_run_that_is_told_to_end_does_not_wait_for_its_turn() {
    let until = Arc::new(AtomicBool::new(false));
    let flag = until.clone();
    let server = Server::start(move |_, _, stream| {
        flag.store(true, Ordering::Relaxed);
        send(stream, "503 Service Unavailable", "retry-after: 3\r\n", "");
    });
    let begun = Instant::now();
    let (_, counts) = run(&synthesis().threads(1).stop_flag(until), &server, 3);
    assert_eq!((counts.requests, counts.failed["stopped"].count), (1, 3));
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn what_is_kept_of_a_source_and_written_is_read_again() {
    let server = Server::start(|_, _, stream| {
        let questions = json!({"questions": [{"prompt": "Which town?"}, {"prompt": "Where?"}]});
        send(
            stream,
            "200 OK",
            "",
            &completion(&questions.to_string(), "stop"),
        );
    });
    let fields = [
        ("prompt", json!("What is the capital?")),
        ("completion", json!("Rome.")),
        ("chunk", json!({"number": 4})),
    ];
    let mut pair = Document {
        text: String::new(),
        fields: fields.map(|(name, value)| (name.into(), value)).into(),
        origin: Origin::new("pairs.jsonl", 2),
    };
    let synthesis = Synthesis::new(Recipe::named("questions").unwrap());
    let (made, _) = synthesis
        .run(&api(&server), std::slice::from_ref(&pair))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more/made.jsonl");
    write(&path, made).unwrap();
    let (read, _) = Loaders::default()
        .load_all(&[&path], &OnError::Stop)
        .unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(
        (&read[1].fields["prompt"], &read[1].fields["completion"]),
        (&json!("Where?"), &json!("Rome."))
    );
    assert_eq!(read[1].fields["synthesis"]["chunk"], 4);
    assert_eq!(read[1].fields["synthesis"]["source"], "pairs.jsonl:2");
    pair.fields.remove("completion");
    let error = synthesis.run(&api(&server), &[pair]).unwrap_err();
    assert_eq!(error.kind(), "missing field", "{error}");
}

#[test]
fn equal_prompts_are_drawn_apart_and_costs_are_told() {
    let server = Server::start(|_, body, stream| send(stream, "200 OK", "", &good(body)));
    let price = Price {
        prompt: 1_000.0,
        completion: 10_000.0,
    };
    let budget = Budget {
        cost: Some(100.0),
        price,
        ..Budget::default()
    };
    let mut twice = documents(1);
    twice.extend(documents(1));
    let (made, counts) = synthesis()
        .draws(2)
        .budget(budget)
        .run(&api(&server), &twice)
        .unwrap();
    let mut chances: Vec<String> = made
        .iter()
        .map(|made| made.fields["answer"].to_string())
        .collect();
    chances.sort();
    chances.dedup();
    assert_eq!((chances.len(), counts.answered), (4, 4));
    assert!((counts.cost - 0.48).abs() < 1e-9, "{counts}");
    assert!(counts.to_string().contains("cost 0.4800"), "{counts}");
}

#[test]
fn the_rate_is_kept() {
    let server = Server::start(|_, body, stream| send(stream, "200 OK", "", &good(body)));
    let rates = Rates {
        requests: Some(600),
        tokens: None,
    };
    let begun = Instant::now();
    run(&synthesis().rates(rates).threads(8), &server, 6);
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn settings_that_cannot_be_met_are_refused_before_anything_is_asked() {
    let server = Server::start(|_, _, _| panic!("nothing is asked"));
    for synthesis in [
        synthesis().threads(0),
        synthesis().draws(0),
        synthesis().max_tokens(0),
        synthesis().temperature(f64::NAN),
        synthesis().rates(Rates {
            requests: Some(0),
            tokens: None,
        }),
        synthesis().budget(Budget {
            cost: Some(1.0),
            ..Budget::default()
        }),
    ] {
        assert_eq!(
            synthesis
                .run(&api(&server), &documents(1))
                .unwrap_err()
                .kind(),
            "setting"
        );
    }
    assert_eq!(run(&synthesis(), &server, 0).1, Counts::default());
}
