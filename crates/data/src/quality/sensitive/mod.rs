//! Personal data and secrets in texts: found, and replaced by what kind of thing stood there.
//!
//! Patterns of our own on `regex`, each with the check that its kind allows (Luhn, ISO 7064, the rules of national
//! numbers). The crate for this, `redact-core`, brings encryption, random numbers and clocks along (64 crates, some
//! unreleased), because it also hides values reversibly; we only find and replace. Names of people and places need a
//! model and are not found.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex::Regex;
use serde::{Deserialize, Serialize};

mod checksum;
mod national;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A private key in PEM form, whole or cut off.
    PrivateKey,
    /// A JSON web token.
    Jwt,
    /// The id of an access key of AWS, or a secret key that is called so.
    AwsKey,
    /// A token of GitHub.
    GithubToken,
    /// A key of `OpenAI`, Anthropic or whoever else begins theirs with `sk-`.
    ApiKey,
    /// A token or web hook of Slack.
    SlackToken,
    /// Name and password inside an address: `https://name:password@host`.
    UrlCredentials,
    /// An e-mail address.
    Email,
    /// An international bank account number with valid check digits.
    Iban,
    /// A number of a bank card with a known beginning and a valid check digit.
    CreditCard,
    /// A number that a state gives to a person, of a country whose numbers have a checksum: Brazil, China, France,
    /// Germany (tax), Poland, Spain.
    NationalId,
    /// A public address of the Internet protocol, version 4 or 6.
    IpAddress,
    /// A telephone number with the country's code or in North American form.
    Phone,
}

impl Kind {
    /// What is written in its place, such as `<EMAIL>`.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::PrivateKey => "<PRIVATE_KEY>",
            Self::Jwt => "<JWT>",
            Self::AwsKey => "<AWS_KEY>",
            Self::GithubToken => "<GITHUB_TOKEN>",
            Self::ApiKey => "<API_KEY>",
            Self::SlackToken => "<SLACK_TOKEN>",
            Self::UrlCredentials => "<CREDENTIALS>",
            Self::Email => "<EMAIL>",
            Self::Iban => "<IBAN>",
            Self::CreditCard => "<CREDIT_CARD>",
            Self::NationalId => "<NATIONAL_ID>",
            Self::IpAddress => "<IP_ADDRESS>",
            Self::Phone => "<PHONE>",
        }
    }
}

/// A place in a text where something sensitive stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// The part of a match that is sensitive, from its beginning, or `None` if the match is something else.
type Check = fn(&str) -> Option<usize>;

/// The patterns. Where two overlap, what stands earlier in this list is reported. A group in a pattern is the sensitive
/// part of what it matches.
const PATTERNS: &[(Kind, &str, Check)] = &[
    (
        Kind::PrivateKey,
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=:,\\\s]|-[A-Za-z0-9])*(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
        whole,
    ),
    (
        Kind::Jwt,
        r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        whole,
    ),
    (
        Kind::AwsKey,
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        whole,
    ),
    (
        Kind::AwsKey,
        r#"(?i)\baws_?secret(?:_?access)?_?key["']?[ \t]{0,3}[:=][ \t]{0,3}["']?([A-Za-z0-9/+]{40})"#,
        whole,
    ),
    (
        Kind::GithubToken,
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})",
        whole,
    ),
    (
        Kind::ApiKey,
        r"\bsk-(?:[A-Za-z]{2,8}-)?[A-Za-z0-9_-]{20,200}",
        with_digit,
    ),
    (
        Kind::SlackToken,
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}|\bhooks\.slack\.com/services/[A-Za-z0-9/]{20,100}",
        with_digit,
    ),
    (
        Kind::UrlCredentials,
        r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://([!-.0-9;=?A-~]{1,100}:[!-.0-;=?A-~]{1,100})@",
        whole,
    ),
    (
        Kind::Email,
        r"\b[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,63})@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}\b",
        whole,
    ),
    (
        Kind::Iban,
        r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        checksum::iban,
    ),
    (
        Kind::CreditCard,
        r"\b[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}\b",
        checksum::card,
    ),
    (
        Kind::NationalId,
        r"\b(?:[0-9]{17}[0-9Xx]|[12][ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[0-9AB]{2}[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{2}|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}|[XYZ]?[0-9]{7,8}-?[A-Z])\b",
        national::number,
    ),
    (
        Kind::IpAddress,
        r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b",
        public_v4,
    ),
    (
        Kind::IpAddress,
        r"\b[23][0-9a-fA-F]{3}:[0-9a-fA-F:]{2,34}",
        public_v6,
    ),
    (
        Kind::Phone,
        r"\+[1-9][0-9]{0,2}(?:[ .()/-]{0,2}[0-9]){6,13}\b",
        whole,
    ),
    (
        Kind::Phone,
        r"\b00[1-9][0-9]{0,2}[ ./-](?:[ .()/-]{0,2}[0-9]){6,13}\b",
        whole,
    ),
    (
        Kind::Phone,
        r"(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\b",
        whole,
    ),
];

