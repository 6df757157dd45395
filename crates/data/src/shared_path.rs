//! Paths that many records share.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path that is shared: every record of a file says where it lies, and a copy costs no more than a count. It is used
/// as a [`Path`] is.
///
/// ```
/// use finetune_data::Origin;
///
/// let origin = Origin::new("data/a.jsonl", 3);
/// assert_eq!(origin.path.extension().unwrap(), "jsonl");
/// assert_eq!(origin.path, std::path::Path::new("data/a.jsonl"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedPath(Arc<PathBuf>);

impl Deref for SharedPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for SharedPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Debug for SharedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: AsRef<OsStr> + ?Sized> From<&T> for SharedPath {
    fn from(path: &T) -> Self {
        Self::from(PathBuf::from(path))
    }
}

impl From<String> for SharedPath {
    fn from(path: String) -> Self {
        Self::from(PathBuf::from(path))
    }
}

impl From<PathBuf> for SharedPath {
    fn from(path: PathBuf) -> Self {
        Self(Arc::new(path))
    }
}

impl From<&SharedPath> for SharedPath {
    fn from(path: &SharedPath) -> Self {
        path.clone()
    }
}

impl From<SharedPath> for PathBuf {
    fn from(path: SharedPath) -> Self {
        Arc::unwrap_or_clone(path.0)
    }
}

impl PartialEq<Path> for SharedPath {
    fn eq(&self, other: &Path) -> bool {
        **self == *other
    }
}

impl PartialEq<&Path> for SharedPath {
    fn eq(&self, other: &&Path) -> bool {
        **self == **other
    }
}

impl PartialEq<PathBuf> for SharedPath {
    fn eq(&self, other: &PathBuf) -> bool {
        **self == **other
    }
}

impl Serialize for SharedPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PathBuf::deserialize(deserializer).map(Self::from)
    }
}
