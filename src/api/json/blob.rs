//! Bytes in JSON, as LF writes and reads them: text as a string, else a backspace and base 62, else an array
//! of numbers. All three are read everywhere; which one is written depends on the bytes alone.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::base62;

/// A string that begins with this goes on in base 62.
const BINARY_MARK: char = '\u{8}';
/// Longer binary is written as an array of numbers: base 62 costs the square of the length.
pub const BASE62_BYTES_MAX: usize = 512;
/// More base 62 digits than this are refused, for the same reason.
pub const BASE62_DIGITS_MAX: usize = 8_192;
/// Room taken beforehand for an array whose length is only hinted at.
const HINT_MAX: usize = 4_096;

/// Bytes that JSON shows in the most readable form that loses nothing.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Blob {
    fn from(bytes: &T) -> Blob {
        Blob(bytes.as_ref().to_vec())
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob(\"{}\")", self.0.escape_ascii())
    }
}

/// The bytes as a string, if that is readable and reads back as the same bytes.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let shown = |c: char| matches!(c, '\t' | '\n' | '\r') || !c.is_control();
    text.chars().all(shown).then_some(text)
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match as_text(&self.0) {
            Some(text) => serializer.serialize_str(text),
            None if self.0.len() <= BASE62_BYTES_MAX => {
                serializer.collect_str(&format_args!("{BINARY_MARK}{}", base62::encode(&self.0)))
            }
            None => serializer.collect_seq(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        deserializer.deserialize_any(BlobVisitor)
    }
}

struct BlobVisitor;

impl<'de> Visitor<'de> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, \"\\b\" and base 62, or an array of numbers from 0 to 255")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
        match text.strip_prefix(BINARY_MARK) {
            Some("") | None => Ok(Blob(text.as_bytes().to_vec())),
            Some(digits) if digits.len() > BASE62_DIGITS_MAX => Err(E::custom(format!(
                "{} digits of base 62 are too many (at most {BASE62_DIGITS_MAX}): use an array of numbers",
                digits.len()
            ))),
            Some(digits) => base62::decode(digits.as_bytes())
                .map(Blob)
                .ok_or_else(|| E::custom("what follows \"\\b\" is not base 62")),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Blob, E> {
        Ok(Blob::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Blob, A::Error> {
        let mut bytes = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(HINT_MAX));
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(Blob(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Vec<u8>, String> {
        serde_json::from_str::<Blob>(json).map(|b| b.0).map_err(|e| e.to_string())
    }

    #[test]
    fn all_three_forms_and_null_are_read() {
        assert_eq!(read(r#""horse""#), Ok(b"horse".to_vec()));
        assert_eq!(read(r#""\bH31""#), Ok(vec![255, 255]));
        assert_eq!(read("[0, 8, 255]"), Ok(vec![0, 8, 255]));
        assert_eq!(read("null"), Ok(vec![]));
        assert_eq!(read(r#""\b""#), Ok(vec![8]));
    }

    #[test]
    fn text_stays_readable_and_binary_takes_a_form_that_lf_reads() {
        let written = |bytes: &[u8]| serde_json::to_string(&Blob::from(bytes)).unwrap();
        assert_eq!(written("Grüße\n".as_bytes()), r#""Grüße\n""#);
        assert_eq!(written(&[255, 255]), r#""\bH31""#);
        assert_eq!(written(&[8]), r#""\b8""#);
        assert!(written(&[0xFE; BASE62_BYTES_MAX + 1]).starts_with("[254,254,"));
    }

    #[test]
    fn what_is_no_blob_is_refused_in_words() {
        assert!(read("[1, 256]").unwrap_err().contains("256"));
        assert!(read("[-1]").is_err());
        assert!(read("[1.5]").is_err());
        assert!(read(r#""\b!!""#).unwrap_err().contains("base 62"));
        assert!(read("{}").unwrap_err().contains("array of numbers"));
        assert!(read("17").is_err());
        let long = format!("\"\\b{}\"", "z".repeat(BASE62_DIGITS_MAX + 1));
        assert!(read(&long).unwrap_err().contains("too many"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same_bytes(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                proptest::collection::vec(any::<u8>(), 500..530),
                ".*".prop_map(String::into_bytes),
                "\u{8}[0-9A-Za-z]*".prop_map(String::into_bytes),
            ],
        ) {
            let json = serde_json::to_string(&Blob(bytes.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Blob>(&json).unwrap().0, bytes);
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,80}") {
            let _ = serde_json::from_str::<Blob>(&text);
            let _ = serde_json::from_value::<Blob>(serde_json::Value::String(text));
        }
    }
}
