//! The Jinja engine, set up so that it renders chat templates byte for byte as transformers does.

use std::collections::BTreeMap;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};

use crate::error::{DataError, Place, Result, quoted};

use super::clock::Clock;
use super::{follow, generation, json};
use crate::template::python;
pub(super) use crate::template::python::is_space;

/// The longest source of a template, in bytes.
const SOURCE: usize = 256 << 10;

/// How deeply macros, blocks and loops may nest.
const DEPTH: usize = 100;

/// The name of the engine's only template, and of the variable that holds the marks of `{% generation %}`.
const NAME: &str = "chat_template";
const MARKS: &str = "finetune generation marks";

/// A compiled template.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    environment: Environment<'static>,
    /// How errors name it: the file it came from.
    name: String,
    /// Whether it has a `{% generation %}` tag.
    pub(super) has_generation: bool,
    /// The strings that it looks for in texts, at which it may take a text apart.
    pub(super) handled: Vec<String>,
}

/// What a render may use up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    fuel: u64,
    output: usize,
}

impl Budget {
    /// Enough for every real template: 134 published ones need 84 to 107 units of fuel for a message of 1 KiB. A
    /// template that wants to stop the program is stopped first.
    pub(super) fn of(messages: usize, bytes: usize) -> Self {
        let kib = bytes as u64 / 1_024 + 1;
        Self {
            fuel: 100_000 + 1_000 * messages as u64 + 256 * kib,
            output: 4 * bytes + (64 << 10),
        }
    }
}

impl Engine {
    /// Compiles a template. `name` stands in errors; `clock` is what `strftime_now` reads.
    ///
    /// # Errors
    ///
    /// [`DataError::TemplateLimit`] if the source is longer than 256 KiB, [`DataError::TemplateSyntax`] if it cannot
    /// be read.
    pub(super) fn compile(name: &str, source: &str, clock: &Clock) -> Result<Self> {
        if source.len() > SOURCE {
            return Err(DataError::TemplateLimit {
                name: name.to_owned(),
                limit: "source",
            });
        }
        // Jinja reads every kind of line end as a line feed.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let (rewritten, has_generation) = generation::rewrite(&source);
        let mut environment = environment(clock);
        let mut engine = Self {
            environment: Environment::empty(),
            name: name.to_owned(),
            has_generation,
            handled: follow::handled(&source),
        };
        environment
            .add_template_owned(NAME, rewritten.clone())
            .map_err(|error| {
                let offset = error.range().map_or(0, |range| range.start);
                let (line, column) = crate::template::line_and_column(&rewritten, offset);
                DataError::TemplateSyntax {
                    name: name.to_owned(),
                    line,
                    column,
                    message: message(&error),
                }
            })?;
        engine.environment = environment;
        Ok(engine)
    }

