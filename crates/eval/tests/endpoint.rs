//! Models behind an endpoint: a service whose log-probabilities follow a rule, in each of the forms that servers give
//! them, and one that fails as real ones do.

#![cfg(feature = "api")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../../data/tests/service/mod.rs"]
mod service;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use finetune_data::synthesize::{Retry, Service};
use finetune_data::{Conversation, Role, ToolCall, Turn};
use finetune_eval::suite::Cached;
use finetune_eval::{Context, Continuation, Endpoint, Finish, LanguageModel, Prompt, Score};
use serde_json::{Value, json};
use service::{Server, completion, send};

/// How a server shows the tokens of a text.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// What it puts before a text.
    before: Option<&'static str>,
    /// What it shows for bytes that are no character.
    mark: &'static str,
    offsets: Offsets,
    /// Whether a token is shown without its leading space.
    stripped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Offsets {
    None,
    Bytes,
    Characters,
}

const PLAIN: Form = Form {
    before: None,
    mark: "\u{fffd}",
    offsets: Offsets::Characters,
    stripped: false,
};

/// The tokens of a text: a word with the space before it, a mark, a byte of a character of three or more.
fn tokens(text: &str) -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let mut joins = false;
    for character in text.chars() {
        let bytes = character.to_string().into_bytes();
        if bytes.len() > 2 {
            tokens.extend(bytes.into_iter().map(|byte| vec![byte]));
            joins = false;
        } else if joins && character.is_alphabetic() {
            tokens.last_mut().unwrap().extend(bytes);
        } else {
            tokens.push(bytes);
            joins = character == ' ' || character.is_alphabetic();
        }
    }
    tokens
}

/// The rule: numbers that are summed without rounding.
fn number(token: &[u8]) -> f64 {
    let sum: usize = token.iter().map(|&byte| usize::from(byte)).sum();
    -((sum % 13 + 1) as f64) / 16.0
}

fn likeliest(token: &[u8]) -> bool {
    !token.len().is_multiple_of(3)
}

/// What `text` scores after `context`.
fn expected(context: &str, text: &str) -> Score {
    let mut score = Score {
        log_likelihood: 0.0,
        greedy: true,
        tokens: 0,
    };
    let mut end = 0;
    for token in tokens(&format!("{context}{text}")) {
        end += token.len();
        if end > context.trim_end().len() {
            score.log_likelihood += number(&token);
            score.greedy &= likeliest(&token);
            score.tokens += 1;
        }
    }
    score
}

