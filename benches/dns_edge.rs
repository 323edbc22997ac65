//! What the edge of the DNS server costs a question, beside the resolver: a kept answer, and one that hickory reads
//! and writes. No sockets; `lfdns bench dns` measures those.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lfdns::dns::config::Config;
use lfdns::dns::counters::Counters;
use lfdns::dns::front::{Front, Via};
use lfdns::dns::name::DnsName;
use lfdns::dns::reply::{Answer, Question, Rcode, Reply, Rr};
use lfdns::record::{Millis, PathKey};

const NAMES: usize = 100_000;
/// One name of so many does not exist.
const ABSENT_EVERY: usize = 20;

/// One address for every name.
#[derive(Default)]
struct Constant(Counters);

impl Answer for Constant {
    fn answer(&self, question: &Question, _now: Millis) -> Reply {
        let mut deps = self.0.begin();
        for step in 0..4 {
            deps.note(&self.0, &PathKey([step; 16]));
        }
        let mut reply = Reply::code(Rcode::NoError, deps);
        reply.aa = true;
        if question.name.labels().next().is_some_and(|label| label.starts_with(b"absent")) {
            reply.rcode = Rcode::NxDomain;
            let zone: DnsName = "demo.lf.".parse().expect("a sound name");
            let rdata = [zone.as_wire(), zone.as_wire(), &[0; 20]].concat();
            reply.authority = vec![Rr { name: zone, rtype: 6, ttl: 60, rdata }];
        } else {
            let name = question.name.clone();
            reply.answers = vec![Rr { name, rtype: 1, ttl: 3600, rdata: vec![192, 0, 2, 1] }];
        }
        reply
    }

    fn counters(&self) -> &Counters {
        &self.0
    }
}

fn queries() -> Vec<Vec<u8>> {
    let query = |index: usize| {
        let kind = if index.is_multiple_of(ABSENT_EVERY) { "absent" } else { "host" };
        let name: DnsName = format!("{kind}{index}.demo.lf.").parse().expect("a sound name");
        let mut query = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(name.as_wire());
        query.extend([0, 1, 0, 1]);
        query
    };
    (0..NAMES).map(query).collect()
}

fn edge(criterion: &mut Criterion) {
    let clock = Arc::new(|| Millis(1_700_000_000_000));
    let config = Config { cache_bytes: 256 << 20, ..Config::default() };
    let front = Front::in_process(Arc::new(Constant::default()), &config, clock, Arc::default());
    let client: SocketAddr = ([127, 0, 0, 1], 53_000).into();
    let queries = queries();
    for query in &queries {
        front.answer(query, Via::Udp, client).expect("an answer");
    }
    let mut group = criterion.benchmark_group("dns edge");
    group.throughput(Throughput::Elements(1));
    let mut next = 0;
    let mut turn = || {
        next = (next + 7919) % NAMES;
        &queries[next]
    };
    group.bench_function("kept answer", |bencher| {
        bencher.iter_batched(
            &mut turn,
            |query| black_box(front.answer(query, Via::Udp, client)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("read and written by hickory", |bencher| {
        bencher.iter_batched(
            &mut turn,
            |query| black_box(front.answer_afresh(query, Via::Udp, client)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, edge);
criterion_main!(benches);
