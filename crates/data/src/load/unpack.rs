//! The files of an archive, unpacked into a folder within bounds.

use std::fs::{File, create_dir_all};
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::archive::{Archive, Room, Unpacked};
use super::file::input;
use super::packing::{self, Packing};
use super::source::{RATIO_LIMIT, Source};
use super::zip::{ENTRY_LIMIT, Zip, check_name, too_large, too_many};
use crate::error::{DataError, Place, Result, escaped, quoted};

/// Unpacks the files of an archive into a folder, and takes their bytes from the `room` that there is for them.
///
/// Links and special files are not made. Names that lead out of the archive, or stand in it twice, are errors.
pub(super) fn unpack(archive: Archive, path: &Path, room: &Room) -> Result<Unpacked> {
    let failed = |error| input(path, "unpack", error);
    let folder = tempfile::tempdir().map_err(failed)?;
    let packed = Packing::stem(path);
    let inside = folder.path().join(packed.file_stem().unwrap_or_default());
    create_dir_all(&inside).map_err(failed)?;
    let mut to = Unpacking {
        archive: path,
        folder: &inside,
        room,
    };
    match archive {
        Archive::Zip => to.zip()?,
        Archive::Tar => to.tar()?,
    }
    Ok(Unpacked {
        path: inside,
        folder,
    })
}

struct Unpacking<'a> {
    archive: &'a Path,
    folder: &'a Path,
    room: &'a Room,
}

impl Unpacking<'_> {
    fn zip(&mut self) -> Result<()> {
        let mut zip = Zip::open(self.archive)?;
        let names: Vec<String> = zip.names().map(str::to_owned).collect();
        for name in names.iter().filter(|name| !name.ends_with('/')) {
            zip.stream(name, |from, packed| self.file(name, from, Some(packed)))?;
        }
        Ok(())
    }

    fn tar(&mut self) -> Result<()> {
        let archive = self.archive;
        let source = Source::bytes(archive, |_| Ok(()))?;
        let fault = |error: std::io::Error| {
            let error = match error.downcast::<DataError>() {
                Ok(limit) => return limit,
                Err(error) => error,
            };
            let place = Place::file(archive);
            match packing::fault(&error, place.clone()) {
                Some(truncated @ DataError::Truncated { .. }) => truncated,
                Some(_) => DataError::Broken {
                    place,
                    format: "TAR archive",
                    message: escaped(&error.to_string()),
                    hint: "Get the file again, or unpack it first",
                },
                None => input(archive, "read", error),
            }
        };
        let mut tar = tar::Archive::new(source.into_reader(self.room));
        for (index, entry) in tar.entries().map_err(fault)?.enumerate() {
            if index == ENTRY_LIMIT {
                return Err(too_many(archive, index + 1));
            }
            let mut entry = entry.map_err(fault)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            check_name(&name, archive)?;
            self.file(&name, &mut entry, None)?;
        }
        Ok(())
    }

    /// Writes one file. `packed` is its size in the archive if that packs each file alone.
    fn file(&mut self, name: &str, from: &mut dyn Read, packed: Option<u64>) -> Result<()> {
        let failed = |error| input(self.archive, "unpack", error);
        let path = self.folder.join(name.replace('\\', "/"));
        let failed_to_make = |error: std::io::Error| match error.kind() {
            // A name is that of two files, or of a file and of a folder.
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => DataError::Broken {
                place: Place::file(self.archive),
                format: "archive",
                message: format!("the entry {} stands in it twice", quoted(name)),
                hint: "Unpack it first",
            },
            _ => failed(error),
        };
        create_dir_all(path.parent().unwrap_or(self.folder)).map_err(failed_to_make)?;
        let mut file = File::create_new(&path).map_err(failed_to_make)?;
        let honest = packed.map_or(u64::MAX, |packed| {
            packed.saturating_mul(RATIO_LIMIT).max(1 << 20)
        });
        let left = match packed {
            Some(_) => self.room.left().min(self.room.left_on_disk()),
            None => self.room.left_on_disk(),
        };
        let bound = left.min(honest);
        let mut from = from.take(bound.saturating_add(1));
        let copied = std::io::copy(&mut from, &mut file);
        let written = copied.map_err(|error| match error.downcast::<DataError>() {
            Ok(limit) => limit,
            Err(error) => {
                packing::fault(&error, Place::file(self.archive)).unwrap_or_else(|| failed(error))
            }
        })?;
        self.room.write(self.archive, written)?;
        if packed.is_some() {
            self.room.unpack(self.archive, written)?;
        }
        if written > bound {
            return Err(too_large(self.archive, written, bound));
        }
        Ok(())
    }
}
