//! The format's frozen vectors: what this code makes is compared with `tests/vectors/*.json`, byte for byte, and
//! what stands there is read back. A difference means that records of existing networks would be read
//! differently, so the files change with the format version only; `LFDNS_BLESS=1 cargo test --test
//! record_vectors` then writes them anew. `tests/vectors/check.py` recomputes them without this code.
#![allow(clippy::unwrap_used)]

#[path = "common/frozen.rs"]
mod frozen;

use frozen::{freeze, frozen, hex, unhex};
use lfdns::dns::rrset::{BUNDLE_ORDINAL, Bundle, METADATA_ORDINAL, RrsetValue, Slotted, rrset_ordinal};
use lfdns::record::{
    Authority, Compression, Draft, Link, Masked, Masking, Millis, Name, NetworkId, OrdinalCipher, Owner,
    OwnerKey, PathKey, Pulse, Record, RecordId, Rules, ZoneRule, base62, found, hash, rest_of, z32,
};
use serde_json::{Value, json};

/// When the network of these vectors begins.
const FOUNDED: Millis = Millis(1_700_000_000_000);
/// When its data were made.
const NOW: Millis = Millis(1_700_000_060_000);
const RECORDS: [&str; 7] = [
    "one selector",
    "three selectors",
    "pulse key",
    "deletion",
    "a masking key of its own",
    "a long value, raw",
    "an empty name and five links",
];

fn owner() -> Owner {
    Owner::from_seed(&[1; 32])
}

fn rules() -> Rules {
    let owners = Authority::Owners(vec![owner().key()]);
    let zones = vec![ZoneRule::new("lf.", &[], Authority::Key), ZoneRule::new("demo.lf.", &["demo"], owners)];
    let comment = "quote \" backslash \\ tab \t bell \u{7} snowman \u{2603} horse \u{1F40E}".into();
    Rules { zones, comment, ..Rules::private(&[2; 32], "vectors") }
}

fn network() -> (NetworkId, Vec<Record>) {
    found(&owner(), &rules(), FOUNDED).expect("sound rules")
}

/// What a frozen record is made of.
struct Recipe {
    selectors: Vec<(&'static [u8], u64)>,
    value: Vec<u8>,
    masking_key: Option<&'static [u8]>,
    pulse_key: Option<[u8; 32]>,
    links: usize,
}

fn recipe(case: &str) -> Recipe {
    let a = rrset_ordinal(1);
    let plain = |selectors, value: &[u8]| Recipe {
        selectors,
        value: value.to_vec(),
        masking_key: None,
        pulse_key: None,
        links: 2,
    };
    match case {
        "one selector" => plain(vec![(b"horse", 0)], b"neigh"),
        "three selectors" => plain(vec![(b"demo", 0), (b"www", 7), (b"deep", a)], b"x"),
        "pulse key" => {
            let pulse_key = Some(Owner::from_seed(&[3; 32]).key().0);
            Recipe { pulse_key, ..plain(vec![(b"horse", 2)], b"alive") }
        }
        "deletion" => plain(vec![(b"demo", 0), (b"www", a)], b""),
        "a masking key of its own" => {
            Recipe { masking_key: Some(b"secret"), ..plain(vec![(b"horse", u64::MAX)], b"whispered") }
        }
        "a long value, raw" => plain(vec![(b"horse", 1)], &[0xA5; 300]),
        "an empty name and five links" => Recipe { links: 5, ..plain(vec![(b"", a)], b"apex") },
        other => panic!("no recipe for {other}"),
    }
}

impl Recipe {
    fn mint(&self, compression: Compression) -> Record {
        let (network, genesis) = network();
        let mut links: Vec<Link> =
            genesis.iter().map(|r| Link { id: r.id(&network), time: r.header.time }).collect();
        links.extend((2..self.links).map(|n| Link { id: RecordId([n as u8; 32]), time: FOUNDED }));
        let selectors: Vec<_> = self.selectors.iter().map(|(n, o)| (Name::derive(&network, n), *o)).collect();
        let draft = Draft {
            selectors: &selectors,
            value: &self.value,
            masking: self.masking_key.map_or(Masking::Default, Masking::Key),
            compression,
            links: &links,
            pulse_key: self.pulse_key,
            now: NOW,
            after: None,
        };
        draft.mint(&network, &rules(), &owner()).expect("a sound draft")
    }

    fn masking_key(&self) -> &[u8] {
        self.masking_key.unwrap_or(self.selectors[0].0)
    }

