//! z-base-32: how owner keys are written by people and in DNS labels (case does not matter there).
//!
//! Only the canonical spelling decodes: lower case, exact length, unused bits zero. Another spelling of the
//! same key would be another DNS name for it.

const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// Encodes bytes, most significant bit first; 32 bytes become 52 characters.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut acc, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        acc = (acc << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(acc >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(acc << (5 - bits)) as usize & 31]));
    }
    out
}

/// Decodes the canonical spelling; `None` for anything else.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if matches!(text.len() % 8, 1 | 3 | 6) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut acc, mut bits) = (0_u32, 0_u32);
    for c in text {
        let digit = ALPHABET.iter().position(|a| a == c)? as u32;
        acc = ((acc << 5) | digit) & 0xFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((acc >> bits) as u8);
        }
    }
    (acc & ((1 << bits) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_spellings_of_the_zbase32_specification() {
        assert_eq!(encode(&[0xF0, 0xBF, 0xC7]), "6n9hq");
        assert_eq!(encode(&[0xD4, 0x7A, 0x04]), "4t7ye");
        assert_eq!(decode(b"6n9hq"), Some(vec![0xF0, 0xBF, 0xC7]));
    }

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!(decode(b"6N9HQ"), None);
        assert_eq!(decode(b"6n9h"), None, "non-zero leftover bits");
        assert_eq!(decode(b"y"), None);
        assert_eq!(decode(b"l2"), None, "l and 2 are not in the alphabet");
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn what_decodes_is_spelled_as_encode_would(text in "[ybndrfg8ejkmcpqxot1uwisza345h769]{0,60}") {
            if let Some(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
