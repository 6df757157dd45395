//! Names that are no paths: data sets of the hub and addresses of the web.

use std::path::Path;

use super::Loaders;
use super::chain::Entry;
use crate::error::{DataError, Place, Result};

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

#[cfg(feature = "hub")]
mod hub {
    use std::path::PathBuf;

    use super::super::chain::{Member, What};
    use super::{Entry, Loaders, Result};
    use crate::hub::{Hub, HubName, Kind, Select};

    /// Files that tell about a data set and are none of it.
    const ABOUT: [&str; 3] = ["README.md", "dataset_info.json", "dataset_infos.json"];

    /// The files of a data set, named by the hub's name and the commit.
    pub(super) fn entries(name: &str, loaders: &Loaders) -> Result<Vec<Entry>> {
        let name = HubName::parse(name, Kind::Dataset)?;
        let own;
        let hub = if let Some(hub) = &loaders.hub {
            hub
        } else {
            own = Hub::from_env()?;
            &own
        };
        let snapshot = hub.get(&name, &Select::of(Kind::Dataset))?;
        let folder = snapshot.files.iter().find_map(|file| {
            let commit = snapshot.commit.as_str();
            file.ancestors().find(|folder| folder.ends_with(commit))
        });
        let member = Member::snapshot(
            folder.unwrap_or(&snapshot.path).to_path_buf(),
            PathBuf::from(format!("hf://{}@{}", name.id(), snapshot.commit)),
        );
        let files = snapshot.files.into_iter();
        let files = files.filter(|file| !ABOUT.iter().any(|about| file.ends_with(about)));
        let entry = |file: PathBuf| {
            let what = loaders.loader(&file).unwrap_or(What::PassedOver);
            Entry::new(file, what).of(&member)
        };
        Ok(files.map(entry).collect())
    }
}

#[cfg(feature = "net")]
pub(super) use net::page;

#[cfg(feature = "net")]
mod net {
    use super::super::chain::Member;
    use super::super::file::input;
    use super::{DataError, Entry, Loaders, Path, Place, Result};
    use crate::net::Page;

    /// Types of content, and the extension whose loader reads them.
    const TYPES: [(&str, &str); 14] = [
        ("text/html", "html"),
        ("application/xhtml+xml", "html"),
        ("application/pdf", "pdf"),
        ("application/json", "json"),
        ("application/x-ndjson", "jsonl"),
        ("application/epub+zip", "epub"),
        ("application/zip", "zip"),
        ("application/gzip", "gz"),
        ("text/csv", "csv"),
        ("text/markdown", "md"),
        ("text/tab-separated-values", "tsv"),
        ("application/xml", "xml"),
        ("text/xml", "xml"),
        ("text/plain", "txt"),
    ];

    /// A page, or all pages of a sitemap; they are fetched one after the other when they are read.
    pub(super) fn entries(address: &str, loaders: &Loaders) -> Result<Vec<Entry>> {
        let name = address.rsplit('/').next().unwrap_or_default();
        let is_sitemap = name.starts_with("sitemap") && name.contains(".xml");
        let pages = if is_sitemap {
            let sitemap = loaders.fetch.sitemap(address)?;
            sitemap.pages.into_iter().map(|page| page.url).collect()
        } else {
            vec![address.to_owned()]
        };
        Ok(pages.into_iter().map(Entry::page).collect())
    }

    /// Fetches a page as a file of its format.
    pub(in super::super) fn page(address: &str, loaders: &Loaders) -> Result<Entry> {
        let page = loaders.fetch.page(address)?;
        let failed = |error| input(Path::new(address), "keep", error);
        let folder = tempfile::tempdir().map_err(failed)?;
        let file = folder.path().join(name(&page));
        std::fs::write(&file, content(&page)).map_err(failed)?;
        let what = loaders.loader(&file).map_err(|_| DataError::Unsupported {
            place: Place::file(&page.url),
            what: format!(
                "a page of the type {}",
                crate::error::escaped(&page.content_type)
            ),
            hint: "Save it under the extension of its format, and load the file",
        })?;
        let fields = [
            ("url", Some(page.url.clone())),
            ("date", page.date),
            ("language", page.language),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        let member = Member::page(folder, page.url.into(), fields.collect());
        Ok(Entry::new(file, what).of(&member))
    }

    /// A name whose extension says what the page is.
    fn name(page: &Page) -> String {
        let path = page.url.split(['?', '#']).next().unwrap_or_default();
        let own = path.rsplit('/').next().unwrap_or_default();
        let own = own.rsplit_once('.').map(|(_, extension)| extension);
        let own =
            own.filter(|own| !own.is_empty() && own.bytes().all(|b| b.is_ascii_alphanumeric()));
        let known = TYPES.iter().find(|(kind, _)| *kind == page.content_type);
        let extension = match (known, own) {
            // Servers send anything that they do not know as plain text.
            (Some((_, "txt")) | None, Some(own)) => own,
            (Some((_, extension)), _) => extension,
            (None, None) => "txt",
        };
        format!("page.{extension}")
    }

    /// The page's bytes, or its text with a mark that says UTF-8 if the server said another encoding.
    fn content(page: &Page) -> Vec<u8> {
        match &page.text {
            Some(text) if text.as_bytes() != page.bytes => format!("\u{feff}{text}").into_bytes(),
            _ => page.bytes.clone(),
        }
    }
}
