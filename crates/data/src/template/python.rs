//! Python's own ways with texts, where they differ from Rust's: for templates that were written for Python's Jinja.

use minijinja::value::{Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

/// What Python takes for white space: Unicode's, and the four separators U+001C to U+001F.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Python's `text.strip(characters)`; without characters, white space.
pub fn strip<'t>(text: &'t str, characters: Option<&str>) -> &'t str {
    match characters {
        Some(characters) => text.trim_matches(|c| characters.contains(c)),
        None => text.trim_matches(is_space),
    }
}

/// Python's `text.split()`: what stands between white space.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

pub(super) fn trim(text: &str, characters: Option<&str>) -> String {
    strip(text, characters).to_owned()
}

/// Python's methods of texts, lists and mappings, for [`set_unknown_method_callback`].
///
/// # Errors
///
/// For a method that Python's value does not have, and for arguments that do not fit.
///
/// [`set_unknown_method_callback`]: minijinja::Environment::set_unknown_method_callback
pub fn method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        match method {
            "strip" | "lstrip" | "rstrip" if args.is_empty() || args[0].is_none() => {
                return Ok(Value::from(match method {
                    "strip" => text.trim_matches(is_space),
                    "lstrip" => text.trim_start_matches(is_space),
                    _ => text.trim_end_matches(is_space),
                }));
            }
            "splitlines" => {
                let (keep,): (Option<bool>,) = from_args(args)?;
                return Ok(lines(text, keep.unwrap_or(false)).collect());
            }
            "removeprefix" | "removesuffix" => {
                let (part,): (&str,) = from_args(args)?;
                let cut = if method == "removeprefix" {
                    text.strip_prefix(part)
                } else {
                    text.strip_suffix(part)
                };
                return Ok(Value::from(cut.unwrap_or(text)));
            }
            "partition" => {
                let (separator, Rest(_)): (&str, Rest<Value>) = from_args(args)?;
                let parts = text
                    .split_once(separator)
                    .map_or([text, "", ""], |(before, after)| [before, separator, after]);
                return Ok(parts.into_iter().collect());
            }
            _ => {}
        }
    }
    if method == "index" && value.kind() == ValueKind::Seq {
        let (wanted,): (Value,) = from_args(args)?;
        let place = value.try_iter()?.position(|item| item == wanted);
        return place.map(Value::from).ok_or_else(|| {
            let reason = format!("{wanted} is not in the list {value}");
            Error::new(ErrorKind::InvalidOperation, reason)
        });
    }
    pycompat::unknown_method_callback(state, value, method, args)
}

/// Lines as Python's `splitlines` finds them.
fn lines(text: &str, keep: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let end = rest.find(ends).unwrap_or(rest.len());
        let after = &rest[end..];
        let length = match after.chars().next() {
            Some('\r') if after[1..].starts_with('\n') => 2,
            Some(character) => character.len_utf8(),
            None => 0,
        };
        let line = &rest[..if keep { end + length } else { end }];
        rest = &rest[end + length..];
        Some(line)
    })
}
