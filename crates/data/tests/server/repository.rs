//! A repository of the hub, served as the hub serves it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use finetune_data::hub::Hub;
use serde_json::json;
use sha1::Digest as _;

use super::{Reply, Request, Server};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository with its files; those past 100 bytes are large ones.
#[derive(Clone, Default)]
pub(crate) struct Repo {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) page: usize,
}

impl Repo {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let files = files
            .iter()
            .map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec()));
        Self {
            files: files.collect(),
            page: 1000,
        }
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let target = request.target.replace("%20", " ").replace("%C3%A9", "é");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.strip_prefix("/api").unwrap_or(path);
        let path = path
            .strip_prefix("/datasets")
            .or_else(|| path.strip_prefix("/models"))
            .unwrap_or(path);
        let Some(rest) = path.strip_prefix("/owner/name/") else {
            return Reply::new(404, "").with("x-error-code", "RepoNotFound");
        };
        match rest.split_once('/') {
            Some(("revision", "main" | "v1" | "refs%2Fpr%2F1")) => {
                Reply::ok(json!({ "sha": COMMIT }).to_string())
            }
            Some(("revision", _)) => Reply::new(404, "").with("x-error-code", "RevisionNotFound"),
            Some(("tree", COMMIT)) => self.tree(query),
            Some(("resolve", rest)) => match rest
                .strip_prefix(COMMIT)
                .and_then(|rest| self.files.get(&rest[1..]))
            {
                Some(bytes) => Reply::ok(bytes.clone())
                    .with("x-repo-commit", COMMIT)
                    .with("etag", &format!("\"{}\"", checksum(bytes)))
                    .ranged(request),
                None => Reply::new(404, "").with("x-error-code", "EntryNotFound"),
            },
            _ => Reply::new(404, ""),
        }
    }

    fn tree(&self, query: &str) -> Reply {
        let cursor = query
            .split('&')
            .find_map(|part| part.strip_prefix("cursor="));
        let start: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let node = |(path, bytes): (&String, &Vec<u8>)| {
            let (size, sum) = (bytes.len(), checksum(bytes));
            if is_large(bytes) {
                json!({"type": "file", "oid": "f".repeat(40), "size": size, "path": path,
                    "lfs": {"oid": sum, "size": size, "pointerSize": 130}})
            } else {
                json!({"type": "file", "oid": sum, "size": size, "path": path})
            }
        };
        let mut nodes: Vec<_> = self
            .files
            .iter()
            .skip(start)
            .take(self.page)
            .map(node)
            .collect();
        nodes
            .push(json!({"type": "directory", "oid": "a", "size": 0, "path": format!("d{start}")}));
        let reply = Reply::ok(json!(nodes).to_string());
        let next = start + self.page;
        if next >= self.files.len() {
            return reply;
        }
        let link = format!(
            "</api/datasets/owner/name/tree/{COMMIT}?recursive=true&cursor={next}>; rel=\"next\""
        );
        reply.with("link", &link)
    }

    pub(crate) fn serve(self) -> Server {
        Server::start(move |request| self.answer(request))
    }
}

fn is_large(bytes: &[u8]) -> bool {
    bytes.len() > 100
}

pub(crate) fn checksum(bytes: &[u8]) -> String {
    let digits = |bytes: &[u8]| -> String {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    };
    if is_large(bytes) {
        digits(&sha2::Sha256::digest(bytes))
    } else {
        let mut sum = sha1::Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
        sum.update(bytes);
        digits(&sum.finalize())
    }
}

pub(crate) fn hub(server: &Server, cache: &Path) -> Hub {
    Hub::new(&server.url(), cache)
        .unwrap()
        .pause(Duration::from_millis(1))
        .timeout(Duration::from_secs(5))
}
