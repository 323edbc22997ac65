//! Explains answers and lists zones for the API: the resolver's notes, spelled out.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::json::{Blob, HashText, OwnerText, ZoneEntry};
use crate::api::{Explain, Refused, Sink};
use crate::dns::explain::{Fate, Notes, RecordNote};
use crate::dns::list::ListedRrset;
use crate::dns::name::DnsName;
use crate::dns::rdata::{self, rtype};
use crate::dns::reply::{CLASS_IN, Question, Reply, Rr};
use crate::dns::resolver::Resolver;
use crate::dns::zone::Zone;
use crate::record::{Authority, OwnerKey};

const BAD_REQUEST: u16 = 400;
const NOT_FOUND: u16 = 404;

/// The resolver, as the API asks it.
pub(super) struct Explainer {
    resolver: Arc<Resolver>,
}

impl Explainer {
    pub(super) fn new(resolver: Arc<Resolver>) -> Explainer {
        Explainer { resolver }
    }

    fn zone(&self, suffix: &str) -> Result<Arc<Zone>, Refused> {
        let zones = self.resolver.zones();
        zones.exactly(&parse(suffix)?).cloned().ok_or_else(|| {
            let known: Vec<String> = zones.iter().map(|zone| zone.suffix.to_string()).collect();
            refused(NOT_FOUND, format!("no zone '{suffix}' here; there are: {}", known.join(", ")))
        })
    }
}

impl Explain for Explainer {
    fn explain(&self, name: &str, rtype: Option<&str>) -> Result<Value, Refused> {
        let name = parse(name)?;
        let qtype = match rtype {
            None => rtype::ANY,
            Some(text) => rdata::rtype_from_text(text)
                .ok_or_else(|| refused(BAD_REQUEST, format!("'{text}' is not a record type")))?,
        };
        let question = Question { name, qtype, qclass: CLASS_IN, local: None };
        let (reply, notes) = self.resolver.resolve(&question, super::now(), true);
        Ok(document(&question, &reply, &notes.unwrap_or_default()))
    }

    fn list_zone(&self, suffix: &str, owner: Option<&OwnerKey>, sink: Sink<'_>) -> Result<(), Refused> {
        let zone = self.zone(suffix)?;
        let owners: Vec<OwnerKey> = match (owner, &zone.authority) {
            (Some(owner), _) => vec![*owner],
            (None, Authority::Owners(owners)) => owners.clone(),
            (None, Authority::Key) => {
                let why = format!("in {suffix} every owner speaks below its own key: name one");
                return Err(refused(BAD_REQUEST, why));
            }
        };
        let mut wanted = true;
        for owner in owners {
            self.resolver.list(&zone, &owner, |listed| {
                wanted = wanted && sink(entry(listed));
                wanted
            })?;
            // Who has gone is not read for: not even the first record of the next owner.
            if !wanted {
                break;
            }
        }
        Ok(())
    }
}

fn refused(status: u16, message: String) -> Refused {
    Refused { status, message }
}

fn parse(name: &str) -> Result<DnsName, Refused> {
    DnsName::parse(name, Some(&DnsName::root()))
        .map_err(|error| refused(BAD_REQUEST, format!("'{name}' is not a domain name: {error}")))
}

fn entry(listed: ListedRrset) -> ZoneEntry {
    ZoneEntry {
        name: listed.name.to_string(),
        rtype: rdata::rtype_to_text(listed.rtype).into_owned(),
        ttl: listed.ttl,
        text: listed.rdatas.iter().map(|data| rdata::print(listed.rtype, data)).collect(),
        rdata: listed.rdatas.into_iter().map(Blob).collect(),
        owner: OwnerText(listed.owner),
        hash: HashText(listed.id),
        timestamp_millis: listed.time.0,
    }
}

fn document(question: &Question, reply: &Reply, notes: &Notes) -> Value {
    let lines = |section: &[Rr]| section.iter().map(line).collect::<Vec<_>>();
    let owners = |owners: &[OwnerKey]| owners.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "question": format!("{} {}", question.name, rdata::rtype_to_text(question.qtype)),
        "zone": notes.zone.as_ref().map(|(suffix, _)| suffix),
        "local_zone": notes.zone.as_ref().map(|(_, local)| local),
        "authority": notes.authority,
        "path": notes.path,
        "cut": notes.cut,
        "speakers": owners(&notes.speakers),
        "steps": notes.steps,
        "records": notes.records.iter().map(record).collect::<Vec<_>>(),
        "rcode": format!("{:?}", reply.rcode).to_uppercase(),
        "answer": lines(&reply.answers),
        "authority_section": lines(&reply.authority),
        "additional": lines(&reply.additional),
        "reason": reply.ede.as_ref().map(|ede| format!("EDE {}: {}", ede.code, ede.text)),
        "until_ms": reply.until.map(|until| until.0),
    })
}

fn record(note: &RecordNote) -> Value {
    let why = match &note.fate {
        Fate::DoesNotOpen(why) => Some(why),
        _ => None,
    };
    json!({
        "id": note.id.to_string(),
        "owner": note.owner.to_string(),
        "time_ms": note.time.0,
        "ordinal": note.ordinal,
        "type": note.rtype.map(|rtype| rdata::rtype_to_text(rtype).into_owned()),
        "fate": note.fate.name(),
        "why": why,
    })
}

/// A record as a master file has it.
fn line(rr: &Rr) -> String {
    let rtype = rdata::rtype_to_text(rr.rtype);
    format!("{} {} IN {rtype} {}", rr.name, rr.ttl, rdata::print(rr.rtype, &rr.rdata))
}
