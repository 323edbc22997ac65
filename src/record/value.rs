//! Values: a first byte that says raw or brotli, then AES-256-GCM-SIV (RFC 8452).
//!
//! The key comes from the masking key, the network, the owner and the time; the nonce from the selectors'
//! keys and masked ordinals; the header (without the value's length and hash), keys and ordinals are
//! authenticated beside it. So a wrong masking key is an error, never garbage, and a value cannot be moved to
//! another record. docs/FORMAT.md "Value".

use std::io::Read;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::Zeroizing;

use super::NetworkId;
use super::codec::{Header, Record, Selector, names_and_ordinals};
use super::hash::{hash, hash_prefix};

/// First byte of a plain text: the rest is as it is.
const RAW: u8 = 0;
/// First byte of a plain text: the rest is a brotli stream.
const BROTLI: u8 = 1;
/// Shorter values are not worth the attempt to compress them.
const COMPRESS_FROM: usize = 256;
/// Brotli's quality: most of the gain at a fiftieth of the time of the best.
const BROTLI_QUALITY: u32 = 5;
const BROTLI_WINDOW_BITS: u32 = 16;

/// What a value is encrypted with.
#[derive(Clone, Copy, Debug)]
pub enum Masking<'a> {
    /// The first selector's name; without selectors the owner's key, which hides nothing.
    Default,
    /// A key of the caller's choice.
    Key(&'a [u8]),
}

/// Whether to try brotli.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Where it helps.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// A value that does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It did not decrypt.
    #[error("the value does not open with this masking key")]
    WrongKey,
    /// The value is not here.
    #[error("the value of this record is not stored here")]
    Absent,
    /// It decrypted to something that is no value of this format.
    #[error("the value opened but is not well-formed: {0}")]
    Malformed(&'static str),
    /// It inflates beyond the limit.
    #[error("the value inflates to more than the network's limit of {0} bytes")]
    TooLong(u32),
}

/// Masks a value for the record that `header` and `selectors` begin.
pub(crate) fn mask(
    network: &NetworkId,
    header: &Header,
    selectors: &[Selector],
    masking_key: &[u8],
    value: &[u8],
    compression: Compression,
) -> Vec<u8> {
    let plain = compress(value, compression);
    let sealing = Sealing::new(network, header, selectors, masking_key);
    sealing
        .cipher
        .encrypt(&sealing.nonce, Payload { msg: &plain, aad: &sealing.aad })
        .expect("a record's value is far below the cipher's limit")
}

impl Record {
    /// The value in the clear. `limit` is the network's value limit, which bounds what may be inflated.
    pub fn open(&self, network: &NetworkId, masking_key: &[u8], limit: u32) -> Result<Vec<u8>, ValueError> {
        let masked = self.value.as_deref().ok_or(ValueError::Absent)?;
        if masked.is_empty() || self.header.kind.is_plain() {
            return Ok(masked.to_vec());
        }
        let sealing = Sealing::new(network, &self.header, &self.selectors, masking_key);
        let plain = sealing
            .cipher
            .decrypt(&sealing.nonce, Payload { msg: masked, aad: &sealing.aad })
            .map_err(|_| ValueError::WrongKey)?;
        match plain.split_first() {
            Some((&RAW, rest)) => Ok(rest.to_vec()),
            Some((&BROTLI, rest)) => inflate(rest, limit),
            Some(_) => Err(ValueError::Malformed("its first byte is neither raw nor brotli")),
            None => Err(ValueError::Malformed("it is empty")),
        }
    }
}

struct Sealing {
    cipher: Aes256GcmSiv,
    nonce: Nonce,
    aad: Vec<u8>,
}

impl Sealing {
    fn new(network: &NetworkId, header: &Header, selectors: &[Selector], masking_key: &[u8]) -> Sealing {
        let names = names_and_ordinals(selectors);
        let time = header.time.0.to_be_bytes();
        let key = Zeroizing::new(hash("lfdns value key v1", network, &[masking_key, &header.owner.0, &time]));
        let nonce: [u8; 12] = hash_prefix("lfdns nonce v1", network, &[&names]);
        let mut aad = Vec::with_capacity(160 + names.len());
        header.write_without_value(&mut aad);
        aad.extend_from_slice(&names);
        Sealing { cipher: Aes256GcmSiv::new((&*key).into()), nonce: nonce.into(), aad }
    }
}

fn compress(value: &[u8], compression: Compression) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(1 + value.len()));
    if compression == Compression::Auto && value.len() >= COMPRESS_FROM {
        plain.push(BROTLI);
        let mut encoder = brotli::CompressorReader::new(value, 4096, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
        let written = encoder.read_to_end(&mut plain);
        if written.is_ok_and(|len| len < value.len()) {
            return plain;
        }
        plain.clear();
    }
    plain.push(RAW);
    plain.extend_from_slice(value);
    plain
}

fn inflate(stream: &[u8], limit: u32) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    let mut decoder = brotli::Decompressor::new(stream, 4096).take(u64::from(limit) + 1);
    decoder.read_to_end(&mut out).map_err(|_| ValueError::Malformed("its brotli stream is broken"))?;
    if out.len() > limit as usize { Err(ValueError::TooLong(limit)) } else { Ok(out) }
}
