//! The messages of an Arrow file or stream.
//!
//! They are framed here and not by arrow-ipc, which believes what they say of lengths.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, Schema};

use super::FORMAT;
use crate::error::{DataError, Place, Result, escaped};
use crate::load::cells;
use crate::load::file::input;

const HINT: &str = "Get the file again, or write it again and close its writer";
/// The longest head of a message, and the longest footer, in bytes.
const HEAD_LIMIT: u64 = 64 << 20;
/// How many rows a batch may have: rows of a column of nulls take no room in the file.
const ROW_LIMIT: i64 = 1 << 24;
const MARK: [u8; 4] = [0xFF; 4];

/// The messages of a file that are still to be read.
pub(super) struct Messages {
    path: PathBuf,
    file: BufReader<File>,
    size: u64,
    limit: u64,
    decoder: FileDecoder,
    order: Order,
}

/// Where the next message lies.
enum Order {
    /// Behind the last one.
    Stream,
    /// Where the footer says.
    Footer(std::vec::IntoIter<Block>),
}

/// A message: its head with the length in front, and its body.
struct Message {
    bytes: Vec<u8>,
    block: Block,
}

impl Message {
    fn head(&self) -> &[u8] {
        let start = if self.bytes.starts_with(&MARK) { 8 } else { 4 };
        let end = usize::try_from(self.block.metaDataLength()).unwrap_or(0);
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn body(&self) -> &[u8] {
        let start = usize::try_from(self.block.metaDataLength()).unwrap_or(0);
        self.bytes.get(start..).unwrap_or_default()
    }
}

impl Messages {
    /// Opens a file or a stream; which of the two it is its first bytes say.
    pub(super) fn open(path: PathBuf, mut file: File, limit: u64) -> Result<Self> {
        let size = file
            .seek(SeekFrom::End(0))
            .map_err(|error| input(&path, "read", error))?;
        let mut head = [0; 8];
        let read = file.rewind().and_then(|()| file.read(&mut head));
        read.map_err(|error| input(&path, "read", error))?;
        let mut messages = Self {
            file: BufReader::with_capacity(1 << 16, file),
            size,
            limit,
            decoder: FileDecoder::new(Arc::new(Schema::empty()), MetadataVersion::V5),
            order: Order::Stream,
            path,
        };
        if head.starts_with(b"FEA1") {
            return Err(DataError::Unsupported {
                place: Place::file(&messages.path),
                what: "Feather of version 1".into(),
                hint: "Write the table as Feather of version 2, or as Parquet",
            });
        }
        if head.starts_with(b"ARROW1") {
            messages.footer()?;
        } else {
            messages.seek(0)?;
            messages.schema()?;
        }
        Ok(messages)
    }

    /// Reads the schema and the places of the messages from the end of a file.
    fn footer(&mut self) -> Result<()> {
        let Some(end) = self.size.checked_sub(10).filter(|end| *end >= 8) else {
            return Err(self.broken("it ends too early"));
        };
        self.seek(end)?;
        let tail = self.bytes(10)?;
        let [a, b, c, d, magic @ ..] = &tail[..] else {
            return Err(self.broken("it ends too early"));
        };
        if magic != b"ARROW1" {
            return Err(self.broken("it does not end with ARROW1: it may be truncated"));
        }
        let length = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
        if length > end - 8 {
            return Err(self.broken("its footer is said to be longer than the file"));
        }
        self.within(length, HEAD_LIMIT)?;
        self.seek(end - length)?;
        let bytes = self.bytes(length)?;
        let footer =
            root_as_footer(&bytes).map_err(|_| self.broken("its footer makes no sense"))?;
        let schema = footer
            .schema()
            .ok_or_else(|| self.broken("it has no schema"))?;
        self.learn(schema, footer.version())?;
        let dictionaries = footer.dictionaries().into_iter().flatten();
        let blocks: Vec<Block> = dictionaries
            .chain(footer.recordBatches().into_iter().flatten())
            .copied()
            .collect();
        self.order = Order::Footer(blocks.into_iter());
        Ok(())
    }

    /// Reads the schema from the beginning of a stream.
    fn schema(&mut self) -> Result<()> {
        let message = self.message()?.ok_or_else(|| self.broken("it is empty"))?;
        let head = root_as_message(message.head())
            .map_err(|_| self.broken("it begins with no message"))?;
        let schema = head
            .header_as_schema()
            .ok_or_else(|| self.broken("it does not begin with a schema"))?;
        self.learn(schema, head.version())
    }

    fn learn(&mut self, schema: arrow_ipc::Schema<'_>, version: MetadataVersion) -> Result<()> {
        if schema.endianness() != arrow_ipc::Endianness::Little {
            return Err(DataError::Unsupported {
                place: Place::file(&self.path),
                what: "an Arrow file with the highest byte first".into(),
                hint: "Write it on a machine that has the lowest byte first",
            });
        }
        let schema =
            arrow_ipc::convert::try_fb_to_schema(schema).map_err(|error| self.failed(&error))?;
        cells::check(&schema, &Place::file(&self.path))?;
        self.decoder = FileDecoder::new(Arc::new(schema), version);
        Ok(())
    }

