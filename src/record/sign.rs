//! Ed25519 verdicts. They are consensus rules: every node must give the same one, so there is one way to
//! verify, used everywhere: the key's encoding is canonical, then `verify_strict` (RFC 8032, no small-order
//! keys or commitments, canonical scalar), one signature at a time. Batch verification accepts signatures that
//! this refuses and is never used. docs/FORMAT.md "Signatures".

use std::cell::RefCell;

use ed25519_dalek::{Signature, VerifyingKey};

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;
/// Owners' keys each thread keeps unpacked.
const OWNERS_KEPT: usize = 32;

thread_local! {
    /// Owners' keys unpacked before, each at the place its first byte says: records come in runs of few owners,
    /// and unpacking a key is a tenth of a verification.
    static OWNERS: RefCell<[Option<VerifyingKey>; OWNERS_KEPT]> = const { RefCell::new([None; OWNERS_KEPT]) };
}

/// 2^255 − 19, little-endian.
const FIELD_PRIME: [u8; 32] = {
    let mut p = [0xFF; 32];
    p[0] = 0xED;
    p[31] = 0x7F;
    p
};

/// Whether `signature` over `message` by `key` is valid, by the one rule of this network.
pub fn verify_signature(key: &[u8; 32], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    unpack(key).is_some_and(|key| verify(&key, message, signature))
}

/// [`verify_signature`] by a key that is likely to be seen again.
pub(crate) fn verify_owner(key: &[u8; 32], message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    let unpacked = OWNERS.with_borrow_mut(|kept| {
        let place = &mut kept[usize::from(key[0]) % OWNERS_KEPT];
        if place.is_none_or(|kept| kept.as_bytes() != key) {
            *place = unpack(key);
        }
        *place
    });
    unpacked.is_some_and(|key| verify(&key, message, signature))
}

fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}

/// The point of a key, if it is one in its one encoding.
fn unpack(key: &[u8; 32]) -> Option<VerifyingKey> {
    is_canonical(key).then(|| VerifyingKey::from_bytes(key).ok()).flatten()
}

/// Whether the encoded point re-encodes to itself, without the inversion that re-encoding costs: y is below
/// the prime, and where x = 0 (y = ±1, both of small order and refused anyway) the sign bit is clear.
fn is_canonical(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7F;
    let below_prime = y.iter().rev().lt(FIELD_PRIME.iter().rev());
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = FIELD_PRIME;
    minus_one[0] -= 1;
    let x_is_zero = y == one || y == minus_one;
    below_prime && !(x_is_zero && key[31] & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn canonical_means_that_it_re_encodes_to_itself(mut bytes: [u8; 32], high in 0_u8..3) {
            // Two thirds of the cases sit at the border, where the interesting encodings are.
            if high > 0 { bytes[1..31].fill(0xFF); bytes[31] |= 0x7F; }
            if high > 1 { bytes[0] |= 0xE0; }
            if let Ok(key) = VerifyingKey::from_bytes(&bytes) {
                prop_assert_eq!(is_canonical(&bytes), key.to_edwards().compress().to_bytes() == bytes);
            }
        }

        #[test]
        fn any_flipped_bit_of_key_message_or_signature_is_refused(seed: [u8; 32], bit in 0_usize..(32 + 64 + 20) * 8) {
            let signer = SigningKey::from_bytes(&seed);
            let (mut key, mut message) = (signer.verifying_key().to_bytes(), *b"a message of 20 byte");
            let mut signature = signer.sign(&message).to_bytes();
            prop_assert!(verify_signature(&key, &message, &signature));
            prop_assert!(verify_owner(&key, &message, &signature));
            let (byte, mask) = (bit / 8, 1 << (bit % 8));
            match byte {
                0..32 => key[byte] ^= mask,
                32..96 => signature[byte - 32] ^= mask,
                _ => message[byte - 96] ^= mask,
            }
            prop_assert!(!verify_signature(&key, &message, &signature));
            prop_assert!(!verify_owner(&key, &message, &signature));
        }

        #[test]
        fn an_owner_kept_or_not_gets_the_same_verdict(keys: [[u8; 32]; 4], turns in proptest::collection::vec((0_usize..4, 0_usize..4), 1..20)) {
            let signers = keys.map(|seed| SigningKey::from_bytes(&seed));
            for (signs, claims) in turns {
                let (message, signature) = (b"message", signers[signs].sign(b"message").to_bytes());
                let key = signers[claims].verifying_key().to_bytes();
                prop_assert_eq!(verify_owner(&key, message, &signature), verify_signature(&key, message, &signature));
            }
        }
    }
}
