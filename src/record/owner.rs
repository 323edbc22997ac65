//! Owners: Ed25519 keys that sign records. Secrets are wiped from memory when dropped and have no `Debug`.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::hash::hash;
use super::{NetworkId, OwnerKey, RecordId, SIGNATURE_LEN};

/// Memory of the passphrase function, KiB; with three passes about half a second.
const ARGON2_MEMORY_KIB: u32 = 256 * 1024;
const ARGON2_PASSES: u32 = 3;
/// A shorter passphrase is refused: whoever guesses it owns everything signed with it.
const PASSPHRASE_MIN: usize = 12;

/// An owner's secret key.
#[derive(Clone)]
pub struct Owner {
    signer: SigningKey,
}

/// A key that could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// No private key in the text.
    #[error(
        "no Ed25519 private key found: expected a PKCS#8 PEM (`openssl genpkey -algorithm ed25519`) or an LF owner PEM"
    )]
    NotAKey,
    /// A key of another algorithm.
    #[error("the key is of type {0}; owners are Ed25519 keys")]
    OtherAlgorithm(String),
    /// Damaged.
    #[error("the private key is damaged: {0}")]
    Damaged(&'static str),
    /// Too easy to guess.
    #[error("a passphrase needs at least {PASSPHRASE_MIN} characters: whoever guesses it owns the names")]
    Passphrase,
}

impl Owner {
    /// The owner of a 32-byte RFC 8032 seed, which the caller got from the system's random source.
    pub fn from_seed(seed: &[u8; 32]) -> Owner {
        Owner { signer: SigningKey::from_bytes(seed) }
    }

    /// The owner of a passphrase: Argon2id, the same wherever it is typed. docs/FORMAT.md "Owners".
    pub fn from_passphrase(passphrase: &str) -> Result<Owner, OwnerError> {
        if passphrase.chars().count() < PASSPHRASE_MIN {
            return Err(OwnerError::Passphrase);
        }
        let salt = hash("lfdns passphrase v1", &NetworkId([0; 32]), &[]);
        let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, 1, Some(32)).expect("constant parameters");
        let mut seed = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut *seed)
            .expect("output and salt have lengths that Argon2 takes");
        Ok(Owner::from_seed(&seed))
    }

    /// The public key.
    pub fn key(&self) -> OwnerKey {
        OwnerKey(self.signer.verifying_key().to_bytes())
    }

    /// Signs a record id.
    pub(crate) fn sign(&self, id: &RecordId) -> [u8; SIGNATURE_LEN] {
        self.signer.sign(&id.0).to_bytes()
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.signer.as_bytes()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.key())
    }
}
