//! What the hub and pages share of HTTP: where a redirect leads, and words for what went wrong.
//!
//! Redirects are followed here and not by the client library, because every hop decides anew whether it may be asked
//! and whether it gets the token.

use std::io;

use ureq::http::StatusCode;
use ureq::http::header::{HeaderMap, LOCATION};
use url::Url;

use crate::error::{DataError, escaped, quoted};

/// The name of this client for servers.
pub(crate) const USER_AGENT: &str = concat!("finetune/", env!("CARGO_PKG_VERSION"));

/// An address for a message: without user, password, query and fragment, where secrets stand.
pub(crate) fn shown(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // Both fail only for addresses that cannot have a user.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    escaped(bare.as_str())
}

/// Where an answer sends its reader, or `None` if it is no redirect.
pub(crate) fn redirect(
    from: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Url>, DataError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = text(headers, LOCATION.as_str());
    let target = location.and_then(|location| from.join(location).ok());
    let Some(target) = target else {
        let found = location.map_or_else(|| "none".to_owned(), quoted);
        let message = format!("the redirect leads to {found}; expected an address");
        return Err(network(from, Some(status), message));
    };
    if from.scheme() == "https" && target.scheme() != "https" {
        return Err(DataError::Refused {
            url: shown(&target),
            reason: format!(
                "{} redirects from https to {}; expected https",
                shown(from),
                escaped(target.scheme())
            ),
        });
    }
    Ok(Some(target))
}

/// A header's value, if it is there and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An error about an address.
pub(crate) fn network(url: &Url, status: Option<StatusCode>, message: String) -> DataError {
    DataError::Network {
        url: shown(url),
        status: status.map(|status| status.as_u16()),
        message,
    }
}

/// What the client library says, in a few words and without what it quotes of the request.
pub(crate) fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(which) => format!("no answer in time ({which})"),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Io(error) => reason(error),
        error => escaped(&error.to_string()),
    }
}

/// What went wrong while a body was read.
pub(crate) fn reason(error: &io::Error) -> String {
    if let Some(inner) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ureq::Error>())
    {
        return words(inner);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed the connection too early".to_owned(),
        _ => escaped(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let url = Url::parse("https://user:word@cdn.test/a%20b?signature=s3cret#x").unwrap();
        assert_eq!(shown(&url), "https://cdn.test/a%20b");
    }

    #[test]
    fn redirects_are_resolved_and_never_leave_https() {
        let from = Url::parse("https://a.test/x/y?z").unwrap();
        let to = |status: u16, location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            redirect(&from, StatusCode::from_u16(status).unwrap(), &headers)
        };
        let cases = [
            (302, "/q", Ok(Some("https://a.test/q"))),
            (307, "q?r=1", Ok(Some("https://a.test/x/q?r=1"))),
            (301, "//b.test/", Ok(Some("https://b.test/"))),
            (200, "/q", Ok(None)),
            (304, "/q", Ok(None)),
            (302, "http://a.test/q", Err("refused")),
            (302, "file:///etc/passwd", Err("refused")),
            (302, "https://[", Err("network")),
        ];
        for (status, location, expected) in cases {
            let found = to(status, location);
            let found = found.as_ref().map(|url| url.as_ref().map(Url::as_str));
            assert_eq!(
                found.map_err(DataError::kind),
                expected,
                "{status} {location}"
            );
        }
    }
}