    /// The next batch of rows; `None` at the end.
    pub(super) fn batch(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(message) = self.message()? {
            let kind = self.check(&message)?;
            let (block, buffer) = (message.block, message.bytes.into());
            if kind == MessageHeader::DictionaryBatch {
                let read = self.decoder.read_dictionary(&block, &buffer);
                read.map_err(|error| self.failed(&error))?;
                continue;
            }
            let batch = self.decoder.read_record_batch(&block, &buffer);
            if let Some(batch) = batch.map_err(|error| self.failed(&error))? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn message(&mut self) -> Result<Option<Message>> {
        let (head, body) = match &mut self.order {
            Order::Stream => {
                let Some(head) = self.next_head()? else {
                    return Ok(None);
                };
                (head, None)
            }
            Order::Footer(blocks) => {
                let Some(block) = blocks.next() else {
                    return Ok(None);
                };
                let place = u64::try_from(block.offset()).ok();
                let head = u64::try_from(block.metaDataLength())
                    .ok()
                    .filter(|head| *head >= 8);
                let body = u64::try_from(block.bodyLength()).ok();
                let (Some(place), Some(head), Some(body)) = (place, head, body) else {
                    return Err(self.broken("a batch is said to lie outside of the file"));
                };
                self.seek(place)?;
                self.within(head, HEAD_LIMIT)?;
                (self.bytes(head)?, Some(body))
            }
        };
        self.with_body(head, body).map(Some)
    }

    /// The head of the next message of a stream, with the length before it; `None` at the mark of the end.
    fn next_head(&mut self) -> Result<Option<Vec<u8>>> {
        let mut start = self.bytes(4)?;
        if start == MARK {
            start.extend(self.bytes(4)?);
        }
        let length = start
            .last_chunk()
            .map_or(0, |length| u32::from_le_bytes(*length));
        if length == 0 {
            return Ok(None);
        }
        self.within(u64::from(length), HEAD_LIMIT)?;
        start.extend(self.bytes(u64::from(length))?);
        Ok(Some(start))
    }

    /// Reads the body that a head announces.
    fn with_body(&mut self, head: Vec<u8>, body: Option<u64>) -> Result<Message> {
        let mut message = Message {
            block: Block::new(0, i32::try_from(head.len()).unwrap_or(0), 0),
            bytes: head,
        };
        let told = root_as_message(message.head())
            .map_err(|_| self.broken("the head of a message makes no sense"))?
            .bodyLength();
        let length = body.or_else(|| u64::try_from(told).ok());
        let length = length.ok_or_else(|| self.broken("the length of a message is negative"))?;
        self.within(length, self.limit)?;
        message.bytes.extend(self.bytes(length)?);
        message.block = Block::new(0, message.block.metaDataLength(), length.cast_signed());
        Ok(message)
    }

    /// Holds what a message says of sizes against the limits, since the decoder believes it.
    fn check(&self, message: &Message) -> Result<MessageHeader> {
        let head = root_as_message(message.head())
            .map_err(|_| self.broken("the head of a message makes no sense"))?;
        let batch = match head.header_type() {
            MessageHeader::DictionaryBatch => head
                .header_as_dictionary_batch()
                .and_then(|batch| batch.data()),
            _ => head.header_as_record_batch(),
        };
        let Some(batch) = batch else {
            return Err(self.broken("found a message that is neither a batch nor a dictionary"));
        };
        let rows = batch
            .nodes()
            .into_iter()
            .flatten()
            .map(arrow_ipc::FieldNode::length)
            .max();
        if batch.length() < 0
            || batch.length() > ROW_LIMIT
            || rows.is_some_and(|rows| rows > ROW_LIMIT << 8)
        {
            return Err(self.broken("a batch is said to have more rows than any has"));
        }
        if batch.compression().is_none() {
            return Ok(head.header_type());
        }
        let mut unpacked = 0_u64;
        for buffer in batch.buffers().into_iter().flatten() {
            let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
            let length = message.body().get(start..).and_then(<[u8]>::first_chunk);
            if buffer.length() > 0 {
                let length = length
                    .ok_or_else(|| self.broken("a buffer is said to lie outside of its batch"))?;
                // -1 says that the buffer is not compressed after all.
                unpacked = unpacked
                    .saturating_add(u64::try_from(i64::from_le_bytes(*length)).unwrap_or(0));
            }
        }
        self.within_limit(unpacked, self.limit)?;
        Ok(head.header_type())
    }

    fn seek(&mut self, to: u64) -> Result<()> {
        let moved = self.file.seek(SeekFrom::Start(to));
        moved
            .map_err(|error| input(&self.path, "read", error))
            .map(drop)
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(length).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == length => Ok(bytes),
            Ok(_) => Err(self.broken("it ends too early: it may be truncated")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.broken("it ends too early"))
            }
            Err(error) => Err(input(&self.path, "read", error)),
        }
    }

    /// Refuses a length that the file cannot have, or that is beyond a limit.
    fn within(&self, length: u64, limit: u64) -> Result<()> {
        if length > self.size {
            return Err(self.broken("a message is said to be longer than the file"));
        }
        self.within_limit(length, limit)
    }

    fn within_limit(&self, length: u64, limit: u64) -> Result<()> {
        if length <= limit {
            return Ok(());
        }
        Err(DataError::LimitExceeded {
            place: Place::file(&self.path),
            what: "the size of a batch, unpacked, in bytes",
            found: length,
            limit,
            hint: "Write the table in smaller batches, or raise the limit of batches",
        })
    }

    fn failed(&self, error: &ArrowError) -> DataError {
        self.broken(&error.to_string())
    }

    fn broken(&self, message: &str) -> DataError {
        DataError::Broken {
            place: Place::file(&self.path),
            format: FORMAT,
            message: escaped(message),
            hint: HINT,
        }
    }
}
