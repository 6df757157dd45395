//! Requests to the hub: redirects, the token, repeated attempts, and what a refusal means.

use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::header::HeaderMap;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};
use url::{Host, Url};

use super::Hub;
use super::name::{HubName, Kind};
use crate::error::{DataError, Result, escaped, quoted};
use crate::http::{self, USER_AGENT, network, reason, shown, text, words};

/// The largest answer that is read into memory, in bytes.
const JSON_LIMIT: u64 = 64 << 20;
/// The whole of such an answer may take this many times as long as a single wait.
const JSON_WAITS: u32 = 10;
const REDIRECTS: usize = 10;
/// The longest pause between two attempts, and the longest that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// After this many new bytes a download counts as going on, and its attempts are counted anew.
const PROGRESS: u64 = 1 << 20;

/// A hub and the connections to it.
pub(super) struct Client<'a> {
    hub: &'a Hub,
    agent: Agent,
}

/// An answer, after redirects.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The headers of the answer itself.
    pub(super) headers: HeaderMap,
    /// The headers of the hub's own answer, which may have been a redirect to a server of content.
    pub(super) home: HeaderMap,
    pub(super) body: Body,
}

/// Why an attempt failed.
pub(super) enum Failure {
    /// Another attempt would fail as well.
    Final(DataError),
    /// Another attempt may succeed.
    Passing {
        error: DataError,
        /// How long the server asks to wait.
        wait: Option<Duration>,
        /// How many new bytes have come.
        moved: u64,
    },
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Final(error)
    }
}

