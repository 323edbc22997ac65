//! The additional section: addresses of the hosts that NS, MX, SRV and SVCB records name, where they are ours.

use smallvec::SmallVec;

use super::decide::{Decision, Outcome};
use super::lookup::Reading;
use super::name::DnsName;
use super::rdata::{rtype, target_names};
use super::reply::{Question, Reply, Rr};
use super::resolver::{Resolver, rrs_of};
use super::zone::Zones;
use crate::store::StoreError;

/// Hosts whose addresses one reply carries at most.
const HOSTS_MAX: usize = 8;

/// Adds the addresses. They are a courtesy, except below a delegation, where they are glue (RFC 9471).
pub(crate) fn fill(
    resolver: &Resolver,
    zones: &Zones,
    question: &Question,
    reading: &mut Reading<'_>,
    reply: &mut Reply,
) -> Result<(), StoreError> {
    let referral = !reply.aa && !reply.authority.is_empty();
    let mut hosts: SmallVec<[DnsName; 8]> = SmallVec::new();
    for rr in reply.answers.iter().chain(&reply.authority) {
        if !matches!(rr.rtype, rtype::NS | rtype::MX | rtype::SRV | rtype::SVCB | rtype::HTTPS) {
            continue;
        }
        for host in target_names(rr.rtype, &rr.rdata) {
            if hosts.len() < HOSTS_MAX && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    // What explains the answer need not explain its courtesies.
    let notes = reading.notes.take();
    for host in hosts {
        for qtype in [rtype::A, rtype::AAAA] {
            let asked = Question { name: host.clone(), qtype, ..question.clone() };
            let rrs = address(resolver, zones, &asked, referral, reading, &mut reply.uses_local)?;
            let new = rrs.into_iter().filter(|rr| !reply.answers.contains(rr));
            reply.additional.extend(new.collect::<Vec<_>>());
        }
    }
    reading.notes = notes;
    Ok(())
}

fn address(
    resolver: &Resolver,
    zones: &Zones,
    asked: &Question,
    referral: bool,
    reading: &mut Reading<'_>,
    uses_local: &mut bool,
) -> Result<Vec<Rr>, StoreError> {
    let name = asked.name.to_lowercase();
    let Some(zone) = zones.find(&name) else { return Ok(vec![]) };
    let decision = Decision::make(resolver, zone, &name, asked, reading)?;
    match decision.outcome {
        Outcome::Answer(rrs) => {
            *uses_local |= decision.uses_local;
            Ok(rrs)
        }
        // The host lies at or below the cut itself: its address is there although the cut occludes it.
        Outcome::Referral { .. } if referral => glue(zone, &name, &decision, asked.qtype, reading),
        _ => Ok(vec![]),
    }
}

fn glue(
    zone: &super::zone::Zone,
    name: &DnsName,
    decision: &Decision,
    qtype: u16,
    reading: &mut Reading<'_>,
) -> Result<Vec<Rr>, StoreError> {
    let labels = name.strip_suffix(&zone.suffix).expect("the zone was found by the name's suffix");
    let Ok(path) = super::path::Path::read(labels, zone.at.len()) else { return Ok(vec![]) };
    let derived = reading.derive(&zone.base, &path.steps);
    let Some(slot) = reading.slot(&derived, &[], &decision.cut.speakers)? else { return Ok(vec![]) };
    let served = reading.rrset(&slot, qtype)?;
    Ok(served.map_or_else(Vec::new, |served| rrs_of(zone, name, &served)))
}
