//! Pages and sitemaps over HTTP(S), for data that lies on the web.
//!
//! A [`Fetch`] asks public addresses only, checked at every redirect and connected to as checked; it follows
//! `robots.txt`, pauses between two requests to a host, and keeps limits on bytes, time and redirects. It uses no proxy,
//! which would look up hosts where nothing is checked. What a page means is left to the loaders of its format.

mod address;
mod page;
mod polite;
mod robots;
mod sitemap;

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::HeaderMap;
use ureq::unversioned::transport::DefaultConnector;
use url::Url;

pub use page::Page;
pub use sitemap::{Location, Sitemap};

use crate::document::{Document, Documents};
use crate::error::{DataError, Result, escaped, quoted};
use crate::http::{self, USER_AGENT, network, reason, shown, words};
use address::{PublicOnly, Special};
use robots::Robots;

/// How pages are fetched: politely, within limits, and from public addresses only.
///
/// ```no_run
/// use finetune_data::net::Fetch;
///
/// # fn main() -> finetune_data::Result<()> {
/// let fetch = Fetch::new().bytes(1 << 20);
/// let sitemap = fetch.sitemap("https://example.org/sitemap.xml")?;
/// let urls: Vec<String> = sitemap.pages.into_iter().map(|page| page.url).collect();
/// for document in fetch.documents(urls) {
///     println!("{}", document?.text);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Fetch {
    bytes: u64,
    time: Duration,
    redirects: usize,
    pages: usize,
    ports: Vec<u16>,
    allow_private: bool,
    delay: Duration,
    user_agent: String,
    agent: OnceLock<Agent>,
    robots: Mutex<HashMap<String, Arc<Robots>>>,
    /// When each host may be asked next.
    next: Mutex<HashMap<String, Instant>>,
}

impl Default for Fetch {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetch {
    /// 16 MiB and 30 seconds a page, 5 redirects, 50,000 pages a sitemap, the ports 80 and 443, a second between two
    /// requests to a host.
    pub fn new() -> Self {
        Self {
            bytes: 16 << 20,
            time: Duration::from_secs(30),
            redirects: 5,
            pages: 50_000,
            ports: vec![80, 443],
            allow_private: false,
            delay: Duration::from_secs(1),
            user_agent: USER_AGENT.to_owned(),
            agent: OnceLock::new(),
            robots: Mutex::default(),
            next: Mutex::default(),
        }
    }

    /// The most bytes of a page, or of a file of a sitemap, after unpacking.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The most time for a page, over all redirects and up to its last byte. Pauses and `robots.txt` count apart.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The most redirects.
    pub fn redirects(mut self, redirects: usize) -> Self {
        self.redirects = redirects;
        self
    }

    /// The most pages of a sitemap.
    pub fn pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    /// The ports that may be asked.
    pub fn ports(mut self, ports: &[u16]) -> Self {
        self.ports = ports.to_vec();
        self
    }

    /// Whether addresses that are not public may be asked: this machine's, those of the local network. For tests, and
    /// for the reader's own servers; never for addresses that others wrote.
    pub fn allow_private(mut self, allow: bool) -> Self {
        self.allow_private = allow;
        self.agent = OnceLock::new();
        self
    }

    /// The pause between two requests to a host. A longer one that its `robots.txt` asks for is kept too, up to a
    /// minute.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The name that servers see, such as `name/1.0 (+https://example.org/contact)`. Up to the `/`, it is also the
    /// name that is looked for in `robots.txt`.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// Gets a page.
    ///
    /// # Errors
    ///
    /// If it is no public HTTP address, the site's `robots.txt` excludes it, a limit is reached, or there is no
    /// answer, or none with a status of success.
    pub fn page(&self, url: &str) -> Result<Page> {
        self.get(&address(url)?)
    }

    /// Reads a sitemap: a list of pages, or an index of such lists, packed with gzip or not.
    ///
    /// # Errors
    ///
    /// As [`Fetch::page`] for each of its files; also if one is no sitemap, or there are too many pages (see
    /// [`Fetch::pages`]), more than 1000 files, or more than 3 levels of them.
    pub fn sitemap(&self, url: &str) -> Result<Sitemap> {
        sitemap::Walk::new(self).run(&address(url)?)
    }