/// The response to a request for an echo.
fn echo(form: Form, body: &Value) -> Value {
    let prompt = body["prompt"].as_str().unwrap();
    assert_eq!(
        (&body["echo"], &body["logprobs"], &body["max_tokens"]),
        (&json!(true), &json!(1), &json!(1))
    );
    let mut all = tokens(prompt);
    all.extend(form.before.map(|token| token.as_bytes().to_vec()));
    all.rotate_right(usize::from(form.before.is_some()));
    all.push(b" end".to_vec());
    let mut end = 0;
    let (mut shown, mut numbers, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
    for (index, token) in all.iter().enumerate() {
        let text = String::from_utf8_lossy(token).replace('\u{fffd}', form.mark);
        let text = match text.strip_prefix(' ') {
            Some(rest) if form.stripped => rest.to_owned(),
            _ => text,
        };
        let number = number(token);
        let mut top = json!({ text.as_str(): number });
        if !likeliest(token) {
            top["another"] = json!(number + 0.01);
        }
        numbers.push((index > 0).then_some(number));
        tops.push((index > 0).then_some(top));
        shown.push(text);
        let characters = |end: usize| {
            let whole = |(at, character): &(usize, char)| at + character.len_utf8() <= end;
            prompt.char_indices().filter(whole).count()
        };
        offsets.push(match form.offsets {
            Offsets::Characters => characters(end),
            _ => end,
        });
        end += token.len() * usize::from(index > 0 || form.before.is_none());
    }
    let mut logprobs = json!({"tokens": shown, "token_logprobs": numbers, "top_logprobs": tops});
    if form.offsets != Offsets::None {
        logprobs["text_offset"] = json!(offsets);
    }
    let choice =
        json!({"text": format!("{prompt} end"), "finish_reason": "length", "logprobs": logprobs});
    json!({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
}

/// A service that echoes.
fn echoing(form: Form) -> Server {
    Server::start(move |_, body, stream| {
        send(stream, "200 OK", "", &echo(form, body).to_string());
    })
}

fn endpoint(server: &Server) -> Endpoint {
    let service = Service::new(&server.base).timeout(Duration::from_millis(700));
    Endpoint::new(service, "mock").retry(Retry {
        tries: 3,
        first: Duration::from_millis(2),
        longest: Duration::from_secs(3),
    })
}

#[test]
fn scores_follow_the_rule_in_every_form_of_response() {
    let requests = [
        ("The capital of France is", " Paris"),
        ("Question: why?\nAnswer: ", "because so"),
        ("Die Größe", " ist groß"),
        // A token that lies across the border is scored.
        ("The cap", "ital city"),
        ("日本の", "首都"),
        ("Smile 😀", "😀 again"),
        ("Smile ", "😀"),
    ];
    let asked = requests.map(|(context, text)| Continuation::new(context, text));
    let expected = requests.map(|(context, text)| expected(context, text));
    let befores = [None, Some("<s>"), Some("")];
    for before in befores {
        for mark in ["\u{fffd}", ""] {
            for offsets in [Offsets::Bytes, Offsets::Characters] {
                let form = Form {
                    before,
                    mark,
                    offsets,
                    stripped: false,
                };
                let server = echoing(form);
                let scores = endpoint(&server).concurrency(3).score(&asked).unwrap();
                assert_eq!(scores, expected, "{form:?}");
            }
        }
        // Without usable offsets, all but a border between characters of several tokens.
        for stripped in [false, true] {
            let form = Form {
                before,
                offsets: Offsets::None,
                stripped,
                ..PLAIN
            };
            let server = echoing(form);
            for index in [0, 1, 2, 3, 6] {
                let score = endpoint(&server).score(&asked[index..=index]).unwrap();
                assert_eq!(score, expected[index..=index], "{form:?} {index}");
            }
            let error = endpoint(&server).score(&asked[4..5]).unwrap_err();
            assert!(error.to_string().contains("text_offset"), "{error}");
        }
    }
}

#[test]
fn what_has_no_context_needs_a_beginning() {
    let texts = ["It was so.".to_owned(), "  Größe 😀\n".to_owned()];
    let scores = texts.clone().map(|text| expected("", &text));
    let server = echoing(Form {
        before: Some("<s>"),
        ..PLAIN
    });
    assert_eq!(endpoint(&server).rolling(&texts).unwrap(), scores);
    // White space alone is no context.
    let found = endpoint(&server).score(&[Continuation::new(" \n", "b")]);
    assert_eq!(found.unwrap(), [expected("", " \nb")]);
    let server = echoing(PLAIN);
    let error = endpoint(&server).rolling(&texts).unwrap_err().to_string();
    assert!(error.contains("Endpoint::beginning"), "{error}");
    // The service takes the beginning as one token and shows it, as it is or as nothing.
    for shown in ["<|end|>", "", "another"] {
        let server = Server::start(move |_, body, stream| {
            let prompt = body["prompt"].as_str().unwrap();
            let text = prompt.strip_prefix("<|end|>").unwrap();
            let form = Form {
                before: Some(shown),
                ..PLAIN
            };
            let mut body = body.clone();
            body["prompt"] = text.into();
            send(stream, "200 OK", "", &echo(form, &body).to_string());
        });
        let endpoint = endpoint(&server).beginning("<|end|>");
        assert_eq!(endpoint.rolling(&texts).unwrap(), scores, "{shown}");
    }
}

#[test]
fn a_written_token_that_is_not_shown_is_not_missed() {
    // A service that counts the end of the text, and does not list it.
    for written in [json!(1), json!(0), Value::Null] {
        let server = Server::start(move |_, body, stream| {
            let mut response = echo(PLAIN, body);
            for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
                let list = &mut response["choices"][0]["logprobs"][name];
                list.as_array_mut().unwrap().pop();
            }
            response["usage"]["completion_tokens"] = written.clone();
            send(stream, "200 OK", "", &response.to_string());
        });
        let found = endpoint(&server).score(&[Continuation::new("One", " two")]);
        assert_eq!(found.unwrap(), [expected("One", " two")]);
    }
}

/// What a service does to the choice of a good response.
type Change = fn(&mut Value);

#[test]
fn what_cannot_be_scored_is_refused_with_what_to_do() {
    let chat = Conversation::prompt("Why?");
    for (request, part) in [
        (Continuation::new(chat, "So."), "in plain text"),
        (Continuation::new("Why?", ""), "has no text"),
    ] {
        let server = echoing(PLAIN);
        let error = endpoint(&server).score(&[request]).unwrap_err().to_string();
        assert!(error.contains(part) && server.count() == 0, "{error}");
    }
    let changes: [(Change, &str); 12] = [
        (|choice| choice["logprobs"] = Value::Null, "generate_until"),
        (
            |choice| drop(choice.as_object_mut().unwrap().remove("logprobs")),
            "generate_until",
        ),
        // What llama.cpp's server says.
        (
            |choice| choice["logprobs"] = json!({"content": [{"token": " end", "logprob": -0.5}]}),
            "missing field `tokens`",
        ),
        // Not repeated: what was written alone.
        (
            |choice| {
                let one = json!({"tokens": [" end"], "token_logprobs": [-0.5], "top_logprobs": [{" end": -0.5}]});
                choice["logprobs"] = one;
            },
            "not those of the text",
        ),
        (
            |choice| choice["logprobs"]["tokens"][1] = json!("another"),
            "not those of the text",
        ),
        (
            |choice| choice["logprobs"]["token_logprobs"] = json!([-0.5]),
            "found 1 log-probabilities of 3 tokens",
        ),
        (
            |choice| choice["logprobs"]["token_logprobs"][1] = Value::Null,
            "token 1, \" two\", has no log-probability",
        ),
        (
            |choice| choice["logprobs"]["token_logprobs"][1] = json!(0.25),
            "not above 0",
        ),
        (
            |choice| choice["logprobs"]["token_logprobs"][1] = json!("-1"),
            "expected f64",
        ),
        (
            |choice| choice["logprobs"]["top_logprobs"] = Value::Null,
            "top_logprobs",
        ),
        (
            |choice| choice["logprobs"]["top_logprobs"][1] = json!({}),
            "top_logprobs",
        ),
        (
            |choice| choice["logprobs"]["tokens"] = json!([]),
            "found 3 log-probabilities of 0 tokens",
        ),
    ];
    for (change, part) in changes {
        let server = Server::start(move |_, body, stream| {
            let mut response = echo(PLAIN, body);
            change(&mut response["choices"][0]);
            send(stream, "200 OK", "", &response.to_string());
        });
        let asked = [Continuation::new("One", " two")];
        let error = endpoint(&server).score(&asked).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(
            error.contains("\"mock\"") && error.contains("/v1/completions"),
            "{error}"
        );
        // The same would come again.
        assert_eq!(server.count(), 1);
    }
}

/// The body of a continuation of a text.
fn continued(text: &str, finish: &str) -> String {
    let choice = json!({"text": text, "finish_reason": finish});
    json!({"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 3}}).to_string()
}

#[test]
fn prompts_are_answered_and_cut_at_every_stop_text() {
    let server = Server::start(|_, body, stream| {
        let chat = body.get("messages").is_some();
        let text = if chat { "Four.\nQ: five" } else { " 4 S6 S1" };
        let answer = if chat { completion } else { continued };
        send(stream, "200 OK", "", &answer(text, "length"));
    });
    let chat = Conversation::new(vec![
        Turn::new(Role::System, "Be short."),
        Turn::new(Role::User, "2 + 2?"),
    ]);
    let stops = ["S1", "S2", "", "S3", "S4", "S5", "S6"];
    let text = stops
        .into_iter()
        .fold(Prompt::new("2 + 2 =", 7), Prompt::stop);
    let prompts = [text, Prompt::new(chat, 9).stop("\nQ:"), Prompt::new("1", 2)];
    let endpoint = endpoint(&server)
        .with("seed", Value::Null)
        .with("top_p", 1.0);
    let found = endpoint.generate(&prompts).unwrap();
    let texts: Vec<(&str, Finish)> = found
        .iter()
        .map(|found| (found.text.as_str(), found.finished))
        .collect();
    assert_eq!(
        texts,
        [
            (" 4 ", Finish::Stop),
            ("Four.", Finish::Stop),
            (" 4 S6 S1", Finish::Length)
        ]
    );
    assert_eq!((found[0].tokens, found[1].tokens), (3, 10));
    let asked = server.asked.lock().unwrap();
    assert!(asked[0].0.starts_with("POST /v1/completions "));
    assert_eq!(
        asked[0].1,
        json!({"model": "mock", "temperature": 0, "prompt": "2 + 2 =", "max_tokens": 7,
               "stop": ["S1", "S2", "S3", "S4"], "top_p": 1.0})
    );
    assert!(asked[1].0.starts_with("POST /v1/chat/completions "));
    assert_eq!(
        asked[1].1["messages"],
        json!([{"role": "system", "content": "Be short."}, {"role": "user", "content": "2 + 2?"}])
    );
    assert!(asked[2].1.get("stop").is_none());
}

#[test]
fn an_answer_that_has_begun_is_continued_only_where_that_is_known() {
    let server = Server::start(|_, _, stream| {
        send(stream, "200 OK", "", &completion(" four", "stop"));
    });
    let begun = Prompt::new(
        Context::Begun {
            conversation: Conversation::prompt("2 + 2?"),
            answer: "It is".into(),
        },
        5,
    );
    let asked = [begun];
    let error = endpoint(&server).generate(&asked).unwrap_err().to_string();
    assert!(
        error.contains("Endpoint::continues") && server.count() == 0,
        "{error}"
    );
    let found = endpoint(&server).continues(true).generate(&asked).unwrap();
    assert_eq!(
        (found[0].text.as_str(), found[0].finished),
        (" four", Finish::Stop)
    );
    let asked = server.asked.lock().unwrap();
    let body = &asked[0].1;
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "It is"})
    );
    assert_eq!(
        (
            &body["continue_final_message"],
            &body["add_generation_prompt"]
        ),
        (&json!(true), &json!(false))
    );
    assert_eq!(body["seed"], 1234);
}

#[test]
fn turns_with_tools_are_refused() {
    let server = echoing(PLAIN);
    let tools = Conversation::prompt("a").with_tools([json!({"type": "function"})]);
    let call = Turn::new(Role::Assistant, "").calling([ToolCall::new("f", json!({}))]);
    let thought = Turn::new(Role::Assistant, "a").thinking("b");
    for chat in [
        tools,
        Conversation::new(vec![call]),
        Conversation::new(vec![thought]),
    ] {
        let found = endpoint(&server).generate(&[Prompt::new(chat, 5)]);
        let error = found.unwrap_err().to_string();
        assert!(
            error.contains("plain turns") && server.count() == 0,
            "{error}"
        );
    }
}

/// What a service does to the first request; the second gets an answer. A prompt and a score are asked for.
fn recovers(fail: impl Fn(&mut TcpStream) + Clone + Send + Sync + 'static) -> Duration {
    let begun = Instant::now();
    let again = fail.clone();
    let server = Server::start(move |number, body, stream| match number {
        0 => fail(stream),
        _ => send(stream, "200 OK", "", &echo(PLAIN, body).to_string()),
    });
    let found = endpoint(&server).score(&[Continuation::new("One", " two")]);
    assert_eq!(
        (found.unwrap(), server.count()),
        (vec![expected("One", " two")], 2)
    );
    let server = Server::start(move |number, _, stream| match number {
        0 => again(stream),
        _ => send(stream, "200 OK", "", &continued(" two", "stop")),
    });
    let found = endpoint(&server)
        .generate(&[Prompt::new("One", 3)])
        .unwrap();
    assert_eq!((found[0].text.as_str(), server.count()), (" two", 2));
    begun.elapsed()
}

#[test]
fn failures_that_pass_are_asked_again() {
    let took = recovers(|stream| {
        send(stream, "429 Too Many Requests", "retry-after: 1\r\n", "");
    });
    assert!(took >= Duration::from_secs(2), "{took:?}");
    recovers(|stream| send(stream, "500 Internal Server Error", "", "oops"));
    recovers(|stream| send(stream, "200 OK", "", "{\"choices\": [{"));
    recovers(|stream| send(stream, "200 OK", "", "{\"choices\": []}"));
    recovers(|stream| send(stream, "200 OK", "", "{\"choices\": [{\"logprobs\": NaN}]}"));
    recovers(|stream| {
        send(
            stream,
            "200 OK",
            "",
            "{\"error\": {\"message\": \"overloaded\"}}",
        );
    });
    recovers(|stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"cho"));
    });
    recovers(|_| std::thread::sleep(Duration::from_millis(1_500)));
}

