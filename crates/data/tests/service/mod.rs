//! A service for tests that speaks `OpenAI`'s protocol for chats: each request goes to a function, which may answer as
//! badly as real services do.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Answers a request: writes to the stream whatever it likes.
type Reply = dyn Fn(usize, &Value, &mut TcpStream) + Send + Sync;

/// A server on this machine, with the bodies and heads of what it was asked.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    /// `reply` gets the number of the request, from 0, and its body.
    pub(crate) fn start(
        reply: impl Fn(usize, &Value, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1/", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let (seen, reply): (_, Arc<Reply>) = (asked.clone(), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, reply) = (seen.clone(), reply.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &seen, &*reply));
            }
        });
        Self { base, asked }
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<(String, Value)>>, reply: &Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push((head, body.clone()));
        seen.len() - 1
    };
    reply(number, &body, &mut stream);
}

/// Sends a whole response.
pub(crate) fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    // The client may have gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// The body of an answer, as the protocol has it.
pub(crate) fn completion(text: &str, finish: &str) -> String {
    let choice =
        json!({"message": {"role": "assistant", "content": text}, "finish_reason": finish});
    json!({"choices": [choice], "usage": {"prompt_tokens": 20, "completion_tokens": 10}})
        .to_string()
}
