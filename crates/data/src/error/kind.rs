//! What an error is and where, without its message.

use super::{DataError, Place};

impl DataError {
    /// The kind in a few words, the same for every error of its variant: the key under which counts are kept.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "input/output",
            Self::NotARegularFile { .. } => "not a regular file",
            Self::UnknownFormat { .. } => "unknown format",
            Self::WrongFormat { .. } => "wrong format",
            Self::Encoding { .. } => "encoding",
            Self::FileChanged { .. } => "file changed",
            Self::Truncated { .. } => "truncated",
            Self::Checksum { .. } => "checksum",
            Self::LimitExceeded { .. } => "limit exceeded",
            Self::EmptyDataset { .. } => "empty data set",
            Self::Utf8 { .. } => "utf-8",
            Self::JsonSyntax { .. } => "json syntax",
            Self::NumberRange { .. } => "number range",
            Self::DuplicateKey { .. } => "duplicate key",
            Self::TooDeep { .. } => "too deep",
            Self::NotAnObject { .. } => "not an object",
            Self::LineTooLong { .. } => "line too long",
            Self::CsvSyntax { .. } => "csv syntax",
            Self::ControlChar { .. } => "control character",
            Self::MissingField { .. } => "missing field",
            Self::WrongType { .. } => "wrong type",
            Self::UnknownRole { .. } => "unknown role",
            Self::RoleOrder { .. } => "role order",
            Self::EmptyConversation { .. } => "empty conversation",
            Self::EmptyContent { .. } => "empty content",
            Self::NoPreference { .. } => "no preference",
            Self::Unsupported { .. } => "unsupported",
            Self::Fact { .. } => "fact",
            Self::Service { .. } => "service",
            Self::Setting { .. } => "setting",
            Self::TemplateSyntax { .. } => "template syntax",
            Self::TemplateRender { .. } => "template render",
            Self::TemplateRaised { .. } => "template raised",
            Self::TemplateLimit { .. } => "template limit",
            Self::TemplateCheck { .. } => "template check",
            Self::NoTemplate { .. } => "no template",
            Self::TokenizerInvalid { .. } => "tokenizer invalid",
            Self::UnknownToken { .. } => "unknown token",
            Self::TextTooLong { .. } => "text too long",
            Self::NoTrainableTokens { .. } => "no trainable tokens",
            Self::TooManyTokens { .. } => "too many tokens",
        }
    }
}

impl DataError {
    /// Where it is, for errors that have a place in a file.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Io { place, .. }
            | Self::NotARegularFile { place, .. }
            | Self::UnknownFormat { place, .. }
            | Self::WrongFormat { place, .. }
            | Self::Encoding { place, .. }
            | Self::FileChanged { place, .. }
            | Self::Truncated { place }
            | Self::Checksum { place, .. }
            | Self::LimitExceeded { place, .. }
            | Self::EmptyDataset { place, .. }
            | Self::Utf8 { place, .. }
            | Self::JsonSyntax { place, .. }
            | Self::NumberRange { place, .. }
            | Self::DuplicateKey { place, .. }
            | Self::TooDeep { place, .. }
            | Self::NotAnObject { place, .. }
            | Self::LineTooLong { place, .. }
            | Self::CsvSyntax { place, .. }
            | Self::ControlChar { place, .. }
            | Self::MissingField { place, .. }
            | Self::WrongType { place, .. }
            | Self::UnknownRole { place, .. }
            | Self::RoleOrder { place, .. }
            | Self::EmptyConversation { place }
            | Self::EmptyContent { place, .. }
            | Self::NoPreference { place }
            | Self::Unsupported { place, .. }
            | Self::Fact { place, .. }
            | Self::TemplateRender { place, .. }
            | Self::TemplateRaised { place, .. }
            | Self::TokenizerInvalid { place, .. }
            | Self::UnknownToken { place, .. }
            | Self::TextTooLong { place, .. }
            | Self::NoTrainableTokens { place, .. }
            | Self::TooManyTokens { place, .. } => Some(place),
            Self::Service { .. }
            | Self::Setting { .. }
            | Self::TemplateSyntax { .. }
            | Self::TemplateLimit { .. }
            | Self::TemplateCheck { .. }
            | Self::NoTemplate { .. } => None,
        }
    }

    /// The same error at a place, if it does not know one yet.
    pub(crate) fn at(mut self, at: Place) -> Self {
        if let Self::TextTooLong { place, .. }
        | Self::UnknownToken { place, .. }
        | Self::LimitExceeded { place, .. } = &mut self
            && *place == Place::default()
        {
            *place = at;
        }
        self
    }
}
