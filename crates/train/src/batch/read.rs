//! Rows as a model reads them.

use burn::tensor::Device;
use finetune_data::encode::Row;
use finetune_model::{Side, Tokens};

use crate::error::Result;

/// One text in each row, padded on the right by place.
pub(crate) fn padded(rows: &[&Row], pad: u32, device: &Device) -> Result<Tokens> {
    let ids: Vec<Vec<Vec<u32>>> = rows
        .iter()
        .map(|row| vec![row.encoded.ids.clone()])
        .collect();
    Ok(Tokens::new(&ids, None, Side::Right, pad, device)?)
}

/// The kinds of all places, where any token is of the second text of a pair. Padding is of kind 0.
pub(crate) fn with_kinds(tokens: Tokens, rows: &[&Row]) -> Result<Tokens> {
    if rows
        .iter()
        .all(|row| row.encoded.kinds.iter().all(|kind| *kind == 0))
    {
        return Ok(tokens);
    }
    let length = tokens.length();
    let mut kinds = vec![0; rows.len() * length];
    for (row, places) in rows.iter().zip(kinds.chunks_mut(length)) {
        places[..row.encoded.kinds.len()].copy_from_slice(&row.encoded.kinds);
    }
    Ok(tokens.with_kinds(&kinds)?)
}
