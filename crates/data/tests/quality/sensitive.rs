//! Every kind of personal data and secret, with what is one and what only looks like one.

use finetune_data::quality::{Kind, Sensitive};
use finetune_data::{Conversation, Document, Origin};
use proptest::prelude::*;

/// Texts that hold one thing each; the thing stands between ⟦ and ⟧.
const TRUE: &[(Kind, &str)] = &[
    (Kind::Email, "write to ⟦anna.b+c@mail.example.org⟧, please"),
    (Kind::Email, "<⟦a@b.co⟧>"),
    (Kind::Phone, "call ⟦+49 30 1234567⟧ now"),
    (Kind::Phone, "⟦+1-415-555-0132⟧"),
    (Kind::Phone, "or ⟦(415) 555-0132⟧."),
    (Kind::Phone, "⟦415-555-0132⟧"),
    (Kind::Phone, "⟦0044 20 7946 0958⟧"),
    (Kind::IpAddress, "from ⟦8.8.4.4⟧ at noon"),
    (Kind::IpAddress, "to ⟦2001:db8::8a2e:370:7334⟧: fine"),
    (Kind::CreditCard, "card ⟦4111 1111 1111 1111⟧"),
    (Kind::CreditCard, "⟦5500-0055-5555-5559⟧"),
    (Kind::CreditCard, "amex ⟦378282246310005⟧"),
    (Kind::Iban, "to ⟦GB82 WEST 1234 5698 7654 32⟧ AND soon"),
    (Kind::Iban, "⟦DE89370400440532013000⟧"),
    (Kind::NationalId, "CPF ⟦529.982.247-25⟧"),
    (Kind::NationalId, "DNI ⟦12345678Z⟧, NIE"),
    (Kind::NationalId, "NIE ⟦X1234567L⟧"),
    (Kind::NationalId, "NIR ⟦2 55 08 14 168 025 38⟧"),
    (Kind::NationalId, "⟦11010519491231002X⟧"),
    (Kind::NationalId, "PESEL ⟦44051401359⟧"),
    (Kind::NationalId, "IdNr ⟦86 095 742 719⟧"),
    (
        Kind::UrlCredentials,
        "postgres://⟦admin:hunter2⟧@db.example.org/x",
    ),
    (Kind::AwsKey, "id ⟦AKIAIOSFODNN7EXAMPLE⟧"),
    (
        Kind::AwsKey,
        "aws_secret_access_key = ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
    ),
    (
        Kind::GithubToken,
        "⟦ghp_0123456789abcdefghijABCDEFGHIJ012345⟧",
    ),
    (Kind::ApiKey, "key=⟦sk-proj-abc123DEF456ghi789JKL012⟧"),
    (Kind::SlackToken, "⟦xoxb-123456789012-abcdefGHIJKL⟧"),
    (
        Kind::SlackToken,
        "https://⟦hooks.slack.com/services/T0000/B0000/XXXXXXXXXXXX⟧",
    ),
    (
        Kind::PrivateKey,
        "⟦-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----⟧\n",
    ),
    (Kind::PrivateKey, "⟦-----BEGIN PRIVATE KEY-----\nMIIEow⟧"),
    (
        Kind::Jwt,
        "Bearer ⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dozjgNryP4J3jVmNHl0w⟧",
    ),
];

/// Texts that hold nothing, though they look like it.
const FALSE: &[&str] = &[
    "anna at example.org, @anna, a@b, foo@bar@",
    "on 2024-05-06 at 12:30:45, pages 1234-5678",
    "version 1.2.3, 192.168.0.1, 127.0.0.1, 999.1.1.1, 10.0.0.8 and 0.0.0.0",
    "std::vec::Vec, dead::beef, a::b",
    "4111 1111 1111 1112 and 0000 0000 0000 0000 and 9876543210987654",
    "GB82 WEST 1234 5698 7654 33 is wrong, DE00 is short",
    "529.982.247-26, 12345678A, X1234567M, 11010519491231002Y, 44051401358, 86095742710",
    "1 55 08 14 168 025 38",
    "https://example.org/a:b@c and mailto:x",
    "AKIA is a prefix; sk-learn-compatible-estimators-everywhere; task-0123456789abcdefghijklm",
    "xoxb-nothing-to-see-here; ghp_short",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "eyJhbGciOiJIUzI1NiJ9 alone",
    "1,234,567.89 and 3.14159265358979 and 1000000",
    "",
];

