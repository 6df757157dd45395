//! Names that are no paths: data sets of the hub and addresses of the web.

#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "net")]
mod net;

use std::path::Path;

#[cfg(feature = "net")]
pub(super) use net::page;

use super::Loaders;
use super::chain::Entry;
use crate::error::Result;
#[cfg(not(all(feature = "hub", feature = "net")))]
use crate::error::{DataError, Place};

/// A name that is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remote<'a> {
    /// `hf://owner/name`
    Hub(&'a str),
    /// `https://…`
    Web(&'a str),
}

impl<'a> Remote<'a> {
    pub(super) fn of(path: &'a Path) -> Option<Self> {
        let name = path.to_str()?;
        let begins = |scheme: &str| {
            let start = name.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if begins("hf://") {
            Some(Self::Hub(name))
        } else if begins("https://") || begins("http://") {
            Some(Self::Web(name))
        } else {
            None
        }
    }

    /// What is to be read.
    pub(super) fn entries(self, loaders: &Loaders) -> Result<Vec<Entry>> {
        match self {
            #[cfg(feature = "hub")]
            Self::Hub(name) => hub::entries(name, loaders),
            #[cfg(feature = "net")]
            Self::Web(address) => net::entries(address, loaders),
            #[cfg(not(feature = "hub"))]
            Self::Hub(name) => Err(off(name, "a name of the hub", "hub", loaders)),
            #[cfg(not(feature = "net"))]
            Self::Web(address) => Err(off(address, "an address of the web", "net", loaders)),
        }
    }
}

#[cfg(not(all(feature = "hub", feature = "net")))]
fn off(name: &str, found: &str, feature: &'static str, _: &Loaders) -> DataError {
    DataError::FeatureOff {
        place: Place::file(name),
        found: found.into(),
        feature,
    }
}
