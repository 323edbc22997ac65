//! Who is left alone for a while, and for how long. Bounded; the shortest shun gives way.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::address::{NodeKey, place};
use crate::record::Millis;

/// Keys and IP addresses remembered.
pub(super) const SHUNS_MAX: usize = 1024;
/// The first shun, milliseconds; each further offence takes four times as long.
pub(super) const SHUN_MIN_MS: u64 = 60_000;
/// The longest one, milliseconds.
pub(super) const SHUN_MAX_MS: u64 = 24 * 3_600_000;
/// The longest one for a peer the operator or the rules want, milliseconds: our mistake must not cut a node
/// off for a day.
pub(super) const SHUN_WANTED_MAX_MS: u64 = 600_000;
/// Offences from one IP address that pass before it is shunned itself.
pub(super) const IP_STRIKES: u32 = 5;
/// Good conduct after the end of a shun that makes it forgotten, milliseconds.
pub(super) const FORGIVEN_AFTER_MS: u64 = 24 * 3_600_000;

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// It sent what breaks the protocol, or an invalid record.
    Lied,
    /// It went over a named limit.
    Flooded,
    /// It belongs to another network, or has another key than it should.
    Stranger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Key(NodeKey),
    At(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Shun {
    offences: u32,
    until: Millis,
    last: Millis,
}

#[derive(Debug, Default)]
pub(super) struct Shuns(BTreeMap<Who, Shun>);

impl Shuns {
    pub(super) fn blame(
        &mut self,
        key: Option<NodeKey>,
        wanted: bool,
        ip: IpAddr,
        offence: Offence,
        now: Millis,
    ) {
        let most = if wanted { SHUN_WANTED_MAX_MS } else { SHUN_MAX_MS };
        if let Some(key) = key {
            self.strike(Who::Key(key), 0, most, now);
        }
        // A liar is known by its key; without one, and for what new keys make free of charge, the place
        // answers. All programs of this machine share loopback, so that is never to blame.
        let here = !wanted && (key.is_none() || offence != Offence::Lied);
        if here && !ip.to_canonical().is_loopback() {
            self.strike(Who::At(place(ip)), IP_STRIKES, SHUN_MAX_MS, now);
        }
    }

    fn strike(&mut self, who: Who, free: u32, most: u64, now: Millis) {
        if !self.0.contains_key(&who) && self.0.len() >= SHUNS_MAX {
            let spare = self.0.iter().min_by_key(|(_, shun)| (shun.until, shun.last)).map(|(who, _)| *who);
            spare.and_then(|spare| self.0.remove(&spare));
        }
        let shun = self.0.entry(who).or_insert(Shun { offences: 0, until: now, last: now });
        if shun.until.max(shun.last).plus(FORGIVEN_AFTER_MS) <= now {
            shun.offences = 0;
        }
        shun.offences = shun.offences.saturating_add(1);
        shun.last = now;
        if let Some(times) = shun.offences.checked_sub(free + 1) {
            let time = SHUN_MIN_MS.saturating_mul(1 << (2 * times.min(10))).min(most);
            shun.until = now.plus(time);
        }
    }

    /// Until when a key is shunned, if it is.
    pub(super) fn key(&self, key: NodeKey, now: Millis) -> Option<Millis> {
        self.get(Who::Key(key)).filter(|until| *until > now)
    }

    /// Until when an IP address is shunned, if it is.
    pub(super) fn ip(&self, ip: IpAddr, now: Millis) -> Option<Millis> {
        self.get(Who::At(place(ip))).filter(|until| *until > now)
    }

    /// The later of both, be it past.
    pub(super) fn until(&self, key: Option<NodeKey>, ip: Option<IpAddr>) -> Option<Millis> {
        let key = key.and_then(|key| self.get(Who::Key(key)));
        let ip = ip.and_then(|ip| self.get(Who::At(place(ip))));
        key.max(ip)
    }

    fn get(&self, who: Who) -> Option<Millis> {
        let shun = self.0.get(&who)?;
        (shun.until > shun.last).then_some(shun.until)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
