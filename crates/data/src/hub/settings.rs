//! The settings of the hub's users: their environment, read in this one place.
//!
//! The names and their order are those of Python's `huggingface_hub`, so that one environment serves both.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::Hub;
use crate::error::{DataError, Place, Result};

const ENDPOINT: &str = "https://huggingface.co";
/// The longest token file in bytes.
const TOKEN_LIMIT: u64 = 64 << 10;

/// A secret. It has no way into a message.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// A token without the white space around it; `None` if nothing is left.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The header's value that shows it to the server.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    fn check(&self) -> Result<()> {
        if self.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(());
        }
        Err(DataError::Setting {
            name: "HF_TOKEN".to_owned(),
            found: "a token with white space or unusual characters (not shown)".to_owned(),
            expected: "one word, such as hf_…".to_owned(),
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The hub as the environment describes it: see [`Hub::from_env`].
pub(super) fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Hub> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
    let path = |name: &str| set(name).map(|value| expand(PathBuf::from(value), &set));
    let on = |name: &str| text(name).is_some_and(|value| is_true(&value));

    let home = path("HF_HOME").or_else(|| {
        let caches = path("XDG_CACHE_HOME").or_else(|| user(&set).map(|home| home.join(".cache")));
        caches.map(|caches| caches.join("huggingface"))
    });
    let cache = path("HF_HUB_CACHE").or_else(|| home.as_ref().map(|home| home.join("hub")));
    let cache = cache.ok_or_else(|| DataError::Setting {
        name: "HF_HOME".to_owned(),
        found: "no such variable, and no home folder".to_owned(),
        expected: "the folder of the cache".to_owned(),
    })?;
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    let mut hub = Hub::new(&endpoint, cache)?.offline(on("HF_HUB_OFFLINE"));
    if on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return Ok(hub);
    }
    hub.token = match text("HF_TOKEN").as_deref().and_then(Token::new) {
        Some(token) => Some(token),
        None => match path("HF_TOKEN_PATH").or_else(|| home.map(|home| home.join("token"))) {
            Some(file) => token_file(file)?,
            None => None,
        },
    };
    hub.token.iter().try_for_each(Token::check)?;
    Ok(hub)
}

/// The token that `hf auth login` has left, if it has.
fn token_file(file: PathBuf) -> Result<Option<Token>> {
    use std::io::Read as _;

    let mut text = String::new();
    let read = std::fs::File::open(&file)
        .and_then(|open| open.take(TOKEN_LIMIT).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Token::new(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataError::Io {
            place: Place::file(file),
            operation: "read the token from",
            source,
        }),
    }
}

fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

/// `~` at the front is the user's folder.
fn expand(path: PathBuf, set: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    match (path.strip_prefix("~"), user(set)) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// The user's folder.
fn user(set: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    set(home).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub> {
        let user = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            match found {
                Some((_, value)) => Some((*value).into()),
                None => (name == user).then(|| "/u".into()),
            }
        })
    }

    #[test]
    fn the_cache_lies_where_python_looks_for_it() {
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[], "/u/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/h/hub"),
            (&[("HF_HOME", "~/h")], "/u/h/hub"),
            (
                &[("HF_HOME", ""), ("XDG_CACHE_HOME", "")],
                "/u/.cache/huggingface/hub",
            ),
            (&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")], "/c"),
        ];
        for (variables, expected) in cases {
            assert_eq!(
                hub(variables).unwrap().cache,
                Path::new(expected),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_then_the_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = ("HF_HOME", folder.path().to_str().unwrap());
        let token = |more: &[(&str, &str)]| {
            let found = hub(&[&[home], more].concat()).unwrap();
            assert!(!format!("{found:?}").contains("hf_"));
            found.token.map(|token| token.header())
        };
        assert_eq!(token(&[]).unwrap(), "Bearer hf_file");
        assert_eq!(token(&[("HF_TOKEN", " hf_v ")]).unwrap(), "Bearer hf_v");
        assert_eq!(
            token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), ("HF_TOKEN", "hf_v")]),
            None
        );
        assert_eq!(token(&[("HF_TOKEN_PATH", "/nowhere/token")]), None);
        let error = hub(&[("HF_TOKEN", "hf_a\nb")]).unwrap_err().to_string();
        assert!(!error.contains("hf_a"), "{error}");
    }

    #[test]
    fn the_endpoint_is_checked_and_offline_is_read() {
        assert_eq!(
            hub(&[]).unwrap().endpoint.as_str(),
            "https://huggingface.co/"
        );
        assert!(!hub(&[("HF_HUB_OFFLINE", "0")]).unwrap().offline);
        assert!(hub(&[("HF_HUB_OFFLINE", "yes")]).unwrap().offline);
        for endpoint in ["ftp://a.test", "nonsense", "file:///etc"] {
            let error = hub(&[("HF_ENDPOINT", endpoint)]).unwrap_err();
            assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
        }
    }
}
