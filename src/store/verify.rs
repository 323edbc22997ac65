//! What is checked before the writer sees a record, on all cores: size, structure, known, time, rules,
//! signatures, cheapest first. Links are the writer's part: only it knows what is there.

use std::sync::Arc;

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::apply::selector_prefix;
use super::config::{Clock, DEFERRED_HORIZON_MS, LIVE_GRACE_MS};
use super::snapshot::Readers;
use super::{Refusal, Source, Verdict};
use crate::record::{
    DecodeError, Invalid, Kind, Millis, NetworkId, OwnerKey, PathKey, RECORD_MAX, Record, RecordId, Rules,
    RulesError,
};

/// A record that is valid by itself, with what the writer needs computed beforehand.
pub(crate) struct Vetted {
    pub(crate) id: RecordId,
    pub(crate) record: Record,
    /// Prefixes of its path, shortest first; the last is its slot.
    pub(crate) paths: SmallVec<[PathKey; 4]>,
    pub(crate) rest: u64,
    /// What the `selector` table knows its names by.
    pub(crate) lookups: SmallVec<[i64; 4]>,
    pub(crate) body: Vec<u8>,
    /// It came within drift and grace of its own time, and not in an import.
    pub(crate) live: bool,
    /// What a genesis record says.
    pub(crate) rules: Option<Rules>,
}

impl Vetted {
    pub(crate) fn time(&self) -> Millis {
        self.record.header.time
    }

    /// Bytes it takes in a queue or pool, roughly.
    pub(crate) fn size(&self) -> usize {
        size_of::<Vetted>() + 2 * self.body.len() + self.record.value.as_ref().map_or(0, Vec::len)
    }
}

/// What became of one record so far.
pub(crate) enum Vetting {
    Pass(Arc<Vetted>),
    Done(Verdict),
}

/// The pipeline's first stage.
pub(crate) struct Vet {
    pub(crate) network: NetworkId,
    pub(crate) root: PathKey,
    pub(crate) founder: OwnerKey,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) clock: Clock,
    pub(crate) readers: Arc<Readers>,
}

impl Vet {
    /// Judges a piece of a batch, on one thread of the pool; other pieces run beside it. Spreading one piece over the
    /// pool would have a thread that waits for its halves begin another piece on top of its stack, and so on.
    pub(crate) fn piece(&self, records: Vec<Record>, source: Source) -> Vec<Vetting> {
        let ids: Vec<Result<(RecordId, Vec<u8>), Refusal>> =
            records.iter().map(|record| self.structure(record, source)).collect();
        // In a stream from a cursor next to nothing is known, and the writer asks in any case.
        let known = match source {
            Source::Sync => vec![false; records.len()],
            _ => self.known(&records, &ids),
        };
        let now = (self.clock)();
        let rules = self.rules.load();
        records
            .into_iter()
            .zip(ids)
            .zip(known)
            .map(|((record, checked), known)| match (checked, known) {
                (Err(refusal), _) => Vetting::Done(Verdict::Refused(refusal)),
                (Ok((id, _)), true) => Vetting::Done(Verdict::Known(id)),
                (Ok((id, body)), false) => self.judge(record, id, body, source, now, &rules),
            })
            .collect()
    }

    /// Size and structure: a record handed in by a program must be one its own bytes give back. One that was just read
    /// from canonical bytes is.
    fn structure(&self, record: &Record, source: Source) -> Result<(RecordId, Vec<u8>), Refusal> {
        let body = record.encode_body();
        let len = body.len() + record.header.value_len as usize;
        if len > RECORD_MAX {
            return Err(Refusal::Malformed(DecodeError::TooLong(len)));
        }
        let value_fits = record.value.as_ref().is_none_or(|v| v.len() == record.header.value_len as usize);
        if !value_fits || !(source == Source::Sync || is_canonical(record, &body)?) {
            return Err(Refusal::Malformed(DecodeError::Truncated("value")));
        }
        Ok((record.id_in(&body, &self.network), body))
    }

    /// Which of these are here, with their value if they bring one. Only saves work: the writer asks again.
    fn known(&self, records: &[Record], ids: &[Result<(RecordId, Vec<u8>), Refusal>]) -> Vec<bool> {
        let Ok(snapshot) = self.readers.snapshot() else { return vec![false; records.len()] };
        let is_known = |(record, checked): (&Record, &Result<(RecordId, Vec<u8>), Refusal>)| {
            let Ok((id, _)) = checked else { return false };
            let found = snapshot.find(id).ok().flatten();
            found.is_some_and(|found| found.has_value || record.value.is_none())
        };
        records.iter().zip(ids).map(is_known).collect()
    }

    fn judge(
        &self,
        record: Record,
        id: RecordId,
        body: Vec<u8>,
        source: Source,
        now: Millis,
        rules: &Rules,
    ) -> Vetting {
        let time = record.header.time;
        let until = Millis(time.0.saturating_sub(rules.drift_ms));
        if until > now.plus(DEFERRED_HORIZON_MS) {
            return Vetting::Done(Verdict::Deferred { id, until });
        }
        let new_rules = match self.valid(&record, &id, rules) {
            Ok(new_rules) => new_rules,
            Err(refusal) => return Vetting::Done(Verdict::Refused(refusal)),
        };
        let live = !matches!(source, Source::Import | Source::Sync)
            && now.0.abs_diff(time.0) <= rules.drift_ms + LIVE_GRACE_MS;
        let (paths, rest) = (record.paths_below(&self.root), record.rest());
        let lookups = record.selectors.iter().map(|selector| selector_prefix(&selector.key.0)).collect();
        Vetting::Pass(Arc::new(Vetted { id, record, paths, rest, lookups, body, live, rules: new_rules }))
    }

    /// Network rules, then signatures. For a genesis record also what it says.
    fn valid(&self, record: &Record, id: &RecordId, rules: &Rules) -> Result<Option<Rules>, Refusal> {
        record.check_rules(rules).map_err(|invalid| match invalid {
            Invalid::ValueMissing => Refusal::ValueMissing(record.header.kind),
            other => Refusal::Invalid(other),
        })?;
        let genesis = match (&record.value, record.header.kind) {
            (Some(value), Kind::Genesis) => Some(self.amendment(record, value, rules)?),
            _ => None,
        };
        record.verify_as(id, &self.network).map_err(Refusal::Invalid)?;
        Ok(genesis)
    }

    fn amendment(&self, record: &Record, value: &[u8], rules: &Rules) -> Result<Rules, Refusal> {
        if record.header.owner != self.founder {
            return Err(Refusal::ForeignGenesis);
        }
        let next = Rules::parse(value).map_err(Refusal::BadRules)?;
        match rules.check_amendment(&next) {
            Ok(()) => Ok(next),
            Err(RulesError::Fixed(field)) => Err(Refusal::FixedRules(field)),
            Err(other) => Err(Refusal::BadRules(other)),
        }
    }
}

/// Whether a record's bytes give it back.
fn is_canonical(record: &Record, body: &[u8]) -> Result<bool, Refusal> {
    let mut again = Record::decode_body(body).map_err(Refusal::Malformed)?;
    again.value.clone_from(&record.value);
    Ok(again == *record)
}
