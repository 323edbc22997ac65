//! Making records: what an author decides, turned into signed bytes.

use super::codec::{Header, Kind, Record, Selector, Work};
use super::value::{self, Compression, Masking};
use super::verify::value_hash;
use super::{
    LINKS_MAX, Millis, NAME_MAX, Name, NetworkId, Owner, RECORD_MAX, RecordId, Rules, SELECTORS_MAX,
    SIGNATURE_LEN, TIME_MAX,
};

/// An earlier record to link to, with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which record.
    pub id: RecordId,
    /// Its time; the new record must be later.
    pub time: Millis,
}

/// All that an author decides about a new datum.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The names and ordinals it is found under, in order; the first name masks the value by default.
    pub selectors: &'a [(Name, u64)],
    /// The value in the clear; empty deletes the key.
    pub value: &'a [u8],
    /// What the value is encrypted with.
    pub masking: Masking<'a>,
    /// Whether to try to compress it.
    pub compression: Compression,
    /// Earlier records, in any order.
    pub links: &'a [Link],
    /// The key whose pulses will show that the record is alive.
    pub pulse_key: Option<[u8; 32]>,
    /// Now; the record is later if a link or `after` says so.
    pub now: Millis,
    /// The time of the owner's own newest record in the slot, if there is one.
    pub after: Option<Millis>,
}

/// Why a record cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Too large for the network.
    #[error(
        "the value takes {got} bytes masked; this network's limit is {limit} bytes (`lfdns network show`)"
    )]
    ValueTooLong {
        /// Bytes it takes, compressed and masked.
        got: usize,
        /// The network's limit.
        limit: u32,
    },
    /// Too large for the format.
    #[error("the record would take {0} bytes; the format's limit is {RECORD_MAX}")]
    RecordTooLong(usize),
    /// None, or too many.
    #[error("a record has 1 to {SELECTORS_MAX} selectors, not {0}")]
    Selectors(usize),
    /// A name over the limit.
    #[error("a selector's name has at most {NAME_MAX} bytes, not {0}")]
    NameTooLong(usize),
    /// Too few links known, or too many given.
    #[error("a record of this network has {want} to {LINKS_MAX} links, not {got}")]
    Links {
        /// Links given.
        got: usize,
        /// The network's minimum.
        want: usize,
    },
    /// Beyond 48 bits of milliseconds.
    #[error("the time {0} is beyond what a record can carry")]
    Time(u64),
}

impl Draft<'_> {
    /// Makes the record: masks the value, claims every selector, signs.
    pub fn mint(&self, network: &NetworkId, rules: &Rules, owner: &Owner) -> Result<Record, MintError> {
        self.check(rules)?;
        let header = Header {
            kind: Kind::Datum,
            time: self.time()?,
            owner: owner.key(),
            links: sorted_links(self.links),
            pulse_key: self.pulse_key,
            value_len: 0,
            value_hash: None,
        };
        let selectors: Vec<Selector> = self
            .selectors
            .iter()
            .map(|(name, ordinal)| Selector {
                key: name.public(),
                ordinal: name.mask(*ordinal),
                claim: [0; SIGNATURE_LEN],
            })
            .collect();
        let value = self.mask(network, &header, &selectors);
        let limit = rules.limits.value_max;
        if value.len() > limit as usize {
            return Err(MintError::ValueTooLong { got: value.len(), limit });
        }
        let mut record = Record {
            header,
            selectors,
            work: Work::None,
            signature: [0; SIGNATURE_LEN],
            value: Some(vec![]),
        };
        record.set_value(network, value);
        for (index, (name, _)) in self.selectors.iter().enumerate() {
            record.selectors[index].claim = name.claim(&record.claim_digest(network, index as u8));
        }
        record.seal(network, owner)
    }

    fn check(&self, rules: &Rules) -> Result<(), MintError> {
        let count = self.selectors.len();
        if count == 0 || count > SELECTORS_MAX {
            return Err(MintError::Selectors(count));
        }
        if let Some(long) =
            self.selectors.iter().map(|(name, _)| name.bytes().len()).find(|len| *len > NAME_MAX)
        {
            return Err(MintError::NameTooLong(long));
        }
        // Twice the same link is one link.
        let (got, want) = (sorted_links(self.links).len(), usize::from(rules.links_min));
        if got < want || got > LINKS_MAX { Err(MintError::Links { got, want }) } else { Ok(()) }
    }

    /// max(now, newest link + 1 ms, own last in the slot + 1 ms).
    fn time(&self) -> Result<Millis, MintError> {
        let floor = self.links.iter().map(|l| l.time).chain(self.after).map(|t| t.plus(1)).max();
        let time = floor.map_or(self.now, |floor| floor.max(self.now));
        if time > TIME_MAX { Err(MintError::Time(time.0)) } else { Ok(time) }
    }

    fn mask(&self, network: &NetworkId, header: &Header, selectors: &[Selector]) -> Vec<u8> {
        if self.value.is_empty() {
            return Vec::new();
        }
        let key = match self.masking {
            Masking::Default => self.selectors[0].0.bytes(),
            Masking::Key(key) => key,
        };
        value::mask(network, header, selectors, key, self.value, self.compression)
    }
}

