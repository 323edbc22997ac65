//! What a zone cut always has although nobody need publish it: SOA and NS, and the address of the name server
//! it names, which is the address the question came to. Published ones win, but serial and MINIMUM are ours.

use std::net::IpAddr;

use super::decide::Cut;
use super::lookup::Reading;
use super::name::DnsName;
use super::rdata::{Soa, rtype};
use super::reply::{Question, Rr};
use super::resolver::{Resolver, rewrite};
use crate::record::PathKey;
use crate::store::StoreError;

/// Bounds of the served MINIMUM, seconds: names appear asynchronously, so absence is not kept long.
const MINIMUM_SECONDS: std::ops::RangeInclusive<u32> = 30..=60;
const REFRESH: u32 = 3_600;
const RETRY: u32 = 600;
const EXPIRE: u32 = 1_209_600;
/// The label of the synthesised name server.
const NS_LABEL: &[u8] = b"ns";

/// The place of a cut's serial in the table of counters. Not the cut's own path: negative answers read that,
/// and may carry an older serial.
pub(crate) fn serial_place(cut: &PathKey) -> PathKey {
    let mut place = *cut;
    place.0[..4].iter_mut().for_each(|byte| *byte ^= 0xA5);
    place
}

/// The name server given for a cut that publishes none.
pub(crate) fn hostname(resolver: &Resolver, cut: &DnsName) -> DnsName {
    let own = || cut.child(NS_LABEL).unwrap_or_else(|_| cut.clone());
    resolver.settings.hostname.clone().unwrap_or_else(own)
}

/// The SOA of a cut, exact as of now.
pub(crate) fn soa(resolver: &Resolver, cut: &Cut, reading: &mut Reading<'_>) -> Result<Rr, StoreError> {
    reading.deps.note(reading.counters, &serial_place(&cut.serial()));
    build_soa(resolver, cut, reading)
}

/// The SOA that goes with a negative answer.
pub(crate) fn negative_soa(
    resolver: &Resolver,
    cut: &Cut,
    reading: &mut Reading<'_>,
) -> Result<Rr, StoreError> {
    let mut rr = build_soa(resolver, cut, reading)?;
    let minimum = Soa::parse(&rr.rdata).map_or(*MINIMUM_SECONDS.start(), |soa| soa.minimum);
    rr.ttl = rr.ttl.min(minimum);
    Ok(rr)
}

fn build_soa(resolver: &Resolver, cut: &Cut, reading: &mut Reading<'_>) -> Result<Rr, StoreError> {
    let published = match reading.slot(&cut.path, &[], &cut.speakers)? {
        Some(slot) => reading.rrset(&slot, rtype::SOA)?,
        None => None,
    };
    let serial = reading.snapshot.serial(&cut.serial())?.unwrap_or(resolver.first_serial());
    let own = published.and_then(|served| {
        let rdata = rewrite(&cut.zone, rtype::SOA, served.rdatas.first()?);
        Some((served.ttl, Soa::parse(&rdata).ok()?))
    });
    let (ttl, soa) = own.unwrap_or_else(|| (cut.zone.ttl, synthesised(resolver, &cut.name)));
    let minimum = soa.minimum.clamp(*MINIMUM_SECONDS.start(), *MINIMUM_SECONDS.end());
    let rdata = Soa { serial, minimum, ..soa }.to_rdata();
    Ok(Rr { name: cut.name.clone(), rtype: rtype::SOA, ttl, rdata })
}

fn synthesised(resolver: &Resolver, cut: &DnsName) -> Soa {
    Soa {
        mname: hostname(resolver, cut),
        rname: cut.child(b"hostmaster").unwrap_or_else(|_| cut.clone()),
        serial: 0,
        refresh: REFRESH,
        retry: RETRY,
        expire: EXPIRE,
        minimum: *MINIMUM_SECONDS.end(),
    }
}

/// The NS of a cut that publishes none.
pub(crate) fn ns(resolver: &Resolver, cut: &Cut) -> Rr {
    let rdata = hostname(resolver, &cut.name).as_wire().to_vec();
    Rr { name: cut.name.clone(), rtype: rtype::NS, ttl: cut.zone.ttl, rdata }
}

/// Whether a name is the synthesised name server of its cut.
pub(crate) fn is_own_server(resolver: &Resolver, cut: &Cut, name: &DnsName) -> bool {
    resolver.settings.hostname.is_none() && hostname(resolver, &cut.name).eq_ignore_case(name)
}

/// The address of the synthesised name server, if the question came to an address of this type's family.
pub(crate) fn own_address(cut: &Cut, name: &DnsName, qtype: u16, question: &Question) -> Option<Rr> {
    let rdata = match (question.local?, qtype) {
        (IpAddr::V4(address), rtype::A) => address.octets().to_vec(),
        (IpAddr::V6(address), rtype::AAAA) => address.octets().to_vec(),
        _ => return None,
    };
    Some(Rr { name: name.clone(), rtype: qtype, ttl: cut.zone.ttl, rdata })
}