    /// Renders with these variables. `marks` are put around what stands in `{% generation %}`.
    ///
    /// # Errors
    ///
    /// What the template raises, what it does wrong, or the limit that it passes.
    pub(super) fn render(
        &self,
        variables: BTreeMap<String, Value>,
        marks: Option<[char; 2]>,
        budget: Budget,
        place: &Place,
    ) -> Result<String> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(budget.fuel));
        let marks = marks.map(|[start, end]| format!("{start}{end}"));
        let marks = marks.map(|marks| (MARKS.to_owned(), Value::from(marks)));
        let context = Value::from_pairs(variables.into_iter().chain(marks));
        let mut output = Limited {
            bytes: Vec::new(),
            limit: budget.output,
        };
        let template = environment
            .get_template(NAME)
            .map_err(|error| self.error(&error, place))?;
        template
            .render_captured_to(context, &mut output)
            .map_err(|error| self.error(&error, place))?;
        String::from_utf8(output.bytes).map_err(|_| DataError::TemplateCheck {
            name: self.name.clone(),
            message: "the output is not UTF-8".to_owned(),
        })
    }

    /// Sets the clock.
    pub(super) fn set_clock(&mut self, clock: &Clock) {
        add_clock(&mut self.environment, clock);
    }

    /// The template's name in errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn error(&self, error: &Error, place: &Place) -> DataError {
        if let Some(Raised(message)) = cause(error) {
            return DataError::TemplateRaised {
                place: place.clone(),
                name: self.name.clone(),
                message: quoted(message),
            };
        }
        let limit = match error.kind() {
            ErrorKind::OutOfFuel => Some("fuel"),
            ErrorKind::WriteFailure => Some("output"),
            _ if chain(error).any(|part| part.to_string().contains("recursion limit")) => {
                Some("depth")
            }
            // An exhausted budget may come wrapped in the error of the filter that ran out of it.
            _ if chain(error).any(|part| part.to_string().contains("out of fuel")) => Some("fuel"),
            _ => None,
        };
        match limit {
            Some(limit) => DataError::TemplateLimit {
                name: self.name.clone(),
                limit,
            },
            None => DataError::TemplateRender {
                place: place.clone(),
                name: self.name.clone(),
                line: error.line().unwrap_or(0),
                message: message(error),
            },
        }
    }
}

/// What a template raised on purpose.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn chain<'a>(error: &'a Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    let first: &'a (dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
}

fn cause(error: &Error) -> Option<&Raised> {
    chain(error).find_map(|part| part.downcast_ref())
}

/// The engine's words for an error, without the template's name and line, which are shown before them.
fn message(error: &Error) -> String {
    let mut text = error.kind().to_string();
    if let Some(detail) = error.detail() {
        text.push_str(": ");
        text.push_str(detail);
    }
    let shown = quoted(&text);
    shown[1..shown.len() - 1]
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

/// A buffer that takes so many bytes and no more.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other("output limit"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn environment(clock: &Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("the delimiters are the default ones");
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_recursion_limit(DEPTH);
    environment.set_debug(false);
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("trim", python::trim);
    environment.add_filter("generation", mark_generation);
    // In Python `None` is not iterable, and texts and mappings are sequences.
    environment.add_test("iterable", |value: &Value| {
        !value.is_none() && !value.is_undefined() && value.try_iter().is_ok() || is_text(value)
    });
    environment.add_test("sequence", |value: &Value| {
        is_text(value) || matches!(value.kind(), ValueKind::Seq | ValueKind::Map)
    });
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(Raised(message)))
        },
    );
    add_clock(&mut environment, clock);
    environment.remove_global("debug");
    environment
}

fn add_clock(environment: &mut Environment<'static>, clock: &Clock) {
    let clock = clock.clone();
    environment.add_function("strftime_now", move |pattern: &str| {
        clock.now().format(pattern).map_err(|directive| {
            let why = format!("strftime_now does not know {}", quoted(&directive));
            Error::new(ErrorKind::InvalidOperation, why)
        })
    });
}

fn is_text(value: &Value) -> bool {
    value.kind() == ValueKind::String
}

