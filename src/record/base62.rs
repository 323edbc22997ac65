//! Base 62, as LF writes hashes (`=…`) and binary values (`\b…`): a big-endian number in digits
//! `0-9A-Za-z`, one `0` for each leading zero byte.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Encodes bytes as LF does.
pub fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 138 / 100 + 1);
    for byte in &bytes[zeros..] {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 62) as u8;
            carry /= 62;
        }
        while carry > 0 {
            digits.push((carry % 62) as u8);
            carry /= 62;
        }
    }
    let mut out = "0".repeat(zeros);
    out.extend(digits.iter().rev().map(|d| char::from(ALPHABET[usize::from(*d)])));
    out
}

/// Decodes what [`encode`] writes; `None` on any character outside the alphabet.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let zeros = text.iter().take_while(|c| **c == b'0').count();
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len() * 75 / 100 + 1);
    for c in &text[zeros..] {
        let mut carry = ALPHABET.iter().position(|a| a == c)? as u32;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 62;
            *byte = carry as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry as u8);
            carry >>= 8;
        }
    }
    bytes.resize(bytes.len() + zeros, 0);
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_numbers() {
        assert_eq!(encode(&[0, 0]), "00");
        assert_eq!(encode(&[61]), "z");
        assert_eq!(encode(&[62]), "10");
        assert_eq!(encode(&[255, 255]), "H31");
        assert_eq!(decode(b"!"), None);
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
    }
}
