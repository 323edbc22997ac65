//! What can be judged only when all records are there, and the order they are left in.

use super::parser::{Draft, Spot};
use super::{MasterError, MasterFault, Oddity, Rrset, Zone};
use crate::dns::name::DnsName;
use crate::dns::rdata::{Soa, canonicalize, rtype};

/// Checks the records of a zone against each other, and orders them.
pub(super) fn finish(mut draft: Draft) -> Result<Zone, MasterError> {
    let rrsets = std::mem::take(&mut draft.rrsets);
    let firsts = std::mem::take(&mut draft.firsts);
    let mut sets: Vec<(Rrset, Spot)> = rrsets.into_iter().zip(firsts).collect();
    sets.sort_by_cached_key(|(rrset, _)| (order_key(&rrset.name), rrset.rtype));
    for (rrset, _) in &mut sets {
        tidy(rrset);
    }
    for name in sets.chunk_by(|(a, _), (b, _)| a.name == b.name) {
        check_name(name, &draft.apex)?;
    }
    warn_below_dname(&sets, &mut draft);
    let rrsets: Vec<Rrset> = sets.into_iter().map(|(rrset, _)| rrset).collect();
    let soa = soa_of(&rrsets, &draft.apex);
    Ok(Zone { origin: draft.apex, soa, rrsets, warnings: draft.warnings })
}

/// Brings RRsets into canonical form and order, those of one name and type together; and reads the apex's SOA.
pub fn normalize(origin: &DnsName, mut rrsets: Vec<Rrset>) -> (Vec<Rrset>, Option<Soa>) {
    for rrset in &mut rrsets {
        rrset.name.make_lowercase();
        for rdata in &mut rrset.rdatas {
            canonicalize(rrset.rtype, rdata);
        }
    }
    rrsets.sort_by_cached_key(|rrset| (order_key(&rrset.name), rrset.rtype));
    rrsets.dedup_by(|next, rrset| {
        let same = next.name == rrset.name && next.rtype == rrset.rtype;
        if same {
            rrset.rdatas.append(&mut next.rdatas);
            rrset.ttl = rrset.ttl.min(next.ttl);
        }
        same
    });
    rrsets.iter_mut().for_each(tidy);
    let soa = soa_of(&rrsets, &origin.to_lowercase());
    (rrsets, soa)
}

/// RFC 4034 §6.3: ascending, each once.
fn tidy(rrset: &mut Rrset) {
    rrset.rdatas.sort_unstable();
    rrset.rdatas.dedup();
    rrset.rdatas.shrink_to_fit();
}

fn soa_of(rrsets: &[Rrset], apex: &DnsName) -> Option<Soa> {
    let soa = rrsets.iter().find(|rrset| rrset.rtype == rtype::SOA && rrset.name == *apex)?;
    Soa::parse(soa.rdatas.first()?).ok()
}

/// Octets that sort as lower-case names do (RFC 4034 §6.1): labels from the right, each ended by a zero, zeros and
/// ones inside written as 1 1 and 1 2.
pub(super) fn order_key(name: &DnsName) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.as_wire().len());
    for label in name.labels().rev() {
        for &octet in label {
            match octet {
                0 | 1 => key.extend_from_slice(&[1, octet + 1]),
                _ => key.push(octet),
            }
        }
        key.push(0);
    }
    key.into_boxed_slice()
}

/// One name's RRsets: what may stand beside each other, and where.
fn check_name(sets: &[(Rrset, Spot)], apex: &DnsName) -> Result<(), MasterError> {
    let of = |rtype: u16| sets.iter().find(|(rrset, _)| rrset.rtype == rtype);
    let name = &sets[0].0.name;
    if let Some((_, spot)) = of(rtype::SOA).filter(|_| name != apex) {
        return Err(spot.fault(MasterFault::SoaBelow(name.to_string())));
    }
    let Some((_, cname)) = of(rtype::CNAME) else { return Ok(()) };
    if name == apex {
        return Err(cname.fault(MasterFault::CnameAtApex));
    }
    // What proves the CNAME may stand beside it (RFC 4034 §4, RFC 4035 §2.5).
    let beside = |rrset: &Rrset| !matches!(rrset.rtype, rtype::CNAME | rtype::RRSIG | rtype::NSEC);
    match sets.iter().find(|(rrset, _)| beside(rrset)) {
        // The later line of the two is the one at fault.
        Some((_, other)) => {
            let later = if cname.file == other.file { cname.place > other.place } else { false };
            let spot = if later { cname } else { other };
            Err(spot.fault(MasterFault::CnameBeside(name.to_string())))
        }
        None => Ok(()),
    }
}

/// In canonical order all that lies below a name follows it directly.
fn warn_below_dname(sets: &[(Rrset, Spot)], draft: &mut Draft) {
    let mut above: Option<&DnsName> = None;
    for (rrset, spot) in sets {
        match above {
            Some(dname) if rrset.name == *dname => {}
            Some(dname) if rrset.name.is_subdomain_of(dname) => {
                draft.warn(spot, Oddity::BelowDname(rrset.name.to_string()));
                continue;
            }
            _ => above = None,
        }
        if rrset.rtype == rtype::DNAME {
            above = Some(&rrset.name);
        }
    }
}