#[test]
fn failures_that_stay_are_told_and_never_scored() {
    let key = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let long = "{\"error\": {\"message\": \"the prompt is too long\"}}";
    let secret = format!("{{\"error\": {{\"message\": \"bad key {key}\"}}}}");
    let filtered = continued("", "content_filter");
    for (status, body, part, tries) in [
        (
            "401 Unauthorized",
            secret.as_str(),
            "status 401: bad key [key]",
            1,
        ),
        ("400 Bad Request", long, "the prompt is too long", 1),
        ("404 Not Found", "no such model", "no such model", 1),
        ("500 Internal Server Error", "", "status 500:  (try 3)", 3),
        (
            "429 Too Many Requests",
            "slow",
            "status 429: slow (try 3)",
            3,
        ),
        ("200 OK", "{}", "found no choices", 3),
        ("200 OK", "<html>", "expected JSON", 3),
    ] {
        let reply = body.to_owned();
        let server = Server::start(move |_, _, stream| send(stream, status, "", &reply));
        let service = Service::new(&server.base)
            .key_from("CARGO_MANIFEST_DIR")
            .unwrap();
        let retry = Retry {
            tries: 3,
            first: Duration::from_millis(2),
            ..Retry::default()
        };
        let endpoint = Endpoint::new(service, "mock").retry(retry);
        for kind in 1..=2 {
            let error = if kind == 1 {
                endpoint
                    .score(&[Continuation::new("One", " two")])
                    .unwrap_err()
            } else {
                endpoint.generate(&[Prompt::new("One", 3)]).unwrap_err()
            };
            let told = error.to_string();
            assert!(told.contains(part) && told.contains("One"), "{told}");
            assert!(!format!("{error:?}{told}").contains(&key), "{told}");
            assert_eq!(server.count(), tries * kind, "{told}");
        }
    }
    let server = Server::start(move |_, _, stream| send(stream, "200 OK", "", &filtered));
    let error = endpoint(&server).generate(&[Prompt::new("One", 3)]);
    assert!(error.unwrap_err().to_string().contains("filter"));
    let server = Server::start(|_, _, _| std::thread::sleep(Duration::from_secs(2)));
    let error = endpoint(&server).score(&[Continuation::new("One", " two")]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no answer in 0.7 s (try 3)"), "{error}");
}

#[test]
fn answers_and_errors_are_the_same_for_any_number_of_requests_at_once() {
    let texts: Vec<String> = (0..12).map(|number| format!(" number {number}")).collect();
    let asked: Vec<_> = texts
        .iter()
        .map(|text| Continuation::new("One", text.as_str()))
        .collect();
    let (now, most) = (
        AtomicUsize::new(0),
        std::sync::Arc::new(AtomicUsize::new(0)),
    );
    let seen = most.clone();
    let server = Server::start(move |number, body, stream| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20 + 7 * (number as u64 % 4)));
        now.fetch_sub(1, Ordering::SeqCst);
        send(stream, "200 OK", "", &echo(PLAIN, body).to_string());
    });
    let expected: Vec<_> = texts.iter().map(|text| expected("One", text)).collect();
    for requests in [1, 4, 40] {
        let endpoint = endpoint(&server).concurrency(requests);
        assert_eq!(endpoint.score(&asked).unwrap(), expected);
        let once = most.swap(0, Ordering::SeqCst);
        assert!(once <= requests && (once > 1 || requests == 1), "{once}");
    }
    assert_eq!(endpoint(&server).score(&[]).unwrap(), []);
    // The third fails late, the fifth at once.
    let server = Server::start(|_, body, stream| {
        let prompt = body["prompt"].as_str().unwrap();
        if prompt.ends_with('2') {
            std::thread::sleep(Duration::from_millis(200));
        }
        if prompt.ends_with(['2', '4']) {
            return send(stream, "400 Bad Request", "", "no");
        }
        send(stream, "200 OK", "", &echo(PLAIN, body).to_string());
    });
    for requests in [1, 3, 40] {
        let error = endpoint(&server)
            .concurrency(requests)
            .score(&asked)
            .unwrap_err();
        assert!(error.to_string().contains("One number 2\""), "{error}");
    }
}

#[test]
fn answers_are_kept_by_address_model_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let server = echoing(PLAIN);
    let asked = [Continuation::new("One", " two")];
    let ask = |endpoint: Endpoint| {
        let identity = endpoint.identity();
        let cached = Cached::open(endpoint, identity, folder.path()).unwrap();
        cached.score(&asked).unwrap();
        server.count()
    };
    assert_eq!(ask(endpoint(&server)), 1);
    assert_eq!(ask(endpoint(&server).concurrency(4)), 1);
    assert_eq!(ask(endpoint(&server).seed(5)), 2);
    assert_eq!(ask(endpoint(&server).with("top_p", 0.5)), 3);
    let service = Service::new(&server.base);
    assert_eq!(ask(Endpoint::new(service, "another")), 4);
}
