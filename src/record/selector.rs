//! Selectors: what a name yields. The seed of a key pair, whose public half stands in records, whose private
//! half claims them; and the key of the name's masked ordinals.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};

use super::hash::{hash, hash_prefix};
use super::{Masked, NetworkId, OrdinalCipher, SIGNATURE_LEN, SelectorPublic};

/// A selector name and all that knowing it yields. Deriving one costs about 30 µs, so it is worth keeping.
#[derive(Clone)]
pub struct Name {
    bytes: Box<[u8]>,
    signer: SigningKey,
    ordinals: OrdinalCipher,
}

impl Name {
    /// Derives a name's keys; docs/FORMAT.md "Selectors".
    pub fn derive(network: &NetworkId, name: &[u8]) -> Name {
        let signer = SigningKey::from_bytes(&hash("lfdns selector v1", network, &[name]));
        let ordinals = OrdinalCipher::new(&hash_prefix("lfdns ordinal v1", network, &[name]));
        Name { bytes: name.into(), signer, ordinals }
    }

    /// The name itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The public key records carry.
    pub fn public(&self) -> SelectorPublic {
        SelectorPublic(self.signer.verifying_key().to_bytes())
    }

    /// The image of an ordinal under this name.
    pub fn mask(&self, ordinal: u64) -> Masked {
        self.ordinals.mask(ordinal)
    }

    /// The ordinal of an image; `None` if it is not exactly one.
    pub fn unmask(&self, masked: Masked) -> Option<u64> {
        self.ordinals.unmask(masked)
    }

    /// The claim: proof that the author knew this name.
    pub(crate) fn claim(&self, digest: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
        self.signer.sign(digest).to_bytes()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.bytes.escape_ascii())
    }
}
