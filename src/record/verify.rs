//! Whether a record is valid in its network: the part of the admission law that needs no other record.
//! (Links are the store's part.) A pure function of the record's bytes and the network's fixed rules.

use super::codec::{Kind, Record};
use super::hash::hash;
use super::rules::network_of;
use super::sign::verify_owner;
use super::{NetworkId, RecordId, Rules, verify_signature};

/// Why a record can never be admitted. All of these are the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Over the network's value limit.
    #[error("the value has {len} bytes, the network's limit is {limit}")]
    ValueTooLong {
        /// Bytes of the masked value.
        len: u32,
        /// The network's limit.
        limit: u32,
    },
    /// Too few links.
    #[error("the record has {got} links, this network wants at least {want}")]
    TooFewLinks {
        /// Links it has.
        got: usize,
        /// The network's minimum.
        want: usize,
    },
    /// A datum nobody could find.
    #[error("a datum needs at least one selector")]
    NoSelector,
    /// Genesis records have neither selectors nor pulses and always a value.
    #[error("a genesis record has a value and neither selectors nor a pulse key")]
    GenesisForm,
    /// A kind of record whose rules this version does not know.
    #[error("{0:?} records are not known to this version of the program: update it")]
    UnknownKind(Kind),
    /// The value is not the one the record was signed for.
    #[error("the value does not have the hash the record states")]
    ValueHash,
    /// The value is part of the bytes for this kind.
    #[error("the value of a genesis record is missing")]
    ValueMissing,
    /// A genesis record without links that is not this network's.
    #[error("the record founds another network")]
    ForeignGenesis,
    /// The owner's signature is wrong.
    #[error("the owner's signature is wrong")]
    Signature,
    /// A selector's claim is wrong.
    #[error("the claim of selector {0} is wrong")]
    Claim(usize),
}

impl Record {
    /// Checks what the network's fixed rules say of a record by itself. Costs nothing.
    pub fn check_rules(&self, rules: &Rules) -> Result<(), Invalid> {
        let header = &self.header;
        let limit = rules.limits.value_max;
        // The rules themselves are bounded by what a record holds, or a small limit would forbid its own rules.
        if header.value_len > limit && header.kind != Kind::Genesis {
            return Err(Invalid::ValueTooLong { len: header.value_len, limit });
        }
        match header.kind {
            Kind::Datum if self.selectors.is_empty() => Err(Invalid::NoSelector),
            Kind::Datum => {
                let (got, want) = (header.links.len(), usize::from(rules.links_min));
                if got < want { Err(Invalid::TooFewLinks { got, want }) } else { Ok(()) }
            }
            Kind::Genesis => {
                let formed = self.selectors.is_empty() && header.pulse_key.is_none() && header.value_len > 0;
                if !formed {
                    return Err(Invalid::GenesisForm);
                }
                if self.value.is_none() { Err(Invalid::ValueMissing) } else { Ok(()) }
            }
            other => Err(Invalid::UnknownKind(other)),
        }
    }

    /// Checks the value's hash if the value is here, the owner's signature and every claim; returns the id.
    /// Costs one strict verification for each signature.
    pub fn verify(&self, network: &NetworkId) -> Result<RecordId, Invalid> {
        let id = self.id(network);
        self.verify_as(&id, network)?;
        Ok(id)
    }

    /// [`Record::verify`] for whoever has computed the record's id already.
    pub(crate) fn verify_as(&self, id: &RecordId, network: &NetworkId) -> Result<(), Invalid> {
        if self.is_founding() && network_of(self) != *network {
            return Err(Invalid::ForeignGenesis);
        }
        let network = &self.scope(network);
        if let (Some(value), Some(stated)) = (&self.value, &self.header.value_hash)
            && value_hash(network, value) != *stated
        {
            return Err(Invalid::ValueHash);
        }
        if !verify_owner(&self.header.owner.0, &id.0, &self.signature) {
            return Err(Invalid::Signature);
        }
        for (index, selector) in self.selectors.iter().enumerate() {
            let digest = self.claim_digest(network, index as u8);
            if !verify_signature(&selector.key.0, &digest, &selector.claim) {
                return Err(Invalid::Claim(index));
            }
        }
        Ok(())
    }
}

/// H("lfdns value v1", network, masked value).
pub(crate) fn value_hash(network: &NetworkId, value: &[u8]) -> [u8; 32] {
    hash("lfdns value v1", network, &[value])
}
