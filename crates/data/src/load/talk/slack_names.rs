//! Messages of Slack, with the names of those who write and are written to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::thread::Message;
use super::{list, text};
use crate::load::time::Time;

/// The names of a workspace's people by their ids.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn of(users: &Value) -> Self {
        let users = users.as_array().map_or(&[][..], Vec::as_slice);
        let named = users.iter().filter_map(|user| {
            let profile = user.get("profile").unwrap_or(&Value::Null);
            let name = text(profile, "display_name")
                .or_else(|| text(profile, "real_name"))
                .or_else(|| text(user, "real_name"))
                .or_else(|| text(user, "name"))?;
            Some((text(user, "id")?.to_owned(), name.to_owned()))
        });
        let mut names: BTreeMap<String, String> = named.collect();
        // Two people of one name must not become one.
        let mut seen = BTreeSet::new();
        for (id, name) in &mut names {
            if !seen.insert(name.clone()) {
                *name = format!("{name} ({id})");
            }
        }
        Self(names)
    }

    pub(super) fn message(&self, value: &Value) -> Message {
        let profile = value.get("user_profile").unwrap_or(&Value::Null);
        let user = text(value, "user").or_else(|| text(value, "bot_id"));
        let known = user.and_then(|user| self.0.get(user)).map(String::as_str);
        let name = known
            .or_else(|| text(profile, "display_name"))
            .or_else(|| text(profile, "real_name"))
            .or_else(|| text(value, "username"))
            .or(user);
        let ts = text(value, "ts");
        let reply_to = text(value, "thread_ts").filter(|thread| Some(*thread) != ts);
        let mut message = Message {
            name: name.unwrap_or("Unknown").to_owned(),
            time: ts.and_then(timestamp),
            id: ts.map(str::to_owned),
            reply_to: reply_to.map(str::to_owned),
            ..Message::default()
        };
        let bot = value.get("bot_id").is_some_and(|bot| !bot.is_null());
        match text(value, "subtype").unwrap_or_default() {
            _ if bot => message.leave_out("bot", 1),
            "" | "me_message" | "file_share" | "thread_broadcast" | "reply_broadcast" => {
                message.text = self.shown(value.get("text").and_then(Value::as_str).unwrap_or(""));
            }
            "bot_message" => message.leave_out("bot", 1),
            "tombstone" | "message_deleted" => message.leave_out("unsent", 1),
            _ => message.leave_out("service", 1),
        }
        message.leave_out("file", list(value, "files").len() as u64);
        for reaction in list(value, "reactions") {
            let count = reaction.get("count").and_then(Value::as_u64);
            message.leave_out("reaction", count.unwrap_or(1));
        }
        message.check_empty();
        message
    }

    /// A text with its marks resolved: `<@U1>`, `<#C1|general>`, `<!here>`, `<https://a.b|here>`.
    fn shown(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some((before, marked)) = rest.split_once('<') {
            shown += &plain(before);
            // Only what Slack writes holds angle brackets; a text's own are escaped.
            let Some((mark, after)) = marked.split_once('>') else {
                rest = marked;
                shown.push('<');
                continue;
            };
            shown += &self.mark(mark);
            rest = after;
        }
        shown + &plain(rest)
    }

    fn mark(&self, mark: &str) -> String {
        let (target, label) = mark.split_once('|').unwrap_or((mark, ""));
        let label = plain(label);
        let or = |otherwise: &str| {
            if label.is_empty() {
                otherwise.to_owned()
            } else {
                label.clone()
            }
        };
        if let Some(user) = target.strip_prefix('@') {
            let name = self.0.get(user).cloned().unwrap_or_else(|| or(user));
            return format!("@{}", name.trim_start_matches('@'));
        }
        if let Some(channel) = target.strip_prefix('#') {
            return format!("#{}", or(channel).trim_start_matches('#'));
        }
        if let Some(command) = target.strip_prefix('!') {
            let word = command.split('^').next().unwrap_or_default();
            return or(&format!("@{word}"));
        }
        let link = plain(target);
        let address = link.strip_prefix("mailto:").unwrap_or(&link);
        // A link that Slack made of a word names the word again.
        if label.is_empty() || link.ends_with(&label) {
            address.to_owned()
        } else {
            format!("{label} ({address})")
        }
    }
}

/// A text with the three characters that Slack escapes.
fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// `1704190000.000100`: seconds, and what tells messages of the same second apart.
fn timestamp(text: &str) -> Option<Time> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let milliseconds = format!("{fraction:0<3}").get(..3)?.parse::<u16>().ok()?;
    let seconds = i64::try_from(seconds.parse::<u64>().ok()?).ok()?;
    let whole = seconds.checked_mul(1000)?;
    Time::unix_milliseconds(whole.checked_add(milliseconds.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_resolved() {
        let names = Names([("U1".into(), "Ann".into())].into());
        let cases = [
            ("hi <@U1>!", "hi @Ann!"),
            ("<@U9|bob> <@U8>", "@bob @U8"),
            ("<#C1|general> <#C2>", "#general #C2"),
            (
                "<!here> <!subteam^S1|@team> <!date^1^{date}|2 May>",
                "@here @team 2 May",
            ),
            ("<https://a.b/?x=1&amp;y>", "https://a.b/?x=1&y"),
            (
                "<http://a.b|a.b> <http://a.b|here>",
                "http://a.b here (http://a.b)",
            ),
            ("<mailto:a@b.c|a@b.c>", "a@b.c"),
            ("1 &lt; 2 &amp;amp; 3 &gt; 2", "1 < 2 &amp; 3 > 2"),
            ("a < b", "a < b"),
            ("<", "<"),
        ];
        for (text, expected) in cases {
            assert_eq!(names.shown(text), expected, "{text}");
        }
    }

    #[test]
    fn timestamps_are_read_or_unknown() {
        let shown = |text| timestamp(text).map(|time| time.to_string());
        assert_eq!(
            shown("1704190000.000100").as_deref(),
            Some("2024-01-02T10:06:40Z")
        );
        for text in [
            "",
            "x",
            "-1.-1",
            "99999999999999999999",
            "9223372036854775807.9",
            "1.é",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
