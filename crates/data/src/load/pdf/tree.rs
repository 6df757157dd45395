//! The tree of pages, walked through before the parser does it, which never ends in one with a cycle.

use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;

use super::PAGE_LIMIT;
use crate::error::{DataError, Place, Result};

/// How deep the tree may be. Programs balance it; a list of pages one below the other is not written by any.
const DEPTH_LIMIT: usize = 100;
/// The most nodes of the tree.
const NODE_LIMIT: u64 = 2 * PAGE_LIMIT;

/// Refuses a tree with a cycle, and one that is too large. What is no tree at all is left to the parser, which looks
/// for pages elsewhere.
pub(super) fn check(pdf: &PdfDocument, place: &Place) -> Result<()> {
    let catalogue = pdf.catalog().ok();
    let root = catalogue
        .as_ref()
        .and_then(|catalogue| catalogue.as_dict()?.get("Pages"));
    let mut waiting: Vec<(Object, usize)> =
        root.map(|root| (root.clone(), 0)).into_iter().collect();
    let mut nodes = 0;
    while let Some((node, depth)) = waiting.pop() {
        nodes += 1;
        if depth > DEPTH_LIMIT {
            return Err(DataError::TooDeep {
                place: place.clone(),
                limit: DEPTH_LIMIT,
            });
        }
        if nodes > NODE_LIMIT {
            return Err(DataError::LimitExceeded {
                place: place.clone(),
                what: "the number of nodes in the tree of pages",
                found: nodes,
                limit: NODE_LIMIT,
                hint: "Split the document",
            });
        }
        let kids = kids(pdf, &node).unwrap_or_default();
        waiting.extend(kids.into_iter().map(|kid| (kid, depth + 1)));
    }
    Ok(())
}

fn kids(pdf: &PdfDocument, node: &Object) -> Option<Vec<Object>> {
    let node = pdf.resolve_object(node).ok()?;
    let kids = pdf.resolve_object(node.as_dict()?.get("Kids")?).ok()?;
    kids.as_array().cloned()
}