#[test]
fn every_kind_is_found_where_it_stands_and_replaced() {
    let sensitive = Sensitive::default();
    for (kind, marked) in TRUE {
        let (before, rest) = marked.split_once('⟦').unwrap();
        let (inside, after) = rest.split_once('⟧').unwrap();
        let text = format!("{before}{inside}{after}");
        let found = sensitive.find(&text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].kind, *kind, "{text}");
        assert_eq!(&text[found[0].span.clone()], inside, "{text}");
        let (masked, _) = sensitive.mask(&text);
        assert_eq!(masked, format!("{before}{}{after}", kind.placeholder()));
    }
}

#[test]
fn what_only_looks_like_it_is_left_alone() {
    let sensitive = Sensitive::default();
    for text in FALSE {
        assert_eq!(sensitive.find(text), [], "{text}");
        assert_eq!(sensitive.mask(text).0, *text);
    }
}

#[test]
fn kinds_can_be_chosen() {
    let text = "a@b.co, 8.8.8.8";
    assert_eq!(
        Sensitive::of(&[Kind::Email]).mask(text).0,
        "<EMAIL>, 8.8.8.8"
    );
    assert_eq!(Sensitive::default().mask(text).0, "<EMAIL>, <IP_ADDRESS>");
}

#[test]
fn rows_are_masked_with_their_fields() {
    let sensitive = Sensitive::default();
    let mut chat = Conversation::pair("I am a@b.co", "Hello a@b.co");
    chat.fields
        .insert("note".into(), serde_json::json!([{"from": "a@b.co"}, 5]));
    assert_eq!(sensitive.mask_conversation(&mut chat), 3);
    assert_eq!(chat.answer(), Some("Hello <EMAIL>"));
    assert_eq!(
        chat.fields["note"],
        serde_json::json!([{"from": "<EMAIL>"}, 5])
    );
    let mut document = Document {
        text: "8.8.8.8".into(),
        fields: chat.fields,
        origin: Origin::default(),
    };
    assert_eq!(sensitive.mask_document(&mut document), 1);
    assert_eq!(document.text, "<IP_ADDRESS>");
}

#[test]
fn a_long_text_of_nearly_secrets_takes_time_by_its_length() {
    let sensitive = Sensitive::default();
    for part in [
        "a@",
        "1 ",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "1.",
        "+1",
        "://a:",
    ] {
        let text = part.repeat(100_000 / part.len());
        let start = std::time::Instant::now();
        sensitive.mask(&text);
        assert!(start.elapsed().as_secs() < 20, "{part}");
    }
}

/// Pieces of things, put together at random.
fn text() -> impl Strategy<Value = String> {
    let things = TRUE.iter().map(|(_, text)| text.replace(['⟦', '⟧'], ""));
    let things: Vec<String> = things.collect();
    let part = prop_oneof![
        proptest::sample::select(things.clone()),
        proptest::sample::select(things).prop_flat_map(|thing| (0..=thing.len()).prop_map(
            move |end| {
                let end = (0..=end).rev().find(|&end| thing.is_char_boundary(end));
                thing[..end.unwrap_or(0)].to_owned()
            }
        )),
        "[0-9 .:@/+()-]{0,20}",
        "\\PC{0,6}",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_is_left_after_masking_and_masking_again_changes_nothing(text in text()) {
        let sensitive = Sensitive::default();
        let (masked, found) = sensitive.mask(&text);
        prop_assert_eq!(sensitive.find(&masked), vec![]);
        prop_assert_eq!(&sensitive.mask(&masked).0, &masked);
        prop_assert_eq!(found.is_empty(), masked == text);
        for pair in found.windows(2) {
            prop_assert!(pair[0].span.end <= pair[1].span.start);
        }
    }
}
