//! Files of frozen vectors: compared with what the code makes, or written anew under `LFDNS_BLESS=1`.
#![allow(dead_code, unreachable_pub)]

use std::path::PathBuf;

use serde_json::Value;

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file)
}

/// Whether the files are to be written.
pub fn blessing() -> bool {
    std::env::var_os("LFDNS_BLESS").is_some_and(|v| v == "1")
}

/// What a file says.
pub fn frozen(file: &str) -> Value {
    let text = std::fs::read(path(file)).unwrap_or_else(|e| panic!("tests/vectors/{file}: {e}"));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("tests/vectors/{file}: {e}"))
}

/// Fails unless the file says what was made; writes it when blessing.
pub fn freeze(file: &str, made: &Value) {
    if blessing() {
        let text = serde_json::to_string_pretty(made).expect("JSON");
        std::fs::write(path(file), text + "\n").expect("tests/vectors can be written");
        return;
    }
    if let Some(at) = difference(&frozen(file), made) {
        panic!("tests/vectors/{file} differs{at}\nIf the format is meant to change, see the README there.");
    }
}

/// The first place where two values differ, with both sides.
fn difference(frozen: &Value, made: &Value) -> Option<String> {
    match (frozen, made) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let each = a.iter().zip(b).enumerate();
            each.into_iter().find_map(|(n, (a, b))| Some(format!("[{n}]{}", difference(a, b)?)))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).find_map(|((key, a), b)| Some(format!(".{key}{}", difference(a, b)?)))
        }
        _ if frozen == made => None,
        _ => Some(format!("\n  frozen: {frozen}\n  made:   {made}")),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|d| char::from(b"0123456789abcdef"[usize::from(d)]))
        .collect()
}

/// The bytes of a hexadecimal string.
pub fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("a string");
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}
