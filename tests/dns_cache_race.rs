//! The answer cache while the store is written to: nothing older than what was acknowledged before the question.
#![allow(clippy::unwrap_used)]

#[path = "common/bed.rs"]
mod bed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bed::{Bed, name};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use lfdns::dns::config::Config;
use lfdns::dns::front::{Front, Via};
use lfdns::dns::rrset::{RrsetValue, rrset_ordinal};
use lfdns::metrics::Metrics;

const COMMITS: u32 = 200;

#[test]
fn nobody_is_told_less_than_was_acknowledged_before_they_asked() {
    let bed = Bed::new();
    let metrics = Arc::new(Metrics::default());
    let front =
        Front::in_process(bed.resolver.clone(), &Config::default(), bed.clock(), Arc::clone(&metrics));
    let client: SocketAddr = ([127, 0, 0, 1], 53_000).into();
    let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(name("version.demo.lf.").as_wire());
    query.extend([0, 1, 0, 1]);
    let (acknowledged, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let version_of = |answer: &[u8]| {
        let message = Message::from_vec(answer).unwrap();
        message.answers.first().map_or(0, |record| match &record.data {
            RData::A(address) => u32::from(address.0),
            other => panic!("{other:?}"),
        })
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let seen = version_of(&front.answer(&query, Via::Udp, client).unwrap());
                    assert!(seen >= before, "told {seen} after {before} was acknowledged");
                }
            });
        }
        for version in 1..=COMMITS {
            let value = RrsetValue {
                ttl: 60,
                max_silence: 0,
                path: vec![],
                rdatas: vec![version.to_be_bytes().to_vec()],
            };
            bed.put(&bed.owner, &[(b"demo", 0), (b"version", rrset_ordinal(1))], &value.encode());
            acknowledged.store(version, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(metrics.dns.cache_hits.count() > 0);
}
