//! Tables of `SQLite` databases.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::chain::until_error;
use super::file::{input, regular};
use super::packing::Packing;
use super::spool::spooled;
use super::values::{base64, float};
use crate::document::{Document, Documents, Load, Origin, PlaceUnit, Record, Records, documents};
use crate::error::{DataError, Place, Result, escaped};

/// How much a row may take in memory, in bytes.
const ROW_LIMIT: usize = 64 << 20;
/// After how many of its steps the database looks at the clock.
const STEPS: i32 = 10_000;
/// How many rows are read ahead.
const AHEAD: usize = 64;

/// Loads tables of `SQLite` databases (`.db`, `.db3`, `.sqlite`, `.sqlite3`): every row of every table is a document.
///
/// Its columns become fields: integers and floats exactly, texts, null, binary values in base 64, and the floats
/// `Infinity` and `-Infinity` as texts. The field `table` names the table unless a column has this name. The path of a
/// document is that of the table below its database, `a.db/users`, and the place is the row, in the order in which they
/// lie. Tables come in the order in which they were made; virtual tables, views and those of `SQLite` itself are read
/// only when they are named with [`Sqlite::tables`].
///
/// The database is opened for reading alone, as if nobody could change it, and its own functions are not trusted: no
/// trigger and no view runs unasked. Changes that lie in a `-wal` or `-journal` file beside it would not be seen, so
/// such a database is refused. Texts must be UTF-8. A row may take 64 MiB and half a minute, or
/// [`Sqlite::seconds`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sqlite {
    tables: Vec<String>,
    seconds: u64,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            seconds: 30,
        }
    }
}

impl Sqlite {
    /// How long the database may look for one row, in seconds.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// A loader for these tables or views, in this order.
    pub fn tables<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            tables: names.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

impl Load for Sqlite {
    fn extensions(&self) -> &[&str] {
        &["db", "db3", "sqlite", "sqlite3"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    /// The rows are read by a thread of their own, since its cursor cannot be kept beside its connection.
    fn records(&self, path: &Path) -> Result<Records> {
        let database = Database::open(path, self.seconds)?;
        let tables = if self.tables.is_empty() {
            database.ordinary()?
        } else {
            self.tables.clone()
        };
        let (sender, receiver) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new().spawn(move || {
            for table in tables {
                if let Err(error) = database.rows(&table, &sender) {
                    // Who waits no longer wants no error.
                    let _ = sender.send(Err(error));
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| input(path, "start a thread for", error))?;
        let (path, mut thread) = (path.to_path_buf(), Some(thread));
        Ok(until_error(std::iter::from_fn(move || {
            if let Ok(record) = receiver.recv() {
                return Some(record);
            }
            let ended = thread.take().map(std::thread::JoinHandle::join);
            matches!(ended, Some(Err(_))).then(|| Err(broken(&path, "its reader failed")))
        })))
    }
}

struct Database {
    path: PathBuf,
    connection: Connection,
    /// When the present step must be done, in seconds since `start`.
    deadline: Arc<AtomicU64>,
    /// How long a step may take.
    seconds: u64,
    start: Instant,
    /// The unpacked copy, kept as long as it is read.
    _copy: Option<NamedTempFile>,
}

impl Database {
    fn open(path: &Path, seconds: u64) -> Result<Self> {
        regular(path)?;
        let copy = Packing::of(path).map(|_| unpacked(path)).transpose()?;
        let real = copy.as_ref().map_or(path, NamedTempFile::path);
        check(path, real)?;
        let failed = |error: rusqlite::Error| broken(path, &error.to_string());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(address(real), flags).map_err(failed)?;
        for (setting, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        ] {
            connection.set_db_config(setting, on).map_err(failed)?;
        }
        let length = i32::try_from(ROW_LIMIT).unwrap_or(i32::MAX);
        connection
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, length)
            .map_err(failed)?;
        connection
            .set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)
            .map_err(failed)?;
        let start = Instant::now();
        let deadline = Arc::new(AtomicU64::new(seconds));
        let until = Arc::clone(&deadline);
        let late = move || start.elapsed().as_secs() >= until.load(Ordering::Relaxed);
        connection
            .progress_handler(STEPS, Some(late))
            .map_err(failed)?;
        Ok(Self {
            path: path.to_path_buf(),
            connection,
            deadline,
            seconds,
            start,
            _copy: copy,
        })
    }

    /// The names of the ordinary tables.
    fn ordinary(&self) -> Result<Vec<String>> {
        const ORDINARY: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' \
             AND name IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table') ORDER BY rowid";

        self.begin();
        let names = || {
            let mut statement = self.connection.prepare(ORDINARY)?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect::<rusqlite::Result<_>>()
        };
        names().map_err(|error| self.failed(&error))
    }

    /// Sends the rows of a table; returns early when nobody waits for them.
    fn rows(&self, table: &str, to: &SyncSender<Result<Record>>) -> Result<()> {
        self.begin();
        let query = format!("SELECT * FROM \"{}\"", table.replace('"', "\"\""));
        let failed = |error: rusqlite::Error| self.failed(&error);
        let mut statement = self.connection.prepare(&query).map_err(failed)?;
        let names: Vec<String> = statement.column_names().map(str::to_string).collect();
        let mut rows = statement.query([]).map_err(failed)?;
        let mut place = 0;
        let path = self.path.join(table);
        while let Some(row) = rows.next().map_err(failed)? {
            place += 1;
            let origin = Origin::of(&path, PlaceUnit::Row, place);
            let document = document(row, &names, table, origin);
            if to.send(Ok(Record::ready(document))).is_err() {
                return Ok(());
            }
            self.begin();
        }
        Ok(())
    }

    /// Sets the clock for one step.
    fn begin(&self) {
        let now = self.start.elapsed().as_secs();
        self.deadline
            .store(now.saturating_add(self.seconds), Ordering::Relaxed);
    }

    fn failed(&self, error: &rusqlite::Error) -> DataError {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
            return DataError::LimitExceeded {
                place: Place::file(&self.path),
                what: "the time in seconds to find a row",
                found: self.seconds,
                limit: self.seconds,
                hint: "Write the rows to a table of their own, or to a file",
            };
        }
        broken(&self.path, &error.to_string())
    }
}

/// Refuses what is no database, and what has changes beside it.
fn check(path: &Path, real: &Path) -> Result<()> {
    let mut head = [0; 16];
    let read = File::open(real).and_then(|mut file| io::Read::read(&mut file, &mut head));
    read.map_err(|error| input(path, "read", error))?;
    if &head != b"SQLite format 3\0" {
        return Err(broken(
            path,
            "it does not begin as one; it is something else, or encrypted",
        ));
    }
    for (end, what) in [
        ("-wal", "in a write-ahead log"),
        ("-journal", "half done, in a journal"),
    ] {
        let mut beside = real.as_os_str().to_owned();
        beside.push(end);
        if std::fs::metadata(beside).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(DataError::Unsupported {
                place: Place::file(path),
                what: format!("a database with changes {what} beside it"),
                hint: "Close it everywhere, or copy it: sqlite3 FILE \"VACUUM INTO 'copy.db'\"",
            });
        }
    }
    Ok(())
}

fn unpacked(path: &Path) -> Result<NamedTempFile> {
    let mut copy = NamedTempFile::new().map_err(|error| input(path, "unpack", error))?;
    let copied = io::copy(&mut spooled(path)?, &mut copy);
    copied.map_err(|error| input(path, "unpack", error))?;
    Ok(copy)
}

/// The path as an address that says that nobody changes the file, so that none is written beside it.
fn address(path: &Path) -> String {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => address.extend(percent(*byte)),
        }
    }
    address + "?mode=ro&immutable=1"
}

