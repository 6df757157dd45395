//! What broken conversions leave in a text: wrongly decoded characters, control characters, markup.

use std::ops::AddAssign;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// UTF-8 that was read as Windows-1252, such as `Ã©` for é and `â€™` for ’. Only the beginnings that stand for Latin,
/// punctuation, Cyrillic and emoji, and of Cyrillic only pairs: `Ä“` and the like occur in real texts.
const MOJIBAKE: &str = concat!(
    r"[ÂÃ][\u{80}-\u{bf}ŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]",
    r"|â[€‚„\u{80}][\u{80}-\u{bf}ŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]",
    r"|(?:[ÐÑ][\u{80}-\u{bf}ŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]){2,}",
    r"|ï»¿|ï¿½|ðŸ[\u{80}-\u{bf}ŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]{2}"
);

/// Entities of HTML.
const ENTITY: &str = r"&(?:amp|lt|gt|quot|apos|nbsp|ndash|mdash|hellip|copy|reg|lsquo|rsquo|ldquo|rdquo|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});";

/// Tags of HTML. Only those that exist, so that `a < b > c` and `Vec<u8>` are none.
const TAG: &str = r"(?i)</?(?:a|abbr|article|b|blockquote|body|br|button|center|code|div|em|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|label|li|link|meta|nav|ol|option|p|pre|script|section|select|small|span|strong|style|sub|sup|table|tbody|td|th|thead|title|tr|u|ul|video)(?:\s[^<>]*)?/?>";

/// How much debris is too much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebrisLimits {
    /// The most wrongly decoded or control characters in a thousand characters. Default 1.
    pub broken: f64,
    /// The most entities and tags in a thousand characters. Default 5.
    pub markup: f64,
}

impl Default for DebrisLimits {
    fn default() -> Self {
        Self {
            broken: 1.0,
            markup: 5.0,
        }
    }
}

/// Counts of debris.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debris {
    /// Characters that were decoded wrongly: `Ã©`.
    pub mojibake: u64,
    /// U+FFFD, which stands for bytes that could not be decoded.
    pub replaced: u64,
    /// Control characters other than tab and line ends, those from U+0080 to U+009F among them.
    pub controls: u64,
    /// Entities of HTML: `&nbsp;`.
    pub entities: u64,
    /// Tags of HTML: `<br>`.
    pub tags: u64,
}

impl AddAssign for Debris {
    fn add_assign(&mut self, other: Self) {
        self.mojibake += other.mojibake;
        self.replaced += other.replaced;
        self.controls += other.controls;
        self.entities += other.entities;
        self.tags += other.tags;
    }
}

/// Counts debris in texts. Holds the compiled patterns.
#[derive(Debug, Clone)]
pub struct DebrisFinder {
    mojibake: Regex,
    entity: Regex,
    tag: Regex,
}

impl Default for DebrisFinder {
    fn default() -> Self {
        let pattern = |text| Regex::new(text).expect("the patterns above are valid");
        Self {
            mojibake: pattern(MOJIBAKE),
            entity: pattern(ENTITY),
            tag: pattern(TAG),
        }
    }
}

impl DebrisFinder {
    /// Counts the debris of a text.
    pub fn count(&self, text: &str) -> Debris {
        let control =
            |character: &char| character.is_control() && !matches!(character, '\t' | '\n' | '\r');
        let found = |pattern: &Regex| pattern.find_iter(text).count() as u64;
        // Bytes of a sequence such as `Ã\u{83}` are part of that sequence, and not control characters of their own.
        let mojibake: Vec<_> = self.mojibake.find_iter(text).collect();
        let inside: usize = mojibake
            .iter()
            .map(|found| found.as_str().chars().filter(control).count())
            .sum();
        Debris {
            mojibake: mojibake.len() as u64,
            replaced: text.matches('\u{fffd}').count() as u64,
            controls: (text.chars().filter(control).count() - inside) as u64,
            entities: found(&self.entity),
            tags: found(&self.tag),
        }
    }
}

impl DebrisLimits {
    /// Why a text of so many characters has too much debris, if it has.
    pub fn fault(&self, debris: Debris, characters: usize) -> Option<String> {
        let rate = |count: u64| count as f64 * 1_000.0 / characters.max(1) as f64;
        let broken = debris.mojibake + debris.replaced + debris.controls;
        let markup = debris.entities + debris.tags;
        if rate(broken) > self.broken {
            Some(format!(
                "{} wrongly decoded, {} replaced and {} control characters",
                debris.mojibake, debris.replaced, debris.controls
            ))
        } else if rate(markup) > self.markup {
            Some(format!(
                "{} entities and {} tags of HTML",
                debris.entities, debris.tags
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_debris_is_counted_and_real_text_is_not() {
        let check = |text: &str, expected: [u64; 5]| {
            let found = DebrisFinder::default().count(text);
            let counts = [
                found.mojibake,
                found.replaced,
                found.controls,
                found.entities,
                found.tags,
            ];
            assert_eq!(counts, expected, "{text:?}");
        };
        check("cafÃ© itâ€™s 20Â°", [3, 0, 0, 0, 0]);
        check("ÐŸÑ€Ð¸Ð²ÐµÑ‚ ðŸ˜€ ï»¿", [3, 0, 0, 0, 0]);
        check("Ã\u{83}", [1, 0, 0, 0, 0]);
        check("a\u{fffd}b\u{85}c\u{0}", [0, 1, 2, 0, 0]);
        check("a&nbsp;b &#8217; &#xA0; AT&T", [0, 0, 0, 3, 0]);
        check("<p class=\"x\">a</p><br/>", [0, 0, 0, 0, 3]);
        let real =
            "Ärger „SAÄ“ café…» São PÃO Ñandú Привет 20 °C; Vec<u8>, a < b > c, x <y> z\tend\r\n";
        check(real, [0; 5]);
    }

    #[test]
    fn the_limits_are_rates() {
        let debris = Debris {
            mojibake: 1,
            ..Debris::default()
        };
        let limits = DebrisLimits::default();
        assert!(limits.fault(debris, 10).unwrap().contains("1 wrongly"));
        assert_eq!(limits.fault(debris, 1_000), None);
        let tags = Debris {
            tags: 6,
            ..Debris::default()
        };
        assert!(limits.fault(tags, 1_000).unwrap().contains("6 tags"));
        assert_eq!(limits.fault(Debris::default(), 0), None);
    }
}
