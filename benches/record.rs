//! What one record costs: making, reading, verifying. Beside each stands the bare operation it is made of, so
//! that the ratio says what the format adds.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use lfdns::record::{
    Compression, Draft, Link, Masking, Millis, Name, NetworkId, Owner, PathKey, Record, RecordId, Rules,
    found, hash, verify_signature,
};

struct Bed {
    network: NetworkId,
    rules: Rules,
    owner: Owner,
    links: Vec<Link>,
    names: Vec<(Name, u64)>,
}

impl Bed {
    fn new() -> Bed {
        let owner = Owner::from_seed(&[1; 32]);
        let rules = Rules::private(&[2; 32], "bench");
        let (network, genesis) = found(&owner, &rules, Millis(1_000_000)).unwrap();
        let links = genesis.iter().map(|r| Link { id: r.id(&network), time: r.header.time }).collect();
        let names = ["demo", "www"].map(|name| (Name::derive(&network, name.as_bytes()), 1 << 32)).to_vec();
        Bed { network, rules, owner, links, names }
    }

    fn mint(&self, selectors: usize, value: &[u8]) -> Record {
        let draft = Draft {
            selectors: &self.names[..selectors],
            value,
            masking: Masking::Default,
            compression: Compression::Auto,
            links: &self.links,
            pulse_key: None,
            now: Millis(2_000_000),
            after: None,
        };
        draft.mint(&self.network, &self.rules, &self.owner).unwrap()
    }
}

/// An RRset's worth of value.
const VALUE: &[u8] = &[0xD1; 40];

fn making(c: &mut Criterion) {
    let bed = Bed::new();
    let mut group = c.benchmark_group("make");
    let signer = SigningKey::from_bytes(&[1; 32]);
    group.bench_function("bare signature", |b| b.iter(|| signer.sign(black_box(&[7; 32]))));
    group.bench_function("1 selector", |b| b.iter(|| bed.mint(1, black_box(VALUE))));
    group.bench_function("2 selectors", |b| b.iter(|| bed.mint(2, black_box(VALUE))));
    let long = b"all work and no play ".repeat(100);
    group.bench_function("1 selector, 2 KB compressed", |b| b.iter(|| bed.mint(1, black_box(&long))));
    group.bench_function("derive a name", |b| b.iter(|| Name::derive(&bed.network, black_box(b"horse"))));
    group.finish();
}

fn verifying(c: &mut Criterion) {
    let bed = Bed::new();
    let mut group = c.benchmark_group("verify");
    let signer = SigningKey::from_bytes(&[1; 32]);
    let (key, message) = (signer.verifying_key().to_bytes(), [7; 32]);
    let signature = signer.sign(&message).to_bytes();
    group.bench_function("bare verify_strict", |b| {
        b.iter(|| {
            let key = VerifyingKey::from_bytes(black_box(&key)).unwrap();
            key.verify_strict(&message, &Signature::from_bytes(&signature)).unwrap();
        });
    });
    group.bench_function("one signature, key checked", |b| {
        b.iter(|| assert!(verify_signature(black_box(&key), &message, &signature)));
    });
    for selectors in [1, 2] {
        let record = bed.mint(selectors, VALUE);
        // One signature by the owner and one by each selector.
        group.bench_function(format!("record, {} signatures", selectors + 1), |b| {
            b.iter(|| black_box(&record).verify(&bed.network).unwrap());
        });
    }
    group.finish();
}

fn bytes(c: &mut Criterion) {
    let bed = Bed::new();
    let record = bed.mint(1, VALUE);
    let encoded = record.encode();
    let mut group = c.benchmark_group("bytes");
    group.bench_function("bare hash of as many", |b| {
        b.iter(|| hash("bench", &bed.network, &[black_box(&encoded)]));
    });
    group.bench_function("encode", |b| b.iter(|| black_box(&record).encode()));
    group.bench_function("decode", |b| b.iter(|| Record::decode(black_box(&encoded)).unwrap()));
    group.bench_function("id", |b| b.iter(|| -> RecordId { black_box(&record).id(&bed.network) }));
    group.bench_function("open the value", |b| {
        b.iter(|| black_box(&record).open(&bed.network, b"demo", 65_536).unwrap());
    });
    group.finish();
}

fn keys(c: &mut Criterion) {
    let bed = Bed::new();
    let name = &bed.names[0].0;
    let masked = name.mask(1 << 32);
    let mut group = c.benchmark_group("keys");
    group.bench_function("mask an ordinal", |b| b.iter(|| name.mask(black_box(1 << 32))));
    group.bench_function("unmask an ordinal", |b| b.iter(|| name.unmask(black_box(masked)).unwrap()));
    let root = PathKey::root(&bed.network);
    let public = name.public();
    group.bench_function("path one selector down", |b| b.iter(|| black_box(&root).child(&public)));
    group.finish();
}

criterion_group!(benches, making, verifying, bytes, keys);
criterion_main!(benches);
