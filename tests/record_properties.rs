//! What must hold of every record, tried on the kinds and shapes the unit tests leave out: founding and amending
//! genesis records, pulse keys, deletions; and every named limit passed by one.
#![allow(clippy::unwrap_used)]

use std::sync::OnceLock;

use lfdns::record::{
    Compression, DecodeError, Draft, Invalid, LINKS_MAX, Limits, Link, Masking, Millis, MintError, NAME_MAX,
    Name, NetworkId, Owner, OwnerError, OwnerKey, RECORD_MAX, Record, RecordId, Rules, SELECTORS_MAX,
    TIME_MAX, ValueError, found, rest_of,
};
use proptest::prelude::*;

struct Bed {
    network: NetworkId,
    rules: Rules,
    owner: Owner,
    genesis: Vec<Record>,
    links: Vec<Link>,
}

fn bed() -> &'static Bed {
    static BED: OnceLock<Bed> = OnceLock::new();
    BED.get_or_init(|| {
        let owner = Owner::from_seed(&[1; 32]);
        let rules = Rules::private(&[2; 32], "properties");
        let (network, genesis) = found(&owner, &rules, Millis(1_000_000)).expect("sound rules");
        let links = genesis.iter().map(|r| Link { id: r.id(&network), time: r.header.time }).collect();
        Bed { network, rules, owner, genesis, links }
    })
}

impl Bed {
    fn draft<'a>(&'a self, selectors: &'a [(Name, u64)], value: &'a [u8]) -> Draft<'a> {
        Draft {
            selectors,
            value,
            masking: Masking::Default,
            compression: Compression::Off,
            links: &self.links,
            pulse_key: None,
            now: Millis(2_000_000),
            after: None,
        }
    }

    fn mint(&self, draft: &Draft<'_>) -> Result<Record, MintError> {
        draft.mint(&self.network, &self.rules, &self.owner)
    }

    fn names(&self, count: usize) -> Vec<(Name, u64)> {
        (0..count).map(|n| (Name::derive(&self.network, n.to_string().as_bytes()), n as u64)).collect()
    }

    fn plain(&self, value: &[u8]) -> Record {
        self.mint(&self.draft(&self.names(1), value)).expect("a sound draft")
    }
}