    fn describe(&self, case: &str, record: &Record) -> Value {
        let (network, _) = network();
        let selectors: Vec<_> = self
            .selectors
            .iter()
            .map(|(name, o)| json!({"name": hex(name), "ordinal": o.to_string()}))
            .collect();
        json!({
            "case": case,
            "network": hex(&network.0),
            "owner_seed": hex(&[1; 32]),
            "time": record.header.time.0,
            "links": record.header.links.iter().map(|l| hex(&l.0)).collect::<Vec<_>>(),
            "pulse_key": record.header.pulse_key.map(|k| hex(&k)),
            "selectors": selectors,
            "masking_key": hex(self.masking_key()),
            "plain_value": hex(&self.value),
            "masked_value": hex(record.value.as_deref().expect("a fresh record has its value")),
            "claims": record.selectors.iter().map(|s| hex(&s.claim)).collect::<Vec<_>>(),
            "id": hex(&record.id(&network).0),
            "signature": hex(&record.signature),
            "record": hex(&record.encode()),
            "slot": hex(&record.paths(&network).last().expect("a datum has selectors").0),
            "rest": record.rest().to_string(),
        })
    }
}

#[test]
fn hashes_are_as_frozen() {
    let tags = [
        "record",
        "claim",
        "value",
        "value key",
        "nonce",
        "selector",
        "ordinal",
        "path root",
        "path",
        "rest",
        "pulse",
        "network",
        "passphrase",
    ];
    let parts: [&[&[u8]]; 4] = [&[], &[b""], &[b"horse"], &[b"bad", b"", &[0xFF; 300]]];
    let mut cases = vec![];
    for (index, tag) in tags.iter().enumerate() {
        let tag = format!("lfdns {tag} v1");
        let network = NetworkId([index as u8; 32]);
        let parts = parts[index % parts.len()];
        cases.push(json!({
            "tag": tag, "network": hex(&network.0), "parts": parts.iter().map(|p| hex(p)).collect::<Vec<_>>(),
            "hash": hex(&hash(&tag, &network, parts)),
        }));
    }
    freeze("hash.json", &json!(cases));
}

#[test]
fn text_forms_are_as_frozen() {
    let samples: [&[u8]; 9] = [
        b"",
        b"\0",
        b"\0\0a",
        b"f",
        b"fo",
        b"foo",
        b"foob",
        &[0xFF; 32],
        b"The quick brown fox jumps over it",
    ];
    let both: Vec<_> = samples
        .iter()
        .map(|b| json!({"bytes": hex(b), "z32": z32::encode(b), "base62": base62::encode(b)}))
        .collect();
    for bytes in samples {
        assert_eq!(z32::decode(z32::encode(bytes).as_bytes()).as_deref(), Some(bytes));
        assert_eq!(base62::decode(base62::encode(bytes).as_bytes()).as_deref(), Some(bytes));
    }
    let key = owner().key();
    let (network, genesis) = network();
    let id = genesis[1].id(&network);
    let last = format!("{}b", &key.label()[..51]);
    let refused =
        [String::new(), "@".to_owned(), key.to_string().to_uppercase(), last, key.to_string() + "y"];
    for text in &refused {
        assert!(text.parse::<OwnerKey>().is_err(), "{text}");
    }
    freeze(
        "text.json",
        &json!({
            "encodings": both,
            "owner": {"key": hex(&key.0), "text": key.to_string(), "refused": refused},
            "record_id": {"id": hex(&id.0), "text": id.to_string()},
            "zero_record_id": {"id": hex(&[0; 32]), "text": RecordId([0; 32]).to_string()},
        }),
    );
}

#[test]
fn selectors_are_as_frozen() {
    let (network, _) = network();
    let names: [&[u8]; 5] = [b"horse", b"bad", b"", b"\xFF\0binary", &[b'n'; 1024]];
    let cases: Vec<_> = names
        .iter()
        .map(|name| {
            json!({
                "network": hex(&network.0), "name": hex(name),
                "seed": hex(&hash("lfdns selector v1", &network, &[name])),
                "public": hex(&Name::derive(&network, name).public().0),
                "ordinal_key": hex(&hash("lfdns ordinal v1", &network, &[name])[..16]),
                "masked_2": hex(&Name::derive(&network, name).mask(2).0),
            })
        })
        .collect();
    freeze("selectors.json", &json!(cases));
}

#[test]
fn ordinals_are_as_frozen() {
    let ordinals = [
        0,
        1,
        2,
        3,
        rrset_ordinal(1),
        rrset_ordinal(16),
        rrset_ordinal(28),
        rrset_ordinal(65400),
        BUNDLE_ORDINAL,
        METADATA_ORDINAL,
        1 << 63,
        (1 << 63) - 1,
        0x0123_4567_89AB_CDEF,
        u64::MAX - 1,
        u64::MAX,
    ];
    let counting: [u8; 16] = std::array::from_fn(|n| n as u8);
    let cases: Vec<_> = [counting, [0; 16], [0xFF; 16]]
        .iter()
        .map(|key| {
            let cipher = OrdinalCipher::new(key);
            let images: Vec<_> = ordinals
                .iter()
                .map(|o| {
                    let masked = cipher.mask(*o);
                    assert_eq!(cipher.unmask(masked), Some(*o));
                    json!({"ordinal": o.to_string(), "masked": hex(&masked.0)})
                })
                .collect();
            let next = u128::from_be_bytes(cipher.mask(5).0) + 1;
            let no_images = [[0; 16], [0xFF; 16], next.to_be_bytes()];
            assert!(no_images.iter().all(|bytes| cipher.unmask(Masked(*bytes)).is_none()));
            json!({"key": hex(key), "images": images, "no_images": no_images.map(|b| hex(&b))})
        })
        .collect();
    freeze("ordinals.json", &json!(cases));
}

#[test]
fn paths_are_as_frozen() {
    let (network, _) = network();
    let names: [&[u8]; 3] = [b"demo", b"www", b""];
    let mut path = PathKey::root(&network);
    let mut steps = vec![];
    for name in names {
        path = path.child(&Name::derive(&network, name).public());
        steps.push(json!({"name": hex(name), "path": hex(&path.0)}));
    }
    let rest: Vec<_> = [vec![], vec![Masked([1; 16])], vec![Masked([1; 16]), Masked([0xFE; 16])]]
        .iter()
        .map(|before| {
            let before_hex: Vec<_> = before.iter().map(|m| hex(&m.0)).collect();
            json!({"before": before_hex, "rest": rest_of(before).to_string()})
        })
        .collect();
    let root = hex(&PathKey::root(&network).0);
    freeze("paths.json", &json!({"network": hex(&network.0), "root": root, "steps": steps, "rest": rest}));
}

#[test]
fn records_are_as_frozen() {
    let cases: Vec<_> = RECORDS
        .iter()
        .map(|case| {
            let recipe = recipe(case);
            recipe.describe(case, &recipe.mint(Compression::Off))
        })
        .collect();
    freeze("records.json", &json!(cases));
}

#[test]
fn frozen_records_read_back_verify_and_open() {
    if frozen::blessing() {
        println!("skipped: the files are being written");
        return;
    }
    let (network, _) = network();
    for frozen in frozen("records.json").as_array().expect("a list") {
        let case = frozen["case"].as_str().expect("a name");
        let bytes = unhex(&frozen["record"]);
        let record = Record::decode(&bytes).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(record.encode(), bytes, "{case}");
        assert_eq!(record.check_rules(&rules()), Ok(()), "{case}");
        let id = record.verify(&network).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(id.0.as_slice(), unhex(&frozen["id"]), "{case}");
        let opened = record.open(&network, &unhex(&frozen["masking_key"]), 65_536);
        assert_eq!(opened.as_deref(), Ok(unhex(&frozen["plain_value"]).as_slice()), "{case}");
        assert_eq!(record.is_deletion(), case == "deletion");
    }
}

#[test]
fn a_frozen_brotli_value_opens() {
    // How well an encoder packs is its own affair: the frozen bytes are read, not made again.
    let recipe = Recipe { value: b"all work and no play ".repeat(40), ..recipe("one selector") };
    let file = "brotli.json";
    if frozen::blessing() {
        freeze(file, &json!([recipe.describe("brotli", &recipe.mint(Compression::Auto))]));
    }
    let (network, _) = network();
    let frozen = frozen(file)[0].take();
    let record = Record::decode(&unhex(&frozen["record"])).expect("a record");
    assert!((record.header.value_len as usize) < recipe.value.len(), "it is compressed");
    assert_eq!(record.verify(&network), Ok(record.id(&network)));
    assert_eq!(record.open(&network, b"horse", 65_536).as_ref(), Ok(&recipe.value));
}

#[test]
fn the_network_is_as_frozen() {
    let (network, genesis) = network();
    let records: Vec<_> = genesis
        .iter()
        .map(|r| json!({"record": hex(&r.encode()), "id": hex(&r.id(&network).0), "time": r.header.time.0}))
        .collect();
    let canonical = String::from_utf8(rules().to_canonical()).expect("JSON is UTF-8");
    freeze(
        "network.json",
        &json!({"owner_seed": hex(&[1; 32]), "rules": canonical, "records": records, "network": hex(&network.0)}),
    );
}

#[test]
fn pulses_are_as_frozen() {
    let (network, _) = network();
    let record = RecordId([9; 32]);
    let public = Owner::from_seed(&[3; 32]).key().0;
    let cases: Vec<_> = [0, 1, 1440, u32::MAX]
        .iter()
        .map(|minute| {
            let pulse = Pulse::mint(&network, record, *minute, &[3; 32]);
            assert!(pulse.verify(&network, &public));
            json!({
                "network": hex(&network.0), "record": hex(&record.0), "minute": minute, "seed": hex(&[3; 32]),
                "public": hex(&public), "pulse": hex(&pulse.encode()),
            })
        })
        .collect();
    freeze("pulses.json", &json!(cases));
}

#[test]
fn dns_values_are_as_frozen() {
    let path = vec![b"demo".to_vec(), b"www".to_vec()];
    let hexes = |list: &[Vec<u8>]| list.iter().map(|b| hex(b)).collect::<Vec<_>>();
    let a = vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]];
    let txt = vec![b"\x05hello".to_vec()];
    let rrset = |ttl, max_silence, path: &[Vec<u8>], rdatas: &[Vec<u8>]| {
        let value = RrsetValue { ttl, max_silence, path: path.to_vec(), rdatas: rdatas.to_vec() };
        assert_eq!(RrsetValue::decode(&value.encode()).as_ref(), Some(&value));
        json!({"ttl": ttl, "max_silence": max_silence, "path": hexes(path), "rdatas": hexes(rdatas),
               "value": hex(&value.encode())})
    };
    let rrsets = [rrset(300, 0, &path, &a), rrset(0, 5, &[], &txt), rrset(0x7FFF_FFFF, 65535, &[vec![]], &a)];
    let bundle = Bundle { max_silence: 9, path: path.clone(), sets: vec![(1, 300, a), (16, 60, txt)] };
    assert_eq!(Bundle::decode(&bundle.encode()).as_ref(), Some(&bundle));
    let sets: Vec<_> = bundle
        .sets
        .iter()
        .map(|(rtype, ttl, rdatas)| json!({"type": rtype, "ttl": ttl, "rdatas": hexes(rdatas)}))
        .collect();
    // A tag of another value, unknown flags, no data, a byte too few or too many, the flag denying the path.
    let refused = [
        "d0000000012c00000000010000",
        "d1020000012c00000000010000",
        "d1010000012c0000000000",
        "d1010000012c000000000100",
        "d1010000012c0000000001000000",
        "d1000000012c00000000010000",
    ];
    for value in refused {
        assert_eq!(RrsetValue::decode(&unhex(&json!(value))), None, "{value}");
    }
    let slots = [0, 1 << 32, (1 << 32) + 1, 65535 << 32, BUNDLE_ORDINAL, METADATA_ORDINAL, u64::MAX];
    let slots: Vec<_> = slots
        .iter()
        .map(|o| {
            let holds = match Slotted::of(*o) {
                Slotted::Rrset(rtype) => format!("rrset {rtype}"),
                other => format!("{other:?}").to_lowercase(),
            };
            json!({"ordinal": o.to_string(), "holds": holds})
        })
        .collect();
    let bundle =
        json!({"max_silence": 9, "path": hexes(&path), "sets": sets, "value": hex(&bundle.encode())});
    freeze(
        "dns.json",
        &json!({"rrsets": rrsets, "bundles": [bundle], "refused": refused, "ordinals": slots}),
    );
}

#[test]
fn owners_are_as_frozen() {
    let from_seed: Vec<_> = [[0; 32], [1; 32], [0xFF; 32]]
        .iter()
        .map(|seed| {
            let owner = Owner::from_seed(seed);
            let (pem, lf) = (owner.to_pem(), owner.to_lf_pem());
            assert!([&pem, &lf].iter().all(|text| Owner::from_pem(text).map(|o| o.key()) == Ok(owner.key())));
            json!({"seed": hex(seed), "key": hex(&owner.key().0), "pem": *pem, "lf_pem": *lf})
        })
        .collect();
    let phrase = "correct horse battery staple";
    let owner = Owner::from_passphrase(phrase).expect("long enough");
    let passphrase = json!([{"passphrase": phrase, "key": hex(&owner.key().0), "pem": *owner.to_pem()}]);
    freeze("owners.json", &json!({"from_seed": from_seed, "passphrase": passphrase}));
}