impl Record {
    pub(crate) fn set_value(&mut self, network: &NetworkId, value: Vec<u8>) {
        self.header.value_len = u32::try_from(value.len()).expect("values are at most a record long");
        self.header.value_hash = (!value.is_empty()).then(|| value_hash(network, &value));
        self.value = Some(value);
    }

    /// Signs the finished record.
    pub(crate) fn seal(mut self, network: &NetworkId, owner: &Owner) -> Result<Record, MintError> {
        self.signature = owner.sign(&self.id(network));
        let len = self.len();
        if len > RECORD_MAX { Err(MintError::RecordTooLong(len)) } else { Ok(self) }
    }
}

pub(crate) fn sorted_links(links: &[Link]) -> Vec<RecordId> {
    let mut ids: Vec<RecordId> = links.iter().map(|l| l.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{DecodeError, Invalid, ValueError, found};
    use proptest::prelude::*;

    struct Bed {
        network: NetworkId,
        rules: Rules,
        owner: Owner,
        links: Vec<Link>,
    }

    fn bed() -> Bed {
        let owner = Owner::from_seed(&[1; 32]);
        let rules = Rules::private(&[2; 32], "test");
        let (network, genesis) = found(&owner, &rules, Millis(1_000_000)).unwrap();
        let links = genesis.iter().map(|r| Link { id: r.id(&network), time: r.header.time }).collect();
        Bed { network, rules, owner, links }
    }

    impl Bed {
        fn mint(&self, selectors: &[(Name, u64)], value: &[u8]) -> Record {
            self.draft(selectors, value).mint(&self.network, &self.rules, &self.owner).unwrap()
        }

        fn draft<'a>(&'a self, selectors: &'a [(Name, u64)], value: &'a [u8]) -> Draft<'a> {
            Draft {
                selectors,
                value,
                masking: Masking::Default,
                compression: Compression::Auto,
                links: &self.links,
                pulse_key: None,
                now: Millis(2_000_000),
                after: None,
            }
        }

        fn name(&self, name: &str) -> Name {
            Name::derive(&self.network, name.as_bytes())
        }
    }

    #[test]
    fn a_minted_record_verifies_and_opens_with_its_first_name() {
        let bed = bed();
        let record = bed.mint(&[(bed.name("bad"), 0), (bed.name("horse"), 2)], b"neigh");
        assert_eq!(record.check_rules(&bed.rules), Ok(()));
        assert_eq!(record.verify(&bed.network), Ok(record.id(&bed.network)));
        assert_eq!(record.open(&bed.network, b"bad", 1000), Ok(b"neigh".to_vec()));
        assert_eq!(bed.name("horse").unmask(record.selectors[1].ordinal), Some(2));
    }

    #[test]
    fn a_wrong_masking_key_is_an_error_not_garbage() {
        let bed = bed();
        let record = bed.mint(&[(bed.name("a"), 0)], b"secret");
        assert_eq!(record.open(&bed.network, b"b", 1000), Err(ValueError::WrongKey));
        assert!(!record.encode().windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn a_compressed_value_inflates_at_most_to_the_limit() {
        let bed = bed();
        let record = bed.mint(&[(bed.name("a"), 0)], &vec![b'x'; 50_000]);
        assert!(record.len() < 1000, "50,000 equal bytes took {} bytes", record.len());
        assert_eq!(record.open(&bed.network, b"a", 50_000), Ok(vec![b'x'; 50_000]));
        assert_eq!(record.open(&bed.network, b"a", 49_999), Err(ValueError::TooLong(49_999)));
    }

    #[test]
    fn a_record_is_later_than_its_links_and_its_owners_last() {
        let bed = bed();
        let selectors = [(bed.name("a"), 0)];
        let late = Draft { now: Millis(5), ..bed.draft(&selectors, b"v") };
        let record = late.mint(&bed.network, &bed.rules, &bed.owner).unwrap();
        assert_eq!(record.header.time, Millis(1_000_002));
        let after = Draft { after: Some(Millis(3_000_000)), ..bed.draft(&selectors, b"v") };
        let record = after.mint(&bed.network, &bed.rules, &bed.owner).unwrap();
        assert_eq!(record.header.time, Millis(3_000_001));
    }

    #[test]
    fn a_value_over_the_networks_limit_is_refused_with_both_numbers() {
        let mut bed = bed();
        bed.rules.limits.value_max = 100;
        let selectors = [(bed.name("a"), 0)];
        let draft = Draft { compression: Compression::Off, ..bed.draft(&selectors, &[1; 100]) };
        let error = draft.mint(&bed.network, &bed.rules, &bed.owner).unwrap_err();
        assert_eq!(error, MintError::ValueTooLong { got: 117, limit: 100 });
    }

    #[test]
    fn the_founding_record_is_valid_in_its_own_network_only() {
        let owner = Owner::from_seed(&[1; 32]);
        let rules = Rules::private(&[2; 32], "test");
        let (network, genesis) = found(&owner, &rules, Millis(1)).unwrap();
        assert_eq!(genesis.len(), 2);
        for record in &genesis {
            assert_eq!(record.check_rules(&rules), Ok(()));
            assert_eq!(record.verify(&network), Ok(record.id(&network)));
            assert_eq!(Rules::parse(record.value.as_ref().unwrap()).as_ref(), Ok(&rules));
        }
        assert_eq!(genesis[0].verify(&NetworkId([7; 32])), Err(Invalid::ForeignGenesis));
        assert_eq!(genesis[1].verify(&NetworkId([7; 32])), Err(Invalid::ValueHash));
    }

    #[test]
    fn a_record_of_one_network_is_invalid_in_another() {
        let bed = bed();
        let record = bed.mint(&[(bed.name("a"), 0)], b"v");
        assert!(record.verify(&NetworkId([7; 32])).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn decode_inverts_encode_and_every_flipped_bit_is_refused(
            value in proptest::collection::vec(any::<u8>(), 0..40), names in 1_usize..4, bit: usize,
        ) {
            let bed = bed();
            let selectors: Vec<_> = (0..names).map(|n| (bed.name(&n.to_string()), n as u64)).collect();
            let record = bed.mint(&selectors, &value);
            let bytes = record.encode();
            prop_assert_eq!(Record::decode(&bytes), Ok(record.clone()));
            let body = record.encode_body();
            prop_assert_eq!(Record::decode_body(&body).unwrap().encode_body(), body);
            let mut flipped = bytes.clone();
            flipped[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
            match Record::decode(&flipped) {
                Err(_) => {}
                Ok(other) => prop_assert!(other.verify(&bed.network).is_err(), "a flipped bit passed"),
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_what_decodes_re_encodes(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..600), shaped: bool,
        ) {
            if shaped && bytes.len() > 80 { bytes[0] = 0x10; bytes[1] = 1; bytes[72] &= 15; bytes[73] = 0; }
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }

    #[test]
    fn later_formats_and_kinds_are_refused_in_words() {
        let bed = bed();
        let bytes = bed.mint(&[(bed.name("a"), 0)], b"v").encode();
        let with_first = |first: u8| Record::decode(&[&[first], &bytes[1..]].concat()).unwrap_err();
        assert_eq!(with_first(0x20), DecodeError::Version(2));
        assert_eq!(with_first(0x1F), DecodeError::Kind(15));
        assert!(with_first(0x20).to_string().contains("update"));
    }
}
