//! What is owed to a site: its `robots.txt` is obeyed, and requests to a host keep their distance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ureq::http::StatusCode;
use url::Url;

use super::Fetch;
use super::robots::Robots;
use crate::error::{DataError, Result, quoted};
use crate::http::{network, shown};

/// How much of a `robots.txt` is read, in bytes: RFC 9309 asks for 500 KiB at least.
const ROBOTS_LIMIT: u64 = 512 << 10;

impl Fetch {
    /// Whether the site's `robots.txt` lets this page be fetched.
    pub(super) fn obey(&self, url: &Url) -> Result<()> {
        let robots = self.robots_of(url)?;
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path = format!("{path}?{query}");
        }
        if robots.allow(&path) {
            return Ok(());
        }
        Err(DataError::Refused {
            url: shown(url),
            reason: format!(
                "the site's robots.txt excludes it for {}",
                quoted(self.product())
            ),
        })
    }

    fn robots_of(&self, url: &Url) -> Result<Arc<Robots>> {
        let origin = url.origin().ascii_serialization();
        if let Some(known) = locked(&self.robots).get(&origin) {
            return Ok(Arc::clone(known));
        }
        let file = url
            .join("/robots.txt")
            .map_err(|_| network(url, None, "has no robots.txt".to_owned()))?;
        let unknown = |what: String| DataError::Refused {
            url: shown(url),
            reason: format!(
                "the site's robots.txt cannot be read, which excludes all pages: {what}"
            ),
        };
        let robots = match self.follow(&file, ROBOTS_LIMIT, |_| Ok(())) {
            Ok((_, answer)) if answer.status.is_success() => {
                Robots::parse(&String::from_utf8_lossy(&answer.bytes), self.product())
            }
            // There is none. 429 says nothing of what there is.
            Ok((_, answer))
                if answer.status.is_client_error()
                    && answer.status != StatusCode::TOO_MANY_REQUESTS =>
            {
                Robots::default()
            }
            Ok((_, answer)) => return Err(unknown(format!("status {}", answer.status.as_u16()))),
            Err(error @ DataError::Refused { .. }) => return Err(error),
            Err(error) => return Err(unknown(error.to_string())),
        };
        let robots = Arc::new(robots);
        locked(&self.robots).insert(origin, Arc::clone(&robots));
        Ok(robots)
    }

    /// The name that `robots.txt` uses: the first of the user agent's words, up to its version.
    fn product(&self) -> &str {
        let end = self
            .user_agent
            .find(|c: char| c == '/' || c.is_whitespace());
        &self.user_agent[..end.unwrap_or(self.user_agent.len())]
    }

    /// Waits for the host's turn.
    pub(super) fn wait(&self, url: &Url) {
        let asked = locked(&self.robots)
            .get(&url.origin().ascii_serialization())
            .and_then(|robots| robots.delay);
        let delay = self.delay.max(asked.unwrap_or_default());
        let host = url.host_str().unwrap_or_default().to_owned();
        let turn = {
            let mut next = locked(&self.next);
            let turn = next
                .get(&host)
                .copied()
                .unwrap_or_else(Instant::now)
                .max(Instant::now());
            next.insert(host, turn + delay);
            turn
        };
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}

/// The value behind a lock. Each is whole at any time, so a panic elsewhere has not broken it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
