//! The tag `{% generation %}`, which the template engine does not have.

use std::ops::Range;

/// Rewrites `{% generation %}` to a filter block of the same name and whitespace control, and says whether there was
/// one. What stands in comments is left alone.
///
/// The filter wraps its body in marks; after rendering, the marks are the spans.
pub(super) fn rewrite(source: &str) -> (String, bool) {
    let mut text = String::with_capacity(source.len() + 64);
    let mut found = false;
    let mut rest = source;
    while let Some(place) = rest.find("{%").into_iter().chain(rest.find("{#")).min() {
        let (before, tag) = rest.split_at(place);
        text.push_str(before);
        if tag.starts_with("{#") {
            let end = tag.find("#}").map_or(tag.len(), |end| end + 2);
            text.push_str(&tag[..end]);
            rest = &tag[end..];
        } else if let Some((name, replacement)) = generation(tag) {
            text.push_str(&tag[..name.start]);
            text.push_str(replacement);
            rest = &tag[name.end..];
            found = true;
        } else {
            text.push_str("{%");
            rest = &tag[2..];
        }
    }
    text.push_str(rest);
    (text, found)
}

/// If a tag is `generation` or `endgeneration`: where its name stands, and what to write instead.
fn generation(tag: &str) -> Option<(Range<usize>, &'static str)> {
    let inner = &tag[2..];
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let name = inner.trim_start();
    let length = name
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    let replacement = match &name[..length] {
        "generation" => "filter generation",
        "endgeneration" => "endfilter",
        _ => return None,
    };
    let close = name[length..].trim_start();
    let close = close.strip_prefix(['-', '+']).unwrap_or(close);
    let start = tag.len() - name.len();
    close
        .starts_with("%}")
        .then_some((start..start + length, replacement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_a_filter_with_the_same_whitespace_control() {
        for (source, expected) in [
            (
                "a{% generation %}b{% endgeneration %}",
                "a{% filter generation %}b{% endfilter %}",
            ),
            (
                "{%- generation -%}b{%+ endgeneration -%}",
                "{%- filter generation -%}b{%+ endfilter -%}",
            ),
            ("{%generation%}x", "{%filter generation%}x"),
        ] {
            assert_eq!(rewrite(source), (expected.to_owned(), true));
        }
    }

    #[test]
    fn other_tags_and_comments_stay() {
        for source in [
            "{# {% generation %} #}x",
            "{% if generation %}",
            "{% generation_x %}",
            "{{ '%}' }}{%",
            "{# open",
        ] {
            assert_eq!(rewrite(source), (source.to_owned(), false));
        }
    }
}
