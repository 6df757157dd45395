//! Which encoding a text is in, and its bytes as UTF-8.

use std::io::{self, BufRead, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_16BE, UTF_16LE};

/// How many bytes are looked at.
pub(super) const SAMPLE: usize = 64 << 10;

/// The encoding of a text that begins with `sample`, if it is another than UTF-8. `None` too for UTF-32, which nobody
/// writes, and for what looks like no text at all.
///
/// UTF-16 shows itself by its byte order mark or by where the zeros stand. A text with bytes that are not UTF-8 and
/// with more of them than characters beyond ASCII that are, is in an older encoding, which is guessed from which
/// letters would stand side by side. In any other text such bytes are damage, and are reported with their place.
pub(super) fn detect(sample: &[u8]) -> Option<&'static Encoding> {
    match wide(sample) {
        Some("UTF-16LE") => return Some(UTF_16LE),
        Some("UTF-16BE") => return Some(UTF_16BE),
        Some(_) => return None,
        None => {}
    }
    if sample.contains(&0) || !is_legacy(sample) {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, false);
    Some(detector.guess(None, Utf8Detection::Deny))
}

/// UTF-16 and UTF-32, by their byte order marks or by where the zeros stand.
pub(super) fn wide(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xFF, 0xFE, 0, 0, ..] => return Some("UTF-32LE"),
        [0, 0, 0xFE, 0xFF, ..] => return Some("UTF-32BE"),
        [0xFF, 0xFE, ..] => return Some("UTF-16LE"),
        [0xFE, 0xFF, ..] => return Some("UTF-16BE"),
        _ => {}
    }
    let zeros = |offset: usize| {
        head.iter()
            .skip(offset)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let (even, odd, units) = (zeros(0), zeros(1), head.len() / 2);
    // Western text in UTF-16 has a zero in nearly every unit, always on the same side.
    match (even, odd) {
        _ if units < 2 => None,
        (0, zeros) if zeros * 2 > units => Some("UTF-16LE"),
        (zeros, 0) if zeros * 2 > units => Some("UTF-16BE"),
        _ => None,
    }
}

/// Whether more bytes are not UTF-8 than characters beyond ASCII are.
fn is_legacy(sample: &[u8]) -> bool {
    let (mut valid, mut invalid) = (0, 0);
    let mut chunks = sample.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        // The sample may end inside of a character.
        let cut = chunks.peek().is_none() && sample.len() >= SAMPLE;
        invalid += usize::from(!chunk.invalid().is_empty() && !cut);
    }
    invalid > valid
}

/// The text of bytes in an encoding, without its byte order mark; `None` if they are not valid in it.
pub(super) fn decode(bytes: &[u8], encoding: &'static Encoding) -> Option<String> {
    let text = encoding.decode_with_bom_removal(bytes);
    (!text.1).then(|| text.0.into_owned())
}

/// A reader of text in another encoding, as UTF-8.
pub(super) struct Decoded<R> {
    from: R,
    decoder: Decoder,
    /// UTF-8 to hand out, from `at` on.
    ready: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: BufRead> Decoded<R> {
    pub(super) fn new(from: R, encoding: &'static Encoding) -> Self {
        Self {
            from,
            decoder: encoding.new_decoder_with_bom_removal(),
            ready: Vec::new(),
            at: 0,
            ended: false,
        }
    }

    /// Decodes the next bytes of the source, all that it has at hand.
    fn more(&mut self) -> io::Result<()> {
        let bytes = self.from.fill_buf()?;
        let last = bytes.is_empty();
        let room = self
            .decoder
            .max_utf8_buffer_length_without_replacement(bytes.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        self.ready.resize(room, 0);
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(bytes, &mut self.ready, last);
        self.ready.truncate(written);
        self.at = 0;
        self.from.consume(read);
        self.ended = last;
        match result {
            DecoderResult::Malformed(..) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                Malformed(self.decoder.encoding().name()),
            )),
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.ended {
            self.more()?;
        }
        let count = buffer.len().min(self.ready.len() - self.at);
        buffer[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// The bytes are not valid in this encoding.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not valid {0}")]
pub(super) struct Malformed(pub(super) &'static str);

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_JP, GBK, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let russian =
            "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства.";
        let chinese = "这是一个用来测试编码检测的句子，里面有很多常用的汉字。";
        let japanese = "これは文字コードの判定を試すための文章です。日本語で書かれています。";
        let french = "Été à la plage, où les élèves façonnent des châteaux.";
        let cases = [
            (russian, WINDOWS_1251),
            (chinese, GBK),
            (japanese, SHIFT_JIS),
            (japanese, EUC_JP),
            (french, WINDOWS_1252),
            ("中文繁體字的測試句子，常用的漢字都在這裡。", BIG5),
        ];
        for (text, encoding) in cases {
            let (bytes, _, lossy) = encoding.encode(text);
            assert!(!lossy);
            assert_eq!(detect(&bytes), Some(encoding), "{text}");
            assert_eq!(decode(&bytes, encoding).as_deref(), Some(text));
            assert_eq!(detect(text.as_bytes()), None, "{text}");
        }
        assert_eq!(detect(b"plain"), None);
        assert_eq!(detect(b"\xC3\xA9\xC3\xA9 and one \xE9"), None, "damage");
        assert_eq!(detect(b"\x89\0\xE9\x01\0\0\xFF"), None, "no text");
    }

    proptest! {
        /// However the source is cut into pieces, the text is the same.
        #[test]
        fn pieces_do_not_matter(text in ".{0,60}", size in 1_usize..9, little: bool) {
            let encoding = if little { UTF_16LE } else { UTF_16BE };
            let bytes: Vec<u8> = text
                .encode_utf16()
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect();
            let from = io::BufReader::with_capacity(size, bytes.as_slice());
            let mut read = String::new();
            Decoded::new(from, encoding).read_to_string(&mut read).unwrap();
            prop_assert_eq!(read, text.strip_prefix('\u{feff}').unwrap_or(&text));
        }
    }
}
