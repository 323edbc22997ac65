//! What an answer costs in the process, without sockets: from the resolver with nothing kept, and from the answer
//! cache, at each size of `LFDNS_BENCH_RECORDS`. The name book keeps some ten thousand derived names, so at 1,000
//! records a cold answer finds its name there and at 100,000 it mostly does not: `derive a name` is that difference.
#![allow(clippy::unwrap_used)]

#[path = "common/filled.rs"]
mod filled;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use filled::{Filled, Shuffle, label, sizes};
use lfdns::dns::config::Config;
use lfdns::dns::front::{Front, Via};
use lfdns::dns::name::DnsName;
use lfdns::dns::reply::{CLASS_IN, Question};
use lfdns::dns::resolver::{Resolver, Settings};
use lfdns::record::Name;

/// Questions asked in turn.
const SAMPLE: u64 = 50_000;
/// Of which so many are asked again and again where answers are kept.
const HOT: usize = 1_000;
const A: u16 = 1;
/// NOERROR and NXDOMAIN, as they stand in the fourth octet.
const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

/// A query as dig sends it, with an OPT record.
fn query(name: &str) -> Vec<u8> {
    let name: DnsName = name.parse().unwrap();
    let mut out = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    out.extend_from_slice(name.as_wire());
    out.extend_from_slice(&[0, 1, 0, 1]);
    out.extend_from_slice(&[0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]);
    out
}

fn code(answer: &[u8]) -> u8 {
    answer[3] & 15
}

fn answers(c: &mut Criterion) {
    let client = SocketAddr::from(([127, 0, 0, 1], 53_000));
    let mut group = c.benchmark_group("dns");
    group.throughput(Throughput::Elements(1));
    for size in sizes() {
        let bed = Filled::with(size);
        let resolver = Resolver::new(bed.store.clone(), vec![], Settings::default(), bed.now());
        let config = Config::default();
        let front = Front::in_process(resolver.clone(), &config, bed.clock(), Arc::default());
        let mut shuffle = Shuffle::new();
        let names: Vec<String> = (0..SAMPLE).map(|_| format!("{}.lf.", label(shuffle.below(size)))).collect();
        let packets: Vec<Vec<u8>> = names.iter().map(|name| query(name)).collect();
        let mut turn = packets.iter().cycle();
        group.bench_function(BenchmarkId::new("cold", size), |b| {
            b.iter(|| {
                let answer = front.answer_afresh(turn.next().unwrap(), Via::Udp, client).unwrap();
                assert_eq!(code(&answer), NOERROR);
                answer
            });
        });
        let mut absent = 0_u64..;
        group.bench_function(BenchmarkId::new("cold, a name nobody has", size), |b| {
            b.iter(|| {
                let packet = query(&format!("absent-{}.lf.", absent.next().unwrap()));
                let answer = front.answer_afresh(&packet, Via::Udp, client).unwrap();
                assert_eq!(code(&answer), NXDOMAIN);
                answer
            });
        });
        let hot = &packets[..HOT];
        for packet in hot {
            assert!(front.answer(packet, Via::Udp, client).is_some());
        }
        let mut turn = hot.iter().cycle();
        group.bench_function(BenchmarkId::new("hot", size), |b| {
            b.iter(|| front.answer(turn.next().unwrap(), Via::Udp, client).unwrap());
        });
        let questions: Vec<Question> = names
            .iter()
            .map(|name| Question { name: name.parse().unwrap(), qtype: A, qclass: CLASS_IN, local: None })
            .collect();
        let mut turn = questions.iter().cycle();
        group.bench_function(BenchmarkId::new("resolver alone", size), |b| {
            b.iter(|| {
                let (reply, _) = resolver.resolve(turn.next().unwrap(), bed.now(), false);
                assert_eq!(reply.answers.len(), 1);
                black_box(reply)
            });
        });
        group.bench_function(BenchmarkId::new("derive a name", size), |b| {
            b.iter(|| Name::derive(&bed.network, black_box(b"host-1")));
        });
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
