//! The one hash of the format: SHA3-256 with a tag and the network id in front.
//!
//! H(tag, network, part…) = SHA3-256(len(tag) u8 ‖ tag ‖ network ‖ for each part: len u32 ‖ part). Lengths
//! make the concatenation unambiguous; tag and network make a hash of one purpose or network worthless in
//! any other. docs/FORMAT.md "Hash".

use sha3::{Digest, Sha3_256};

use super::NetworkId;

/// H(tag, network, parts…), 32 bytes; docs/FORMAT.md "Hash".
pub fn hash(tag: &str, network: &NetworkId, parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Sha3_256::new();
    let tag_len = u8::try_from(tag.len()).expect("tags are short constants");
    state.update([tag_len]);
    state.update(tag.as_bytes());
    state.update(network.0);
    for part in parts {
        let len = u32::try_from(part.len()).expect("parts are at most a record long");
        state.update(len.to_be_bytes());
        state.update(part);
    }
    state.finalize().into()
}

/// The first `N` bytes of [`hash`].
pub(crate) fn hash_prefix<const N: usize>(tag: &str, network: &NetworkId, parts: &[&[u8]]) -> [u8; N] {
    let full = hash(tag, network, parts);
    let mut out = [0; N];
    out.copy_from_slice(&full[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_part_ends_is_part_of_the_hash() {
        let net = NetworkId([0; 32]);
        assert_ne!(hash("t", &net, &[b"ab", b"c"]), hash("t", &net, &[b"a", b"bc"]));
        assert_ne!(hash("t", &net, &[b"ab"]), hash("t", &net, &[b"ab", b""]));
    }

    #[test]
    fn tag_and_network_separate() {
        let net = NetworkId([0; 32]);
        assert_ne!(hash("t", &net, &[]), hash("u", &net, &[]));
        assert_ne!(hash("t", &net, &[]), hash("t", &NetworkId([1; 32]), &[]));
    }
}