/// A byte as addresses write it where it may not stand as it is: `%2F`.
fn percent(byte: u8) -> [char; 3] {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
    ['%', digit(byte >> 4), digit(byte & 15)]
}

fn document(row: &Row<'_>, names: &[String], table: &str, origin: Origin) -> Result<Document> {
    let place = Place::from(&origin);
    let mut left = ROW_LIMIT;
    let mut document = Document {
        text: String::new(),
        fields: std::iter::once(("table".to_string(), table.into())).collect(),
        origin,
    };
    for (index, name) in names.iter().enumerate() {
        let cell = row
            .get_ref(index)
            .map_err(|error| broken(&place.path, &error.to_string()))?;
        let value = match cell {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => float(number),
            ValueRef::Blob(bytes) => {
                spend(&mut left, bytes.len().div_ceil(3) * 4, &place)?;
                base64(bytes).into()
            }
            ValueRef::Text(bytes) => {
                spend(&mut left, bytes.len(), &place)?;
                let text = std::str::from_utf8(bytes).map_err(|error| DataError::Utf8 {
                    place: place.clone(),
                    byte: bytes[error.valid_up_to()],
                })?;
                text.into()
            }
        };
        document.fields.insert(name.clone(), value);
    }
    Ok(document)
}

fn spend(left: &mut usize, bytes: usize, place: &Place) -> Result<()> {
    *left = left
        .checked_sub(bytes)
        .ok_or_else(|| DataError::LimitExceeded {
            place: place.clone(),
            what: "the size of the row in bytes",
            found: (ROW_LIMIT - *left + bytes) as u64,
            limit: ROW_LIMIT as u64,
            hint: "Leave out its large columns: name a view without them",
        })?;
    Ok(())
}

fn broken(path: &Path, message: &str) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: "SQLite database",
        message: escaped(message),
        hint: "Check it with PRAGMA integrity_check, or save what can be saved with .recover",
    }
}