impl Failure {
    pub(super) fn passing(error: DataError) -> Self {
        Self::Passing {
            error,
            wait: None,
            moved: 0,
        }
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(hub: &'a Hub) -> Self {
        let timeout = Some(hub.timeout);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .timeout_connect(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .timeout_per_write(timeout);
        if is_this_machine(&hub.endpoint) {
            // A proxy would look for the server on its own machine.
            config = config.proxy(None);
        }
        Self {
            hub,
            agent: config.build().into(),
        }
    }

    /// The address of something of a repository: the segments before its name and after it.
    pub(super) fn url(&self, before: &[&str], name: &HubName, after: &[&str]) -> Url {
        let mut url = self.hub.endpoint.clone();
        url.path_segments_mut()
            .expect("an http address has a path")
            .pop_if_empty()
            .extend(before)
            .extend(name.id().split('/'))
            .extend(after);
        url
    }

    /// The address of a file's content.
    pub(super) fn file(&self, name: &HubName, commit: &str, path: &str) -> Url {
        let before: &[&str] = match name.kind() {
            Kind::Dataset => &["datasets"],
            Kind::Model => &[],
        };
        let mut after = vec!["resolve", commit];
        after.extend(path.split('/'));
        self.url(before, name, &after)
    }

    /// Whether an address lies at the hub itself.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.hub.endpoint.origin()
    }

    /// Asks for a value, and gives it with the headers of its answer.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        name: &HubName,
        url: &Url,
    ) -> Result<(T, HeaderMap)> {
        self.persist(|| {
            let answer = self.open(name, url, 0, Some(self.hub.timeout * JSON_WAITS))?;
            let body = answer.body.into_with_config().limit(JSON_LIMIT);
            let bytes = body.read_to_vec();
            let bytes = bytes.map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(limit) => {
                    let message = format!("the answer is too long, limit {limit} bytes");
                    Failure::Final(network(url, None, message))
                }
                error => Failure::passing(network(url, None, words(&error))),
            })?;
            let value = serde_json::from_slice(&bytes).map_err(|error| {
                let message = format!(
                    "found an answer that is not the hub's: {}",
                    escaped(&error.to_string())
                );
                Failure::Final(network(url, None, message))
            })?;
            Ok((value, answer.headers))
        })
    }

    /// One attempt to get something, from a byte on, and within a time for each hop with its body. Its status is a
    /// success.
    pub(super) fn open(
        &self,
        name: &HubName,
        url: &Url,
        from: u64,
        whole: Option<Duration>,
    ) -> Result<Answer, Failure> {
        let mut target = url.clone();
        let mut home = HeaderMap::new();
        for _ in 0..=REDIRECTS {
            let response = self.send(&target, from, whole)?;
            if self.is_home(&target) {
                home = response.headers().clone();
            }
            match http::redirect(&target, response.status(), response.headers())? {
                Some(next) => target = next,
                None if response.status().is_success() => {
                    let (parts, body) = response.into_parts();
                    return Ok(Answer {
                        status: parts.status,
                        headers: parts.headers,
                        home,
                        body,
                    });
                }
                None => return Err(self.refusal(name, &target, &response)),
            }
        }
        let message = format!("more than {REDIRECTS} redirects; expected an answer");
        Err(network(url, None, message).into())
    }

    /// Repeats an attempt while it fails in a passing way.
    pub(super) fn persist<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        let mut failed = 0;
        loop {
            let (error, wait, moved) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { error, wait, moved }) => (error, wait, moved),
            };
            failed = if moved >= PROGRESS { 1 } else { failed + 1 };
            if failed >= self.hub.attempts {
                return Err(error);
            }
            let pause = self.hub.pause.saturating_mul(1 << (failed - 1).min(16));
            let wait = wait.map_or(Duration::ZERO, |wait| wait.min(LONGEST_WAIT));
            std::thread::sleep(pause.min(LONGEST_PAUSE).max(wait));
        }
    }

    /// One request, without redirects. The token goes to the hub and to nobody else.
    fn send(
        &self,
        url: &Url,
        from: u64,
        whole: Option<Duration>,
    ) -> Result<Response<Body>, Failure> {
        // Content that was packed on the way could not be resumed.
        let mut request = self
            .agent
            .get(url.as_str())
            .header("accept-encoding", "identity");
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        if let Some(token) = &self.hub.token
            && self.is_home(url)
        {
            request = request.header("authorization", token.header());
        }
        let request = request.config().timeout_global(whole).build();
        request.call().map_err(|error| {
            let hint = "Check the network, or set HF_HUB_OFFLINE=1 to use what is in the cache";
            let found = network(url, None, format!("{}. {hint}", words(&error)));
            match error {
                ureq::Error::Io(_)
                | ureq::Error::Timeout(_)
                | ureq::Error::HostNotFound
                | ureq::Error::ConnectionFailed
                | ureq::Error::Protocol(_) => Failure::passing(found),
                _ => Failure::Final(found),
            }
        })
    }

    /// What a status that is no success means for the user.
    fn refusal(&self, name: &HubName, url: &Url, response: &Response<Body>) -> Failure {
        let status = response.status();
        let code = text(response.headers(), "x-error-code").unwrap_or_default();
        let error = network(url, Some(status), self.meaning(name, status, code));
        let passing = status.is_server_error()
            || matches!(status.as_u16(), 408 | 429)
            // The signature of an address of content runs out; the hub makes a new one.
            || (!self.is_home(url) && status == StatusCode::FORBIDDEN)
            || status == StatusCode::RANGE_NOT_SATISFIABLE;
        if !passing {
            return error.into();
        }
        let seconds = text(response.headers(), "retry-after").and_then(|value| value.parse().ok());
        Failure::Passing {
            error,
            wait: seconds.map(Duration::from_secs),
            moved: 0,
        }
    }

    fn meaning(&self, name: &HubName, status: StatusCode, code: &str) -> String {
        let page = match name.kind() {
            Kind::Dataset => self.url(&["datasets"], name, &[]),
            Kind::Model => self.url(&[], name, &[]),
        };
        let page = shown(&page);
        let token = self.hub.token.is_some();
        match (status.as_u16(), code) {
            (401 | 403, "GatedRepo") if token => {
                format!("{name} is gated, and the token may not read it: ask for access at {page}")
            }
            (401 | 403, "GatedRepo") => {
                format!("{name} is gated: ask for access at {page}, then set HF_TOKEN")
            }
            (401, _) if token => {
                format!(
                    "there is no {name}, or the token may not read it. Check the name and HF_TOKEN"
                )
            }
            (401, _) => {
                format!("there is no {name}, or it is private. Check the name, or set HF_TOKEN")
            }
            (403, _) => {
                format!("{name} may not be read: ask for access at {page}, and check HF_TOKEN")
            }
            (404, "RevisionNotFound") => {
                let revision = quoted(name.revision());
                format!(
                    "{name} has no revision {revision}. Its branches and tags: {page}/tree/main"
                )
            }
            (404, _) => {
                format!("there is no {name}, or it lacks this file. Check the name at {page}")
            }
            (429, _) => "too many requests. Wait, or set HF_TOKEN".to_owned(),
            (number, _) => format!("found status {number}; expected 200. Try again later"),
        }
    }
}

/// The error of a body that broke off.
pub(super) fn broken(url: &Url, error: &std::io::Error) -> DataError {
    network(
        url,
        None,
        format!("{}. Run again: the download goes on", reason(error)),
    )
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
