//! What an error is and where, without its message.

use super::{DataError, Place};

/// The place of an error, borrowed as the error is.
macro_rules! place_of {
    ($error:expr) => {
        match $error {
            DataError::Io { place, .. }
            | DataError::NotARegularFile { place, .. }
            | DataError::UnknownFormat { place, .. }
            | DataError::WrongFormat { place, .. }
            | DataError::Encoding { place, .. }
            | DataError::Broken { place, .. }
            | DataError::FeatureOff { place, .. }
            | DataError::Undecodable { place, .. }
            | DataError::FileChanged { place, .. }
            | DataError::Truncated { place }
            | DataError::Checksum { place, .. }
            | DataError::LimitExceeded { place, .. }
            | DataError::Stale { place, .. }
            | DataError::EmptyDataset { place, .. }
            | DataError::Utf8 { place, .. }
            | DataError::JsonSyntax { place, .. }
            | DataError::NumberRange { place, .. }
            | DataError::DuplicateKey { place, .. }
            | DataError::TooDeep { place, .. }
            | DataError::NotAnObject { place, .. }
            | DataError::LineTooLong { place, .. }
            | DataError::CsvSyntax { place, .. }
            | DataError::ControlChar { place, .. }
            | DataError::MissingField { place, .. }
            | DataError::WrongType { place, .. }
            | DataError::UnexpectedValue { place, .. }
            | DataError::OtherFormat { place, .. }
            | DataError::LeftOut { place, .. }
            | DataError::UnknownRole { place, .. }
            | DataError::RoleOrder { place, .. }
            | DataError::EmptyConversation { place }
            | DataError::EmptyContent { place, .. }
            | DataError::NoPreference { place }
            | DataError::Unsupported { place, .. }
            | DataError::Fact { place, .. }
            | DataError::BadWeight { place, .. }
            | DataError::Download { place, .. }
            | DataError::TemplateRender { place, .. }
            | DataError::TemplateRaised { place, .. }
            | DataError::TokenizerInvalid { place, .. }
            | DataError::UnknownToken { place, .. }
            | DataError::TextTooLong { place, .. }
            | DataError::NoTrainableTokens { place, .. }
            | DataError::TooManyTokens { place, .. } => Some(place),
            DataError::Service { .. }
            | DataError::Network { .. }
            | DataError::Refused { .. }
            | DataError::NotCached { .. }
            | DataError::Setting { .. }
            | DataError::TemplateSyntax { .. }
            | DataError::TemplateLimit { .. }
            | DataError::TemplateCheck { .. }
            | DataError::NoTemplate { .. } => None,
        }
    };
}

impl DataError {
    /// The kind in a few words, the same for every error of its variant: the key under which counts are kept.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "input/output",
            Self::NotARegularFile { .. } => "not a regular file",
            Self::UnknownFormat { .. } => "unknown format",
            Self::WrongFormat { .. } => "wrong format",
            Self::Encoding { .. } => "encoding",
            Self::Broken { .. } => "broken file",
            Self::FeatureOff { .. } => "feature off",
            Self::Undecodable { .. } => "undecodable",
            Self::FileChanged { .. } => "file changed",
            Self::Truncated { .. } => "truncated",
            Self::Checksum { .. } => "checksum",
            Self::Stale { .. } => "stale",
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
            Self::UnexpectedValue { .. } => "unexpected value",
            Self::OtherFormat { .. } => "other format",
            Self::LeftOut { .. } => "left out",
            Self::UnknownRole { .. } => "unknown role",
            Self::RoleOrder { .. } => "role order",
            Self::EmptyConversation { .. } => "empty conversation",
            Self::EmptyContent { .. } => "empty content",
            Self::NoPreference { .. } => "no preference",
            Self::Unsupported { .. } => "unsupported",
            Self::Fact { .. } => "fact",
            Self::Network { .. } => "network",
            Self::Refused { .. } => "refused",
            Self::Download { .. } => "download",
            Self::NotCached { .. } => "not cached",
            Self::Service { .. } => "service",
            Self::Setting { .. } => "setting",
            Self::BadWeight { .. } => "bad weight",
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
        place_of!(self)
    }

    /// The place, to be changed.
    pub(crate) fn place_mut(&mut self) -> Option<&mut Place> {
        place_of!(self)
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