/// Puts the marks of this render around a body.
fn mark_generation(state: &State, body: String) -> String {
    match state.lookup(MARKS).as_ref().and_then(Value::as_str) {
        Some(marks) => {
            let mut marks = marks.chars();
            let start = marks.next().map_or(String::new(), String::from);
            format!("{start}{body}{}", marks.as_str())
        }
        None => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Moment;

    fn render(source: &str) -> Result<String> {
        let clock = Clock::fixed(Moment::from_unix(0));
        let engine = Engine::compile("t.jinja", source, &clock)?;
        let variables = BTreeMap::from([
            ("text".to_owned(), Value::from("  a\u{1f}\u{a0}")),
            ("none".to_owned(), Value::from(())),
        ]);
        engine.render(variables, None, Budget::of(1, 100), &Place::default())
    }

    #[test]
    fn it_speaks_pythons_dialect() {
        for (source, expected) in [
            ("{% if true %}\n  a\n{% endif %}\nb\n", "  a\nb"),
            (
                "{{ text | trim }}|{{ text.strip() }}|{{ text.lstrip() }}|",
                "a|a|a\u{1f}\u{a0}|",
            ),
            ("{{ none }} {{ true }} {{ missing }}", "None True "),
            (
                "{{ 'a\\r\\nb\\u2028c\\n'.splitlines() | join('/') }}",
                "a/b/c",
            ),
            (
                "{{ none is iterable }} {{ 'x' is iterable }} {{ 'x' is sequence }} {{ [] is sequence }}",
                "False True True True",
            ),
            ("{{ strftime_now('%d %B %Y') }}", "01 January 1970"),
            ("a\r\nb\rc", "a\nb\nc"),
            (
                "{{ '<&>' }} {{ {'a': '<'} | tojson }}",
                "<&> {\"a\": \"<\"}",
            ),
            (
                "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
                "02",
            ),
            ("a {%- generation -%}  b {% endgeneration %} c", "ab  c"),
            (
                "{{ 'xyz'.removeprefix('x') }}{{ 'a:b'.partition(':')[2] }}",
                "yzb",
            ),
        ] {
            assert_eq!(render(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn errors_say_where_and_why() {
        for (source, kind, parts) in [
            (
                "a\n{% if %}",
                "template syntax",
                ["t.jinja:2:", "unexpected"],
            ),
            (
                "\n{{ text | nosuch }}",
                "template render",
                ["t.jinja:2", "nosuch"],
            ),
            (
                "{{ missing.deep.er }}",
                "template render",
                ["t.jinja:1", "undefined"],
            ),
            (
                "{{ raise_exception('no \"system\" here') }}",
                "template raised",
                ["t.jinja refuses", "no \\\"system\\\" here"],
            ),
            (
                "{{ strftime_now('%Q') }}",
                "template render",
                ["strftime_now", "%Q"],
            ),
            (
                "{% include '/etc/passwd' %}",
                "template render",
                ["t.jinja", "non-existing"],
            ),
            (
                "{{ ''.__class__.__mro__ }}",
                "template render",
                ["t.jinja", "undefined"],
            ),
        ] {
            let error = render(source).unwrap_err();
            assert_eq!(error.kind(), kind, "{source}: {error}");
            for part in parts {
                assert!(error.to_string().contains(part), "{source}: {error}");
            }
        }
    }

    #[test]
    fn bombs_stop_at_a_limit() {
        let deep = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
        let bombs = [
            "{% for i in range(10**9) %}x{% endfor %}".to_owned(),
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}".to_owned(),
            "{{ 'a' * 4000000000 }}".to_owned(),
            "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}".to_owned(),
            "{{ 'a' | replace('a', 'aaaaaaaaaa') | replace('a', 'aaaaaaaaaa') | indent(1000000000) }}".to_owned(),
            "{{ '%1000000000d' | format(1) }}".to_owned(),
            "{{ range(100000) | batch(1000000000) | list }}{{ [1] | batch(1000000000, 'x') | list | length }}".to_owned(),
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
            format!("{{{{ {deep} }}}}"),
            "{{ 'abcdefgh' * 20000 }}".to_owned(),
            "x".repeat(SOURCE + 1),
        ];
        for bomb in bombs {
            let start = std::time::Instant::now();
            let error = render(&bomb).expect_err(&bomb[..60.min(bomb.len())]);
            let shown = &bomb[..60.min(bomb.len())];
            assert!(
                ["template limit", "template syntax", "template render"].contains(&error.kind()),
                "{shown}: {error}"
            );
            assert!(
                start.elapsed().as_secs() < 2,
                "{shown}: {:?}",
                start.elapsed()
            );
        }
        assert!(
            render("{{ 'abcdefgh' * 20000 }}")
                .unwrap_err()
                .to_string()
                .contains("output")
        );
    }
}