    /// The documents of pages, fetched one after the other while they are asked for. A page that cannot be got is an
    /// error in its place, and the next one follows.
    pub fn documents(
        self,
        urls: impl IntoIterator<Item = String, IntoIter: Send + 'static>,
    ) -> Documents {
        let document = move |url: String| -> Result<Document> { self.page(&url)?.document() };
        Box::new(urls.into_iter().map(document))
    }

    /// Gets a page, and asks `robots.txt` at every hop.
    fn get(&self, url: &Url) -> Result<Page> {
        let (url, answer) = self.follow(url, self.bytes, |target| self.obey(target))?;
        if !answer.status.is_success() {
            let message = format!("found status {}; expected 200", answer.status.as_u16());
            return Err(network(&url, Some(answer.status), message));
        }
        if answer.bytes.len() as u64 > self.bytes {
            return Err(page::too_long(&url, answer.bytes.len() as u64, self.bytes));
        }
        Ok(Page::new(&url, &answer.headers, answer.bytes))
    }

    /// Follows redirects to the first answer that is none, of which one byte more than `limit` is read at most.
    /// `permit` decides on every hop.
    fn follow(
        &self,
        url: &Url,
        limit: u64,
        permit: impl Fn(&Url) -> Result<()>,
    ) -> Result<(Url, Answer)> {
        let mut target = url.clone();
        let mut left = self.time;
        for _ in 0..=self.redirects {
            self.admit(&target)?;
            permit(&target)?;
            self.wait(&target);
            let start = Instant::now();
            let answer = self.send(&target, left, limit)?;
            left = left.saturating_sub(start.elapsed());
            match http::redirect(&target, answer.status, &answer.headers)? {
                Some(next) => target = next,
                None => return Ok((target, answer)),
            }
        }
        let message = format!("more than {} redirects; expected a page", self.redirects);
        Err(network(url, None, message))
    }

    /// What can be said of an address before its host is looked up.
    fn admit(&self, url: &Url) -> Result<()> {
        let refuse = |reason: String| {
            Err(DataError::Refused {
                url: shown(url),
                reason,
            })
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse(format!(
                "found {}; expected http or https",
                quoted(url.scheme())
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the address holds a user or a password; expected none".to_owned());
        }
        match url.port_or_known_default() {
            Some(port) if self.ports.contains(&port) => Ok(()),
            port => {
                let port = port.unwrap_or_default();
                refuse(format!(
                    "found the port {port}; expected one of {:?}. Allow it with `ports`",
                    self.ports
                ))
            }
        }
    }

    /// One request, without redirects.
    fn send(&self, url: &Url, left: Duration, limit: u64) -> Result<Answer> {
        if left.is_zero() {
            return Err(network(
                url,
                None,
                format!("no answer within {:?}", self.time),
            ));
        }
        let agent = self.agent.get_or_init(|| self.connect());
        let response = agent
            .get(url.as_str())
            .header("user-agent", &self.user_agent)
            .config()
            .timeout_global(Some(left))
            .build()
            .call()
            .map_err(|error| failed(url, &error))?;
        let (parts, body) = response.into_parts();
        let mut bytes = Vec::new();
        // A redirect's body is read by nobody.
        if !parts.status.is_redirection() {
            let mut body = body.into_reader().take(limit.saturating_add(1));
            body.read_to_end(&mut bytes)
                .map_err(|error| network(url, None, reason(&error)))?;
        }
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        })
    }

    /// Without a proxy: it would look up hosts by itself, where nothing is checked.
    fn connect(&self) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        if self.allow_private {
            config.into()
        } else {
            Agent::with_parts(config, DefaultConnector::default(), PublicOnly::default())
        }
    }
}

/// An answer with its unpacked body.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

/// An address as it was written.
fn address(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|error| DataError::Refused {
        url: escaped(url),
        reason: format!("it is no address: {error}"),
    })
}

fn failed(url: &Url, error: &ureq::Error) -> DataError {
    if let ureq::Error::Other(other) = error
        && let Some(special) = other.downcast_ref::<Special>()
    {
        return DataError::Refused {
            url: shown(url),
            reason: format!("{special}; expected a public one"),
        };
    }
    network(url, None, words(error))
}
