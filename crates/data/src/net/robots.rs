//! What a site's `robots.txt` allows, by RFC 9309, and the pause between requests that many of them ask for.

use std::time::Duration;

/// The longest pause that is honoured.
const LONGEST_DELAY: f64 = 60.0;

/// The rules of one site for this client.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Robots {
    rules: Vec<Rule>,
    /// The pause between two requests, by the `Crawl-delay` that is no part of the RFC.
    pub(super) delay: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    allow: bool,
    pattern: String,
}

impl Robots {
    /// Reads the groups that name the product, or those for `*` if none does. What is no rule is passed over, as the
    /// RFC asks for.
    pub(super) fn parse(text: &str, product: &str) -> Self {
        let (mut own, mut others) = (None, None);
        // Whom the current group is for, and whether its rules have begun.
        let (mut is_own, mut is_others, mut begun) = (false, false, false);
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if begun {
                    (is_own, is_others, begun) = (false, false, false);
                }
                is_own |= value.eq_ignore_ascii_case(product);
                is_others |= value == "*";
                if is_own {
                    own.get_or_insert_with(Self::default);
                }
                if is_others {
                    others.get_or_insert_with(Self::default);
                }
                continue;
            }
            begun |= matches!(key.as_str(), "allow" | "disallow" | "crawl-delay");
            for (applies, robots) in [(is_own, &mut own), (is_others, &mut others)] {
                if let (true, Some(robots)) = (applies, robots.as_mut()) {
                    robots.add(&key, value);
                }
            }
        }
        own.or(others).unwrap_or_default()
    }

    fn add(&mut self, key: &str, value: &str) {
        match key {
            "allow" | "disallow" if !value.is_empty() => self.rules.push(Rule {
                allow: key == "allow",
                pattern: normal(value),
            }),
            "crawl-delay" => {
                let seconds = value.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
                self.delay =
                    seconds.map(|seconds| Duration::from_secs_f64(seconds.min(LONGEST_DELAY)));
            }
            _ => {}
        }
    }

    /// Whether a path, with its query, may be fetched: the longest rule that matches decides, and of equally long
    /// ones the one that allows.
    pub(super) fn allow(&self, path: &str) -> bool {
        let path = normal(path);
        let matching = self
            .rules
            .iter()
            .filter(|rule| matches(&rule.pattern, &path));
        matching
            .max_by_key(|rule| (rule.pattern.len(), rule.allow))
            .is_none_or(|rule| rule.allow)
    }
}

/// Whether a path begins with a pattern, in which `*` stands for any characters and `$` at the end for the end.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        None => !whole || rest.is_empty(),
        Some(last) if whole => rest.ends_with(last),
        Some(last) => rest.contains(last),
    }
}

/// One spelling of all that mean the same: unreserved characters plain, all others but ASCII as `%` and two capitals.
fn normal(path: &str) -> String {
    use std::fmt::Write as _;

    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes
            .get(at + 1..at + 3)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let (meant, length) = escape.map_or((byte, 1), |meant| (meant, 3));
        let plain = meant.is_ascii_alphanumeric() || b"-._~".contains(&meant);
        if plain || (escape.is_none() && meant.is_ascii()) {
            text.push(meant.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{meant:02X}");
        }
        at += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_matching_rule_decides() {
        let rules = |lines: &str| Robots::parse(&format!("User-agent: *\n{lines}"), "finetune");
        let cases = [
            ("Disallow: /", "/a", false),
            ("Disallow:", "/a", true),
            ("", "/a", true),
            ("Disallow: /a", "/ab", false),
            ("Disallow: /a", "/b", true),
            ("Disallow: /a/\nAllow: /a/b", "/a/bc", true),
            ("Allow: /a\nDisallow: /a", "/a", true),
            ("Disallow: /*.php", "/x/y.php?z", false),
            ("Disallow: /*.php$", "/x/y.php?z", true),
            ("Disallow: /*.php$", "/x.php/y.php", false),
            ("Disallow: /a*b*c", "/axxbyyc", false),
            ("Disallow: /a*b*c", "/axxcyyb", true),
            ("Disallow: /$", "/", false),
            ("Disallow: /$", "/a", true),
            ("Disallow: /a%3cd", "/a%3Cd", false),
            ("Disallow: /%7Ejoe", "/~joe/x", false),
            ("Disallow: /é", "/%C3%A9t%C3%A9", false),
            ("Disallow: /a # no\n", "/a", false),
            ("disallow : /a", "/a", false),
            ("nonsense\nDisallow /a\n: :\nDisallow: /%", "/a", true),
        ];
        for (lines, path, expected) in cases {
            assert_eq!(rules(lines).allow(path), expected, "{lines} {path}");
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_regular_expressions_do(pattern in "/[ab*]{0,8}\\$?", path in "/[ab]{0,10}") {
            let body = pattern.trim_end_matches('$').replace('*', ".*");
            let end = if pattern.ends_with('$') { "$" } else { "" };
            let expected = regex::Regex::new(&format!("^{body}{end}")).unwrap().is_match(&path);
            prop_assert_eq!(matches(&pattern, &path), expected);
        }

        #[test]
        fn any_text_is_read(text in "(user-agent: \\*\n|(dis)?allow: ?[/%*$a\u{e9}]{0,9}\n|crawl-delay:.{0,5}\n|.{0,9}\n){0,9}") {
            Robots::parse(&text, "finetune").allow("/%");
        }
    }

    #[test]
    fn the_own_group_comes_before_the_one_for_all() {
        let text = "\u{feff}User-agent: other\nUser-agent: FineTune\nDisallow: /a\nCrawl-delay: 2.5\n\n\
                    User-agent: *\nDisallow: /\n\nuser-agent: finetune\nDisallow: /c\n";
        let robots = Robots::parse(text, "finetune");
        assert_eq!(
            ["/a", "/b", "/c"].map(|path| robots.allow(path)),
            [false, true, false]
        );
        assert_eq!(robots.delay, Some(Duration::from_millis(2500)));
        assert!(!Robots::parse(text, "someone").allow("/b"));
        let empty = "User-agent: finetune\n\nUser-agent: *\nDisallow: /";
        assert!(
            !Robots::parse(empty, "finetune").allow("/a"),
            "one group names both"
        );
        for delay in ["-1", "NaN", "1e999", "x"] {
            let robots = Robots::parse(&format!("User-agent: *\nCrawl-delay: {delay}"), "finetune");
            assert!(
                robots.delay.is_none_or(|delay| delay.as_secs() <= 60),
                "{delay}"
            );
        }
    }
}
