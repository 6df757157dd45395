//! Files that are compressed as a whole, known by the last extension of their name: `data.jsonl.zst`.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use super::sniff;
use crate::error::{DataError, Place, Result};

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// What is known of a packing.
struct About {
    extension: &'static str,
    /// The first bytes of every such file.
    magic: &'static [u8],
    name: &'static str,
    /// The feature that unpacks it; empty if that is always there.
    #[cfg_attr(
        all(feature = "zstd", feature = "bz2", feature = "xz"),
        allow(dead_code, reason = "only what is off is named")
    )]
    feature: &'static str,
}

/// The memory that the window of `.xz` data may ask for, in KiB.
#[cfg(feature = "xz")]
const XZ_MEMORY: u32 = 128 << 10;

impl Packing {
    /// How the name says that the file is packed.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        [Self::Gzip, Self::Zstd, Self::Bzip2, Self::Xz]
            .into_iter()
            .find(|packing| packing.about().extension == extension)
    }

    /// The name without what says that the file is packed.
    pub(super) fn stem(path: &Path) -> PathBuf {
        match Self::of(path) {
            Some(_) => path.with_extension(""),
            None => path.to_path_buf(),
        }
    }

    /// Refuses a file that begins otherwise than its name says.
    pub(super) fn check(self, head: &[u8], path: &Path) -> Result<()> {
        let About {
            extension,
            magic,
            name,
            ..
        } = self.about();
        if head.starts_with(magic) {
            return Ok(());
        }
        let found = if sniff::is_html(head) {
            "an HTML page"
        } else if head.starts_with(sniff::LFS_POINTER) {
            "a Git LFS pointer: run git lfs pull"
        } else {
            "other data"
        };
        Err(DataError::WrongFormat {
            place: Place::file(path),
            found,
            expected: name,
            hint: format!("Remove .{extension} from the name if it is not compressed"),
        })
    }

    /// The unpacked bytes. Several packed pieces one after the other are one file.
    pub(super) fn reader(
        self,
        packed: impl BufRead + Send + 'static,
        path: &Path,
    ) -> Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            #[cfg(feature = "zstd")]
            Self::Zstd => Box::new(
                zstd::stream::read::Decoder::with_buffer(packed)
                    .map_err(|error| super::file::input(path, "read", error))?,
            ),
            #[cfg(feature = "bz2")]
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
            #[cfg(feature = "xz")]
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY)),
            #[cfg(not(all(feature = "zstd", feature = "bz2", feature = "xz")))]
            _ => return Err(self.off(path)),
        })
    }

    #[cfg(not(all(feature = "zstd", feature = "bz2", feature = "xz")))]
    fn off(self, path: &Path) -> DataError {
        let about = self.about();
        DataError::FeatureOff {
            place: Place::file(path),
            found: crate::error::quoted(&format!(".{}", about.extension)),
            feature: about.feature,
        }
    }

    fn about(self) -> About {
        let (extension, magic, name, feature): (_, &[u8], _, _) = match self {
            Self::Gzip => ("gz", b"\x1F\x8B", "gzip data", ""),
            Self::Zstd => ("zst", b"\x28\xB5\x2F\xFD", "zstd data", "zstd"),
            Self::Bzip2 => ("bz2", b"BZh", "bzip2 data", "bz2"),
            Self::Xz => ("xz", b"\xFD7zXZ\0", "xz data", "xz"),
        };
        About {
            extension,
            magic,
            name,
            feature,
        }
    }
}

/// What an error of an unpacking reader says about the packed data, or `None` if the file itself could not be read.
pub(super) fn fault(error: &io::Error, place: Place) -> Option<DataError> {
    if error.raw_os_error().is_some() {
        None
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        Some(DataError::Truncated { place })
    } else {
        Some(DataError::Checksum {
            place,
            message: error.to_string(),
        })
    }
}
