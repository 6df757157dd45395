//! How a document is encrypted that cannot be read.

use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;

use crate::error::quoted;

/// Why a document is not read, in words, if its encryption is the reason: the cipher, or a password that is missing.
///
/// ISO 32000-2:2020, 7.6: `V` says where the cipher stands, `R` how keys are made of passwords.
pub(super) fn unreadable(pdf: &PdfDocument) -> Option<String> {
    if !pdf.is_encrypted() {
        return None;
    }
    let resolved = |value: &Object| pdf.resolve_object(value).ok();
    let trailer = pdf.trailer().as_dict();
    let dictionary = trailer.and_then(|trailer| resolved(trailer.get("Encrypt")?));
    let dictionary = dictionary.as_ref().and_then(Object::as_dict);
    let entry = |name: &str| resolved(dictionary?.get(name)?);
    let number = |name: &str| entry(name).and_then(|value| value.as_integer());
    let revision = number("R").unwrap_or(0);
    // Of revision 5, which was Adobe's alone, the parser makes the wrong key.
    if pdf.is_authenticated() && revision != 5 {
        return None;
    }
    let filter = entry("Filter");
    if let Some(other) = filter.as_ref().and_then(Object::as_name)
        && other != "Standard"
    {
        return Some(format!("a PDF whose encryption is by {}", quoted(other)));
    }
    let method = || {
        let filters = entry("CF")?;
        let stream = entry("StmF")?;
        let filter = resolved(filters.as_dict()?.get(stream.as_name()?)?)?;
        let method = resolved(filter.as_dict()?.get("CFM")?)?;
        method.as_name().map(str::to_owned)
    };
    let cipher = match (number("V"), method().as_deref()) {
        (Some(1), _) => "RC4 with 40 bits".to_owned(),
        (Some(2 | 3), _) => format!("RC4 with {} bits", number("Length").unwrap_or(40)),
        (_, Some("V2")) => "RC4 with 128 bits".to_owned(),
        (_, Some("AESV2")) => "AES with 128 bits".to_owned(),
        (_, Some("AESV3")) => "AES with 256 bits".to_owned(),
        (_, Some(other)) => format!("the cipher {}", quoted(other)),
        (_, None) => "a cipher that it does not name".to_owned(),
    };
    // Of the others it is not known whether the empty password opens them.
    Some(if revision == 6 {
        format!("a PDF that needs a password (it is encrypted by {cipher}, revision 6)")
    } else {
        format!("a PDF that is encrypted by {cipher} (revision {revision})")
    })
}
