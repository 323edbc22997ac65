//! Pulses: a few bytes by which a record is shown to be still alive. Only the highest minute counts.

use ed25519_dalek::{Signer, SigningKey};

use super::hash::hash;
use super::{Millis, NetworkId, RecordId, SIGNATURE_LEN, verify_signature};

/// Milliseconds of a pulse's unit.
const MINUTE_MS: u64 = 60_000;

/// A sign of life of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Which record.
    pub record: RecordId,
    /// Minutes since the record's time.
    pub minute: u32,
    /// By the record's pulse key.
    pub signature: [u8; SIGNATURE_LEN],
}

impl Pulse {
    /// Bytes of [`Pulse::encode`].
    pub const LEN: usize = 32 + 4 + SIGNATURE_LEN;

    /// Signs a pulse with the private half of the record's pulse key.
    pub fn mint(network: &NetworkId, record: RecordId, minute: u32, pulse_seed: &[u8; 32]) -> Pulse {
        let signature = SigningKey::from_bytes(pulse_seed).sign(&digest(network, &record, minute)).to_bytes();
        Pulse { record, minute, signature }
    }

    /// Whether the record's pulse key signed it.
    pub fn verify(&self, network: &NetworkId, pulse_key: &[u8; 32]) -> bool {
        verify_signature(pulse_key, &digest(network, &self.record, self.minute), &self.signature)
    }

    /// The instant the pulse speaks of, given the record's time.
    pub fn instant(record_time: Millis, minute: u32) -> Millis {
        record_time.plus(u64::from(minute) * MINUTE_MS)
    }

    /// record 32 · minute u32 · signature 64.
    pub fn encode(&self) -> [u8; Pulse::LEN] {
        let mut out = [0; Pulse::LEN];
        out[..32].copy_from_slice(&self.record.0);
        out[32..36].copy_from_slice(&self.minute.to_be_bytes());
        out[36..].copy_from_slice(&self.signature);
        out
    }

    /// Reads what [`Pulse::encode`] writes.
    pub fn decode(bytes: &[u8; Pulse::LEN]) -> Pulse {
        let part = |from: usize, to: usize| &bytes[from..to];
        Pulse {
            record: RecordId(part(0, 32).try_into().expect("32 bytes")),
            minute: u32::from_be_bytes(part(32, 36).try_into().expect("4 bytes")),
            signature: part(36, Pulse::LEN).try_into().expect("64 bytes"),
        }
    }
}

fn digest(network: &NetworkId, record: &RecordId, minute: u32) -> [u8; 32] {
    hash("lfdns pulse v1", network, &[&record.0, &minute.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_verifies_only_as_it_was_signed() {
        let net = NetworkId([1; 32]);
        let key = SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
        let pulse = Pulse::mint(&net, RecordId([3; 32]), 17, &[2; 32]);
        assert!(pulse.verify(&net, &key));
        assert_eq!(Pulse::decode(&pulse.encode()), pulse);
        assert!(!Pulse { minute: 18, ..pulse.clone() }.verify(&net, &key));
        assert!(!pulse.verify(&NetworkId([9; 32]), &key));
    }
}