/// Finds personal data and secrets. Holds the compiled patterns.
#[derive(Debug, Clone)]
pub struct Sensitive {
    patterns: Vec<(Kind, Regex, Check)>,
}

impl Default for Sensitive {
    /// Every kind.
    fn default() -> Self {
        let compiled = PATTERNS.iter().map(|&(kind, pattern, check)| {
            // The boundaries of words are those of ASCII: with Unicode's the engine is many times slower.
            let pattern = pattern.replace(r"\b", r"(?-u:\b)");
            let pattern = Regex::new(&pattern).expect("the patterns above are valid");
            (kind, pattern, check)
        });
        Self {
            patterns: compiled.collect(),
        }
    }
}

impl Sensitive {
    /// These kinds only.
    pub fn of(kinds: &[Kind]) -> Self {
        let mut all = Self::default();
        all.patterns.retain(|(kind, ..)| kinds.contains(kind));
        all
    }

    /// What stands in a text, in order and without overlaps.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for (kind, pattern, check) in &self.patterns {
            for found in pattern.captures_iter(text) {
                let Some(found) = found.get(1).or_else(|| found.get(0)) else {
                    continue;
                };
                let Some(length) = check(found.as_str()) else {
                    continue;
                };
                let span = found.start()..found.start() + length;
                let place = findings.partition_point(|other| other.span.end <= span.start);
                let free = findings
                    .get(place)
                    .is_none_or(|other| other.span.start >= span.end);
                if free {
                    findings.insert(place, Finding { kind: *kind, span });
                }
            }
        }
        findings
    }

    /// The text with a placeholder for everything that is found, and what was found.
    ///
    /// Spans are those of the text that came in. Masking what comes out changes nothing.
    pub fn mask(&self, text: &str) -> (String, Vec<Finding>) {
        let findings = self.find(text);
        let mut masked = replaced(text, &findings);
        // What a finding hid, such as a number that overlapped with it, can show now. Every round takes at least one
        // character that is not part of a placeholder, so the rounds end.
        loop {
            let more = self.find(&masked);
            if more.is_empty() {
                return (masked, findings);
            }
            masked = replaced(&masked, &more);
        }
    }
}

impl Sensitive {
    /// A stretch of a text, masked as it is in the whole text: a border that cuts a secret leaves no half of it.
    pub(crate) fn mask_part(&self, text: &str, part: &Range<usize>) -> String {
        let mut masked = String::new();
        let mut from = part.start;
        for Finding { kind, span } in self.find(text) {
            if span.end > part.start && span.start < part.end {
                masked.push_str(&text[from..span.start.max(from)]);
                masked.push_str(kind.placeholder());
                from = span.end.min(part.end);
            }
        }
        masked.push_str(&text[from..part.end]);
        self.mask(&masked).0
    }
}

fn replaced(text: &str, findings: &[Finding]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for finding in findings {
        masked.push_str(&text[from..finding.span.start]);
        masked.push_str(finding.kind.placeholder());
        from = finding.span.end;
    }
    masked.push_str(&text[from..]);
    masked
}

#[allow(clippy::unnecessary_wraps, reason = "it is one of the checks")]
fn whole(found: &str) -> Option<usize> {
    Some(found.len())
}

/// Keys are random: one without a digit is a word with hyphens, such as `sk-learn-compatible-estimators`.
fn with_digit(found: &str) -> Option<usize> {
    found
        .bytes()
        .any(|byte| byte.is_ascii_digit())
        .then_some(found.len())
}

/// Addresses that lead to somebody: not those of private networks, of the own machine, or of groups.
fn public_v4(found: &str) -> Option<usize> {
    let address: Ipv4Addr = found.parse().ok()?;
    let nobody = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.octets()[0] == 0;
    (!nobody).then_some(found.len())
}

/// Addresses of `2000::/3`. A match can run into a colon of the sentence.
fn public_v6(found: &str) -> Option<usize> {
    let found = if found.ends_with("::") {
        found
    } else {
        found.trim_end_matches(':')
    };
    found.parse::<Ipv6Addr>().ok().map(|_| found.len())
}