/// Every bit of these bytes matters: changed, they are no record, or not a valid one.
fn every_flipped_bit_is_refused(record: &Record, network: &NetworkId) {
    let bytes = record.encode();
    assert_eq!(Record::decode(&bytes).as_ref(), Ok(record));
    assert!(record.verify(network).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Record::decode(&flipped) {
            assert_eq!(other.encode(), flipped, "bit {bit}: decoded, it encodes to itself");
            assert!(other.verify(network).is_err(), "bit {bit} of byte {} does not matter", bit / 8);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_datum_a_deletion_and_one_with_a_pulse_key_is_refused() {
    let bed = bed();
    let selectors = bed.names(2);
    let pulse_key = Some(Owner::from_seed(&[3; 32]).key().0);
    let drafts = [
        bed.draft(&selectors, b"v"),
        bed.draft(&selectors[..1], b""),
        Draft { pulse_key, ..bed.draft(&selectors[..1], b"v") },
    ];
    for draft in drafts {
        every_flipped_bit_is_refused(&bed.mint(&draft).expect("a sound draft"), &bed.network);
    }
}

#[test]
fn every_flipped_bit_of_a_genesis_record_is_refused() {
    let bed = bed();
    for record in &bed.genesis {
        every_flipped_bit_is_refused(record, &bed.network);
    }
}

#[test]
fn a_value_that_is_not_here_leaves_a_record_valid_and_its_id_as_it_was() {
    let bed = bed();
    let record = bed.plain(b"value");
    let pruned = Record::decode_body(&record.encode_body()).expect("a body");
    assert_eq!(pruned.value, None);
    assert_eq!(pruned.verify(&bed.network), record.verify(&bed.network));
    assert_eq!(pruned.open(&bed.network, b"0", 100), Err(ValueError::Absent));
    assert_eq!((pruned.len(), record.len()), (record.encode().len(), record.encode().len()));
}

#[test]
fn a_deletion_needs_no_value_to_be_whole() {
    let bed = bed();
    let record = bed.plain(b"");
    assert!(record.is_deletion());
    assert_eq!(Record::decode_body(&record.encode()).as_ref(), Ok(&record));
    assert_eq!(record.open(&bed.network, b"any key", 100), Ok(vec![]));
}

#[test]
fn signing_again_makes_no_new_record() {
    let bed = bed();
    let mut other = bed.plain(b"value");
    let id = other.id(&bed.network);
    other.signature[40] ^= 1;
    assert_eq!(other.id(&bed.network), id);
    assert_eq!(other.verify(&bed.network), Err(Invalid::Signature));
}

#[test]
fn a_claim_cannot_be_parroted() {
    // Whoever sees a record can copy its selectors, but neither under another owner nor in another place.
    let bed = bed();
    let record = bed.mint(&bed.draft(&bed.names(2), b"v")).expect("a sound draft");
    let thief = Owner::from_seed(&[9; 32]);
    let names = bed.names(1);
    let mut stolen = bed.draft(&names, b"v").mint(&bed.network, &bed.rules, &thief).expect("a sound draft");
    stolen.selectors = record.selectors.clone();
    let swapped = {
        let mut swapped = record.clone();
        swapped.selectors.swap(0, 1);
        swapped
    };
    for mut forged in [stolen, swapped] {
        let signer = if forged.header.owner == thief.key() { [9; 32] } else { [1; 32] };
        sign(&mut forged, &signer, &bed.network);
        assert_eq!(forged.verify(&bed.network), Err(Invalid::Claim(0)));
    }
}

fn sign(record: &mut Record, seed: &[u8; 32], network: &NetworkId) {
    use ed25519_dalek::Signer;
    let signer = ed25519_dalek::SigningKey::from_bytes(seed);
    record.signature = signer.sign(&record.id(network).0).to_bytes();
}

#[test]
fn a_value_cannot_be_moved_to_another_record() {
    let bed = bed();
    let (one, mut other) = (bed.plain(b"one"), bed.mint(&bed.draft(&bed.names(2), b"two")).expect("a draft"));
    other.value.clone_from(&one.value);
    assert_eq!(other.verify(&bed.network), Err(Invalid::ValueHash));
    assert_eq!(other.open(&bed.network, b"0", 100), Err(ValueError::WrongKey), "even if the hash were right");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_the_masking_key_opens_a_value(key in proptest::collection::vec(any::<u8>(), 0..20),
        other in proptest::collection::vec(any::<u8>(), 0..20), value in proptest::collection::vec(any::<u8>(), 1..600), auto: bool) {
        prop_assume!(key != other);
        let bed = bed();
        let names = bed.names(1);
        let compression = if auto { Compression::Auto } else { Compression::Off };
        let draft = Draft { masking: Masking::Key(&key), compression, ..bed.draft(&names, &value) };
        let record = bed.mint(&draft).unwrap();
        prop_assert_eq!(record.open(&bed.network, &other, 65_536), Err(ValueError::WrongKey));
        prop_assert_eq!(record.open(&bed.network, &key, 65_536), Ok(value));
    }

    #[test]
    fn a_name_unmasks_its_own_images_only(ordinal: u64, near in 1_u128..1 << 40) {
        let bed = bed();
        let (name, other) = (Name::derive(&bed.network, b"a"), Name::derive(&bed.network, b"b"));
        let image = name.mask(ordinal);
        prop_assert_eq!(name.unmask(image), Some(ordinal));
        prop_assert_eq!(other.unmask(image), None);
        let beside = u128::from_be_bytes(image.0).wrapping_sub(near);
        prop_assert_eq!(name.unmask(lfdns::record::Masked(beside.to_be_bytes())), None);
    }

    #[test]
    fn a_cut_record_is_no_record(cut in 0_usize..2_000) {
        let record = bed().genesis[1].encode();
        let cut = cut % record.len();
        prop_assert!(matches!(Record::decode(&record[..cut]), Err(DecodeError::Truncated(_))));
    }
}

#[test]
fn selectors_may_be_as_many_as_the_limit_and_no_more() {
    let bed = bed();
    let names = bed.names(SELECTORS_MAX + 1);
    let full = bed.mint(&bed.draft(&names[..SELECTORS_MAX], b"v")).expect("as many as allowed");
    assert_eq!(full.verify(&bed.network), Ok(full.id(&bed.network)));
    assert_eq!(bed.mint(&bed.draft(&names, b"v")), Err(MintError::Selectors(SELECTORS_MAX + 1)));
    assert_eq!(bed.mint(&bed.draft(&[], b"v")), Err(MintError::Selectors(0)));
    let mut over = full;
    over.selectors.push(over.selectors[0].clone());
    assert_eq!(Record::decode(&over.encode()), Err(DecodeError::Selectors(16)));
    over.selectors.clear();
    assert_eq!(over.check_rules(&bed.rules), Err(Invalid::NoSelector));
}

#[test]
fn links_may_be_as_many_as_the_limit_and_no_more() {
    let bed = bed();
    let names = bed.names(1);
    let links: Vec<Link> =
        (0..=LINKS_MAX as u8).map(|n| Link { id: RecordId([n; 32]), time: Millis(1) }).collect();
    let with = |links: &[Link]| bed.mint(&Draft { links, ..bed.draft(&names, b"v") });
    let full = with(&links[..LINKS_MAX]).expect("as many as allowed");
    assert_eq!(Record::decode(&full.encode()), Ok(full));
    assert_eq!(with(&links), Err(MintError::Links { got: 16, want: 2 }));
    assert_eq!(with(&links[..1]), Err(MintError::Links { got: 1, want: 2 }));
    assert_eq!(
        with(&[links[0], links[0]]),
        Err(MintError::Links { got: 1, want: 2 }),
        "twice the same is one"
    );
    let mut few = with(&links[..2]).expect("enough");
    few.header.links.pop();
    assert_eq!(few.check_rules(&bed.rules), Err(Invalid::TooFewLinks { got: 1, want: 2 }));
}

#[test]
fn links_out_of_order_or_twice_are_no_record() {
    let bed = bed();
    for swap in [[1, 0], [0, 0]] {
        let mut record = bed.plain(b"v");
        record.header.links = swap.iter().map(|n| record.header.links[*n]).collect();
        assert_eq!(Record::decode(&record.encode()), Err(DecodeError::LinkOrder));
    }
}

#[test]
fn a_name_may_be_as_long_as_the_limit_and_no_longer() {
    let bed = bed();
    let mint = |len: usize| {
        let selectors = [(Name::derive(&bed.network, &vec![b'n'; len]), 0)];
        bed.mint(&bed.draft(&selectors, b"v"))
    };
    assert!(mint(NAME_MAX).is_ok());
    assert_eq!(mint(NAME_MAX + 1), Err(MintError::NameTooLong(NAME_MAX + 1)));
}

#[test]
fn a_time_may_be_as_late_as_the_limit_and_no_later() {
    let bed = bed();
    let names = bed.names(1);
    let at = |now| bed.mint(&Draft { now, ..bed.draft(&names, b"v") });
    let last = at(TIME_MAX).expect("as late as allowed");
    assert_eq!(Record::decode(&last.encode()).map(|r| r.header.time), Ok(TIME_MAX));
    assert_eq!(at(TIME_MAX.plus(1)), Err(MintError::Time(TIME_MAX.0 + 1)));
}

#[test]
fn a_record_may_be_as_long_as_the_limit_and_no_longer() {
    let bed = bed();
    let most = 60_000 + RECORD_MAX - bed.plain(&vec![0; 60_000]).len();
    let full = bed.plain(&vec![0; most]);
    assert_eq!(full.encode().len(), RECORD_MAX);
    assert_eq!(Record::decode(&full.encode()), Ok(full.clone()));
    let names = bed.names(1);
    assert_eq!(
        bed.mint(&bed.draft(&names, &vec![0; most + 1])),
        Err(MintError::RecordTooLong(RECORD_MAX + 1))
    );
    let mut over = full;
    over.header.value_len += 1;
    // Refused by what the header says, before a byte of the value is there.
    assert_eq!(Record::decode_body(&over.encode_body()), Err(DecodeError::TooLong(RECORD_MAX + 1)));
    assert_eq!(Record::decode(&vec![0; RECORD_MAX + 1]), Err(DecodeError::TooLong(RECORD_MAX + 1)));
}

#[test]
fn a_value_over_the_networks_limit_is_invalid() {
    let bed = bed();
    let record = bed.plain(&[7; 83]);
    let limited = |value_max| Rules { limits: Limits { value_max }, ..bed.rules.clone() };
    assert_eq!(record.header.value_len, 100, "17 bytes more than the value");
    assert_eq!(record.check_rules(&limited(100)), Ok(()));
    assert_eq!(record.check_rules(&limited(99)), Err(Invalid::ValueTooLong { len: 100, limit: 99 }));
}

#[test]
fn a_length_with_a_shorter_spelling_is_no_record() {
    let record = bed().plain(b"v").encode();
    let at = 2 + 6 + 32 + 2 * 32;
    assert_eq!(record[at], 18, "where the length stands");
    let spelled = |length: &[u8]| Record::decode(&[&record[..at], length, &record[at + 1..]].concat());
    assert_eq!(spelled(&[0x12 | 0x80, 0]), Err(DecodeError::Varint));
    assert_eq!(spelled(&[0x12 | 0x80, 0x80, 0]), Err(DecodeError::Varint));
    assert_eq!(spelled(&[0x80, 0x80, 0x80, 1]), Err(DecodeError::Varint), "four groups are over any record");
    assert!(spelled(&[18]).is_ok());
}

#[test]
fn what_later_versions_may_mean_is_refused() {
    let bytes = bed().plain(b"v").encode();
    let work = bytes.len() - 18 - 64 - 1;
    let with = |at: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[at] = byte;
        Record::decode(&changed)
    };
    assert_eq!(with(0, 0x00), Err(DecodeError::Version(0)));
    assert_eq!(with(0, 0x15), Err(DecodeError::Kind(5)));
    for flag in [0x20, 0x40, 0x80] {
        assert_eq!(with(1, flag | 2), Err(DecodeError::Flags(flag)));
    }
    assert_eq!(with(work, 1), Err(DecodeError::Work(1)));
    for kind in [2, 3, 4] {
        let record = with(0, 0x10 | kind).expect("its form is known");
        assert_eq!(record.check_rules(&bed().rules), Err(Invalid::UnknownKind(record.header.kind)));
    }
}

#[test]
fn a_key_that_does_not_re_encode_to_itself_signs_nothing() {
    // y = p + 1 is another spelling of the neutral element, under which anything verifies somewhere.
    let mut key = [0xFF; 32];
    (key[0], key[31]) = (0xEE, 0x7F);
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(!lfdns::record::verify_signature(&key, b"anything", &signature));
    let mut record = bed().plain(b"v");
    record.header.owner = OwnerKey(key);
    assert_eq!(record.verify(&bed().network), Err(Invalid::Signature));
}

#[test]
fn a_passphrase_has_at_least_as_many_characters_as_the_limit() {
    assert_eq!(Owner::from_passphrase("elf letters").err(), Some(OwnerError::Passphrase));
    // Characters, not bytes.
    assert_eq!(Owner::from_passphrase("ééééééé").err(), Some(OwnerError::Passphrase));
    assert!(Owner::from_passphrase("twelve chars").is_ok());
}

#[test]
fn keys_of_one_slot_differ_in_their_rest_or_last_ordinal() {
    let bed = bed();
    let at = |first, last| {
        let names: Vec<_> = bed.names(2).into_iter().zip([first, last]).map(|((n, _), o)| (n, o)).collect();
        bed.mint(&bed.draft(&names, b"v")).expect("a sound draft")
    };
    let (one, other, last) = (at(0, 0), at(1, 0), at(0, 1));
    assert_eq!(one.paths(&bed.network), other.paths(&bed.network), "ordinals are no part of a path");
    assert_ne!(one.rest(), other.rest());
    assert_eq!(one.rest(), last.rest());
    assert_eq!(one.rest(), rest_of(&[one.selectors[0].ordinal]));
}
