//! What can go wrong between a file and its token ids.

mod kind;
mod place;

pub use place::{Place, escaped, quoted};

/// The result of everything in this crate that can fail.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// Everything that can be wrong with data, templates and tokenizers.
///
/// Every message says where, what was found, what was expected and what to do. Text that comes from a file is escaped
/// and cut to 200 characters before it gets into a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    // --- files ---------------------------------------------------------------------------------------------------
    /// The operating system refused an operation.
    #[error("{place}: cannot {operation}: {source}")]
    Io {
        /// The file.
        place: Place,
        /// What was tried, as a verb: "open", "read".
        operation: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The path is a directory, a pipe, a device or a loop of links.
    #[error("{place}: found {found}; expected a regular file")]
    NotARegularFile {
        /// The path.
        place: Place,
        /// What lies there.
        found: &'static str,
    },
    /// No loader knows the file's extension.
    #[error(
        "{place}: no loader for {found}; expected one of {known}. Rename the file, or add a loader"
    )]
    UnknownFormat {
        /// The file.
        place: Place,
        /// Its extension.
        found: String,
        /// The extensions that have a loader.
        known: String,
    },
    /// The content is something else than the file's name says.
    #[error("{place}: found {found}; expected {expected}. {hint}")]
    WrongFormat {
        /// The file.
        place: Place,
        /// What the content looks like.
        found: &'static str,
        /// What the name promises.
        expected: &'static str,
        /// What to do.
        hint: String,
    },
    /// The file is broken, or holds what its loader does not read.
    #[error("{place}: cannot read the {format}: {message}. {hint}")]
    Broken {
        /// The file, or the place in it.
        place: Place,
        /// What the file is: "PDF", "workbook".
        format: &'static str,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// The loader for this format was not compiled in.
    #[error(
        "{place}: found {found}; this program was built without the feature {feature} of finetune-data. Build it with it"
    )]
    FeatureOff {
        /// The file.
        place: Place,
        /// Its extension.
        found: String,
        /// The feature.
        feature: &'static str,
    },
    /// The text is not valid in the encoding that it was taken for.
    #[error("{place}: the text is not valid {encoding}. Convert the file to UTF-8")]
    Undecodable {
        /// The file.
        place: Place,
        /// The encoding.
        encoding: &'static str,
    },
    /// The file is not UTF-8 but another encoding as a whole.
    #[error(
        "{place}: the text looks like {found}; expected UTF-8. Convert it: iconv -f {found} -t UTF-8"
    )]
    Encoding {
        /// The file.
        place: Place,
        /// The encoding that it looks like.
        found: &'static str,
    },
    /// The file was written to, cut or replaced while it was read.
    #[error(
        "{place}: the file changed while it was read: {before} bytes before, {after} bytes now. Load it again"
    )]
    FileChanged {
        /// The file.
        place: Place,
        /// Size in bytes when it was opened.
        before: u64,
        /// Size in bytes when the end was reached.
        after: u64,
    },
    /// A compressed file ends too early.
    #[error("{place}: the compressed data ends too early; the file is truncated. Get it again")]
    Truncated {
        /// The file.
        place: Place,
    },
    /// A compressed file does not have the checksum that it says.
    #[error("{place}: the compressed data is corrupt: {message}. Get the file again")]
    Checksum {
        /// The file.
        place: Place,
        /// What the decoder says.
        message: String,
    },
    /// A limit that protects memory and time was reached.
    #[error("{place}: {what} is {found}, limit {limit}. {hint}")]
    LimitExceeded {
        /// The file.
        place: Place,
        /// What is limited.
        what: &'static str,
        /// What was found, in the limit's unit.
        found: u64,
        /// The limit.
        limit: u64,
        /// What to do.
        hint: &'static str,
    },
    /// Nothing was left after loading.
    #[error(
        "{place}: no record found ({blank} blank, {broken} broken, {dropped} left out); expected at least one"
    )]
    EmptyDataset {
        /// The first of the paths.
        place: Place,
        /// Number of blank lines or empty documents.
        blank: u64,
        /// Number of records that were skipped or quarantined.
        broken: u64,
        /// Number of records that were left out on purpose.
        dropped: u64,
    },

    /// Rows on disk that were made with another tokenizer, template or setting than are used now.
    #[error("{place}: the {what} that made its rows: {found}; now: {expected}. Prepare them again")]
    Stale {
        /// The file.
        place: Place,
        /// "tokenizer", "template" or "settings".
        what: &'static str,
        /// What made the rows: a hash, or settings in words.
        found: String,
        /// What is used now.
        expected: String,
    },

    // --- records -------------------------------------------------------------------------------------------------
    /// A byte that is not UTF-8.
    #[error(
        "{place}: invalid byte 0x{byte:02X}; expected UTF-8 text. Convert the file, or repair this place"
    )]
    Utf8 {
        /// Where the byte is.
        place: Place,
        /// The byte.
        byte: u8,
    },
    /// Not JSON.
    #[error("{place}: {message}")]
    JsonSyntax {
        /// Where reading stopped.
        place: Place,
        /// Found, expected, and a hint.
        message: String,
    },
    /// A number that neither a 64-bit integer nor a 64-bit float can hold.
    #[error(
        "{place}: the number {number} is out of range; expected a 64-bit number. Write it as a string"
    )]
    NumberRange {
        /// Where the number starts.
        place: Place,
        /// The number as written.
        number: String,
    },
    /// An object, or the head of a table, has the same name twice.
    #[error("{place}: the name {key} stands here twice; expected it once. Remove one of the two")]
    DuplicateKey {
        /// Where the second one starts.
        place: Place,
        /// The name.
        key: String,
    },
    /// Lists and objects nested too deeply.
    #[error("{place}: the value is nested too deeply, limit {limit}")]
    TooDeep {
        /// Where the limit was passed.
        place: Place,
        /// The limit.
        limit: usize,
    },
    /// A record that is not an object with named fields.
    #[error(
        "{place}: found {found}; expected an object with named fields, such as {{\"text\": \"…\"}}"
    )]
    NotAnObject {
        /// The record.
        place: Place,
        /// What it is instead: "array", "string".
        found: &'static str,
    },
    /// A line or record too long to be data.
    #[error("{place}: the {what} is too long, limit {} MiB. Is it one record?", limit >> 20)]
    LineTooLong {
        /// Where it starts.
        place: Place,
        /// "line" or "record".
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not a table of comma- or tab-separated values.
    #[error("{place}: {message}")]
    CsvSyntax {
        /// The place.
        place: Place,
        /// Found, expected, and a hint.
        message: String,
    },
    /// A control character in the content, where these were forbidden.
    #[error(
        "{place}: the content holds the control character U+{character:04X}; expected text without control characters"
    )]
    ControlChar {
        /// The record.
        place: Place,
        /// The character.
        character: u32,
    },
    /// The record lacks a field that the mapping needs.
    #[error("{place}: field {field} is missing (found: {found}). {hint}")]
    MissingField {
        /// The record.
        place: Place,
        /// The field.
        field: String,
        /// The fields that the record has.
        found: String,
        /// The mapping to write.
        hint: String,
    },
    /// A field holds a value of another type.
    #[error(
        "{place}: field {field}: found {found}; expected {expected}{}",
        inside(found)
    )]
    WrongType {
        /// The record.
        place: Place,
        /// The field.
        field: String,
        /// The type that it has.
        found: &'static str,
        /// The type that it should have.
        expected: &'static str,
    },
    /// A field holds a value of the right type that means nothing.
    #[error("{place}: field {field}: found {found}; expected {expected}")]
    UnexpectedValue {
        /// The record.
        place: Place,
        /// The field.
        field: String,
        /// The value.
        found: String,
        /// What could stand there.
        expected: String,
    },
    /// Records of another format than those that are wanted.
    #[error("{place}: found {found}; expected {expected}. {hint}")]
    OtherFormat {
        /// The record.
        place: Place,
        /// The format that it has, with its fields.
        found: String,
        /// What is wanted.
        expected: &'static str,
        /// The mapping to write.
        hint: String,
    },
    /// Not a fault: a mapping leaves the record out. [`Loaders::collect`](crate::Loaders::collect) counts it under
    /// `reason`, whatever the policy for broken records.
    #[error("{place}: left out: {why}")]
    LeftOut {
        /// The record.
        place: Place,
        /// The key under which it is counted, read behind a number: "judged bad".
        reason: &'static str,
        /// What was found.
        why: String,
    },
    /// A role that no chat has.
    #[error("{place}: unknown role {found}; expected system, user, assistant or tool{hint}")]
    UnknownRole {
        /// The record.
        place: Place,
        /// The role as written.
        found: String,
        /// The nearest role, as "; did you mean …?", or nothing.
        hint: String,
    },
    /// The turns of a chat come in an order that no template renders.
    #[error("{place}: turn {turn}: found {found}; expected {expected}")]
    RoleOrder {
        /// The record.
        place: Place,
        /// The turn, from 1.
        turn: usize,
        /// What stands there.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A chat without turns.
    #[error(
        "{place}: the conversation has no turns; expected at least a user's and an assistant's"
    )]
    EmptyConversation {
        /// The record.
        place: Place,
    },
    /// A text that is empty or only white space.
    #[error("{place}: {field} is empty; expected text")]
    EmptyContent {
        /// The record.
        place: Place,
        /// The field or turn.
        field: String,
    },
    /// A preference pair whose two answers are the same.
    #[error("{place}: the chosen and the rejected answer are equal; expected a difference")]
    NoPreference {
        /// The record.
        place: Place,
    },
    /// A record that asks for something that is not built.
    #[error("{place}: {what} is not supported. {hint}")]
    Unsupported {
        /// The record.
        place: Place,
        /// What it asks for.
        what: String,
        /// What to do.
        hint: &'static str,
    },

    /// A fact or a phrasing that no question can be made of.
    #[error("{place}: {message}")]
    Fact {
        /// The fact, or the phrasings.
        place: Place,
        /// Found, expected, and a hint.
        message: String,
    },

    // --- network -------------------------------------------------------------------------------------------------
    /// A server cannot be reached, refuses, or answers something else than it should.
    #[error("{url}: {message}")]
    Network {
        /// What was asked for, without its query: a signature may stand there.
        url: String,
        /// The status of the answer, if one came.
        status: Option<u16>,
        /// What was found, what was expected, and a hint.
        message: String,
    },
    /// An address that is not asked, for safety or out of politeness.
    #[error("{url}: not fetched: {reason}")]
    Refused {
        /// The address.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A downloaded file that is not the one that was asked for.
    #[error("{place}: the downloaded file has {found}; expected {expected}. Get it again")]
    Download {
        /// Where it was to lie.
        place: Place,
        /// Its size or checksum.
        found: String,
        /// The size or checksum that the server promised.
        expected: String,
    },
    /// The network may not be asked, and the cache does not hold everything.
    #[error(
        "{name}: offline, and the cache {folder} holds {found}; expected {expected}. Unset HF_HUB_OFFLINE once"
    )]
    NotCached {
        /// The data set or model.
        name: String,
        /// The folder of the cache.
        folder: Place,
        /// What is there.
        found: String,
        /// What is missing.
        expected: String,
    },
    /// A service would refuse any request.
    #[error(
        "model {name}: {message}. Correct the settings; what was answered is kept in the cache"
    )]
    Service {
        /// The model that was asked.
        name: String,
        /// What the service says.
        message: String,
    },

    // --- settings ------------------------------------------------------------------------------------------------
    /// A setting given by the user cannot be used.
    #[error("{name}: found {found}; expected {expected}")]
    Setting {
        /// The setting.
        name: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },

    /// The weight of a source of a mix cannot be used.
    #[error(
        "{place}: the weight is {found}; expected a finite number of at least 0, and one above 0 in the mix"
    )]
    BadWeight {
        /// The source; no path if the sum of all is meant.
        place: Place,
        /// The weight.
        found: String,
    },

    // --- templates and tokenizers --------------------------------------------------------------------------------
    /// A template cannot be read.
    #[error("template {name}:{line}:{column}: {message}")]
    TemplateSyntax {
        /// The template.
        name: String,
        /// Line from 1.
        line: usize,
        /// Column from 1, in characters.
        column: usize,
        /// What the engine says.
        message: String,
    },
    /// A template failed while it rendered a conversation.
    #[error("{place}: template {name}:{line}: {message}")]
    TemplateRender {
        /// The record.
        place: Place,
        /// The template.
        name: String,
        /// Line from 1, or 0 if unknown.
        line: usize,
        /// What the engine says.
        message: String,
    },
    /// A template refused a conversation with `raise_exception`.
    #[error("{place}: template {name} refuses the conversation: {message}")]
    TemplateRaised {
        /// The record.
        place: Place,
        /// The template.
        name: String,
        /// The template's own words.
        message: String,
    },
    /// A template needs more time, depth or room than is granted.
    #[error("template {name}: passes the limit of {limit}")]
    TemplateLimit {
        /// The template.
        name: String,
        /// Which limit: "fuel", "depth", "output", "source".
        limit: &'static str,
    },
    /// A template renders something that cannot be trained on.
    #[error("template {name}: {message}")]
    TemplateCheck {
        /// The template.
        name: String,
        /// What was found and what was expected.
        message: String,
    },
    /// There is no template of this name.
    #[error("no template {name}; known: {known}")]
    NoTemplate {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A tokenizer's file cannot be used.
    #[error("{place}: the tokenizer is invalid: {message}")]
    TokenizerInvalid {
        /// The file.
        place: Place,
        /// Which part, and why.
        message: String,
    },
    /// The tokenizer has no token for a text.
    #[error(
        "{place}: the tokenizer has no token for {text} at byte {byte}, and none for unknown text"
    )]
    UnknownToken {
        /// The record.
        place: Place,
        /// The text.
        text: String,
        /// Its byte offset.
        byte: usize,
    },
    /// A text too long to be tokenized.
    #[error("{place}: the text has {found} bytes, limit {limit}. Split it")]
    TextTooLong {
        /// The record.
        place: Place,
        /// Its length in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A row of which nothing would be learned.
    #[error("{place}: no token to learn: {message}")]
    NoTrainableTokens {
        /// The record.
        place: Place,
        /// Where its completion starts, and how long a row may be.
        message: String,
    },
    /// A row longer than allowed, under the policy that refuses it.
    #[error(
        "{place}: the row has {found} tokens, limit {limit}. Choose a truncation policy, or a greater length"
    )]
    TooManyTokens {
        /// The record.
        place: Place,
        /// Its length in tokens.
        found: usize,
        /// The limit in tokens.
        limit: usize,
    },
}

/// How to map what lies inside of a value.
fn inside(found: &str) -> &'static str {
    match found {
        "array" => ". Map an item of it, such as `prompt=questions.0`",
        "object" => ". Map a field of it, such as `prompt=question.text`",
        _ => "",
    }
}
