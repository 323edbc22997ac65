//! Which records one node has and another lacks, found by comparing fingerprints of ranges. Pure.
//!
//! Both sides take turns. The first cuts in halves towards the newest, as that is where nodes differ. A turn covers the
//! whole of what is compared, range by range: equal ones are skipped,
//! unequal ones are cut into [`PARTS`] and fingerprinted again, or, once few records are left, listed by ids
//! shortened to 8 bytes under a salt that was drawn for this session (so nobody can prepare two records that
//! look alike). Whoever gets a list answers which of it it lacks and, in full, what the list lacks. The turn
//! that skips everything ends it. A turn longer than [`TURN_MAX`], or one that takes too long to make, closes with one
//! fingerprint of the rest. docs/SYNC.md "Reconciliation".

#[cfg(test)]
mod tests;
mod turn;

use std::collections::HashMap;

use super::bytes::{Reader, WireError};
use crate::record::{NetworkId, RecordId, hash};
use crate::store::{FIRST, Part, Point, RangeReader, StoreError, Tally, divide_points};
use turn::{Say, Turn};

/// Parts an unequal range is cut into.
pub const PARTS: usize = 16;
/// Parts of the first turn at most: the older half, the older half of the rest, and so on. Nodes mostly differ in what
/// is newest, and so find it two turns sooner; what is scattered takes one turn more.
pub const OPENING_PARTS: usize = 16;
/// Ranges of at most this many records are listed: as many as a bucket of the store's tree holds, so that none needs to
/// be cut.
pub const LIST_MAX: usize = 64;
/// Bytes after which a turn is closed with a fingerprint of what is left.
pub const TURN_MAX: usize = 512 << 10;
/// Bytes of a turn that are read: a closed turn, with its last range.
pub const TURN_READ_MAX: usize = TURN_MAX + 64 * 1024;
/// Turns of one session at most: each at least halves what is unequal, or moves on by a turn's worth.
pub const TURNS_MAX: usize = 4_096;
/// Records one side may be told of that it lacks, in one session; the next session goes on.
pub const FOUND_MAX: usize = 262_144;
/// Records of a range whose sum is keyed at most: each costs a hash.
pub const KEYED_MAX: usize = 4_096;
/// Ids one side hashes for keyed sums in one session at most; an honest audit needs some three times [`KEYED_MAX`].
pub const KEYED_SESSION_MAX: usize = 16 * KEYED_MAX;
/// Ranges of which a peer may ask something in one session: each costs a look at the records. A side that has heard and said
/// half as many asks nothing more, so no honest one comes near; 100,000 differences scattered over a million records
/// take some 200,000.
pub const RANGES_MAX: usize = 1 << 20;
/// Ids one answer to a list brings at most; a range that would need more is cut instead.
const EXTRAS_MAX: usize = 1_024;

/// The set of records one side compares.
pub trait Set {
    /// Tally of a range, its upper end not included.
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError>;
    /// The range in some `parts` of about equal size, each with its end and tally; the last ends at `high`.
    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError>;
    /// At most `limit` records of a range, in order.
    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError>;
    /// Whether this turn has taken long enough: what is left is put off to the next.
    fn late(&self) -> bool {
        false
    }
}

impl Set for RangeReader {
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        RangeReader::tally(self, low, high)
    }

    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        RangeReader::divide(self, low, high, parts)
    }

    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        RangeReader::list(self, low, high, limit)
    }
}

/// A set that is a sorted list: for simulations and as an oracle.
impl Set for [Point] {
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        Ok(Tally::of(slice(self, low, high)))
    }

    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        Ok(divide_points(slice(self, low, high), high, parts))
    }

    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        let found = slice(self, low, high);
        Ok(found[..found.len().min(limit)].to_vec())
    }
}

fn slice<'a>(points: &'a [Point], low: &Point, high: &Point) -> &'a [Point] {
    let begin = points.partition_point(|point| point < low);
    let end = points.partition_point(|point| point < high).max(begin);
    &points[begin..end]
}

/// What a session is about, agreed before its first turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Under which ids are shortened.
    pub salt: [u8; 16],
    /// Only records before this are compared: no later than either clock.
    pub until: Point,
}

/// What a session found so far; at most [`FOUND_MAX`] each, the next session goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Here, and not there.
    pub have: Vec<RecordId>,
    /// There, and not here.
    pub need: Vec<RecordId>,
}

/// Why a session ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The peer sent what is no turn.
    #[error("a turn of the comparison is wrong: {0}")]
    Wire(#[from] WireError),
    /// The peer does not come to an end.
    #[error("the comparison took more than {TURNS_MAX} turns")]
    Endless,
    /// The peer asks more than any comparison needs.
    #[error("the comparison took more than {1} {0}")]
    Costly(&'static str, usize),
    /// Our store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One side of a session. The set it compares is lent for each turn, always the same but for what was added.
pub struct Side {
    scope: Scope,
    /// Whether it took the first turn.
    leads: bool,
    /// The lists of our last turn, by where they begin.
    listed: HashMap<Point, Vec<Point>>,
    /// Those of the turn before, which the peer's turn answers.
    asked: HashMap<Point, Vec<Point>>,
    turns: usize,
    /// Ranges of which the peer asked something, and of which we did.
    ranges: (usize, usize),
    /// The one range whose sums may be keyed, and how many ids were hashed for that.
    audited: Option<(Point, Point)>,
    hashed: usize,
    found: Found,
}

impl Side {
    /// Takes part in a session.
    pub fn new(scope: Scope) -> Side {
        Side {
            scope,
            leads: false,
            listed: HashMap::new(),
            asked: HashMap::new(),
            turns: 0,
            ranges: (0, 0),
            audited: None,
            hashed: 0,
            found: Found::default(),
        }
    }

    /// The first turn, of the side that asks.
    pub fn open<S: Set + ?Sized>(&mut self, set: &S) -> Result<Vec<u8>, ReconcileError> {
        self.leads = true;
        let (mut turn, mut low, until) = (Turn::new(), FIRST, self.scope.until);
        for _ in 1..OPENING_PARTS {
            let halves = set.divide(&low, &until, 2)?;
            let [(middle, older), (_, newer)] = halves.as_slice() else { break };
            turn.say(middle, &Say::Fingerprint(older.fingerprint()));
            low = *middle;
            if newer.count <= LIST_MAX as u64 {
                break;
            }
        }
        let rest = set.tally(&low, &until)?;
        turn.say(&until, &Say::Fingerprint(rest.fingerprint()));
        Ok(turn.bytes)
    }

    /// The first turn of an audit: one range of at most [`KEYED_MAX`] records, chosen by `pick`, with a sum that
    /// is keyed by the salt. A sum of bare ids could be forged by whoever makes records enough; this one not.
    pub fn audit<S: Set + ?Sized>(&mut self, set: &S, pick: u64) -> Result<Vec<u8>, ReconcileError> {
        self.leads = true;
        let (mut low, mut high, mut pick) = (FIRST, self.scope.until, pick);
        let mut turn = Turn::new();
        while set.tally(&low, &high)?.count > KEYED_MAX as u64 {
            let parts = set.divide(&low, &high, PARTS)?;
            if parts.len() == 1 {
                // It cannot be cut: it is told as it is.
                break;
            }
            let at = (pick % parts.len() as u64) as usize;
            pick /= PARTS as u64;
            if at > 0 {
                low = parts[at - 1].0;
            }
            high = parts[at].0;
        }
        if low > FIRST {
            turn.skip(low);
        }
        self.audited = Some((low, high));
        match self.keyed(set, &low, &high)? {
            Some(ours) => turn.say(&high, &Say::Keyed(ours.sum())),
            None => cut(set, &mut turn, low, high)?,
        }
        Ok(turn.bytes)
    }

    /// Answers a turn. `None`: nothing is left to say, and the peer said nothing either.
    pub fn answer<S: Set + ?Sized>(
        &mut self,
        set: &S,
        turn: &[u8],
    ) -> Result<Option<Vec<u8>>, ReconcileError> {
        self.turns += 1;
        if self.turns > TURNS_MAX {
            return Err(ReconcileError::Endless);
        }
        self.asked = std::mem::take(&mut self.listed);
        let (mut reader, mut low) = (Reader::new(turn), FIRST);
        let mut out = Turn::new();
        while !reader.is_empty() {
            let high = reader.bound(&low)?;
            if high > self.scope.until {
                return Err(WireError::Field("range").into());
            }
            let said = Say::read(&mut reader)?;
            if said.asks() {
                self.ranges.0 += 1;
                if self.ranges.0 > RANGES_MAX {
                    return Err(ReconcileError::Costly("ranges", RANGES_MAX));
                }
                if self.is_enough(out.asked) {
                    out.skip(high);
                    low = high;
                    continue;
                }
                if out.bytes.len() > TURN_MAX || (low > FIRST && set.late()) {
                    // What is left is compared again, from here to the end.
                    let rest = set.tally(&low, &self.scope.until)?;
                    out.say(&self.scope.until, &Say::Fingerprint(rest.fingerprint()));
                    break;
                }
            }
            self.range(set, &mut out, (low, high), said)?;
            low = high;
        }
        self.ranges.1 += out.asked;
        let quiet = out.bytes.is_empty();
        Ok((!quiet || !turn.is_empty()).then_some(out.bytes))
    }

    /// What was found.
    pub fn finish(self) -> Found {
        self.found
    }

    /// Whether this session has found or asked so much that the next one goes on; `saying`: what this turn asks so far.
    fn is_enough(&self, saying: usize) -> bool {
        let found = self.found.have.len().max(self.found.need.len());
        found >= FOUND_MAX || self.ranges.0 + self.ranges.1 + saying > RANGES_MAX / 2
    }

    fn range<S: Set + ?Sized>(
        &mut self,
        set: &S,
        out: &mut Turn,
        (low, high): (Point, Point),
        said: Say,
    ) -> Result<(), ReconcileError> {
        match said {
            Say::Skip => out.skip(high),
            Say::Fingerprint(theirs) => {
                let ours = set.tally(&low, &high)?;
                if ours.fingerprint() == theirs {
                    out.skip(high);
                } else {
                    self.unequal(set, out, (low, high), ours)?;
                }
            }
            Say::Keyed(theirs) => {
                self.allow_keyed(low, high)?;
                match self.keyed(set, &low, &high)? {
                    Some(ours) if ours.sum() == theirs => out.skip(high),
                    Some(ours) => self.unequal_keyed(out, (low, high), ours),
                    None => cut(set, out, low, high)?,
                }
            }
            Say::List(theirs) => self.compare(set, out, (low, high), &theirs)?,
            Say::Found { lacking, extras } => {
                self.learn(low, &lacking, extras)?;
                out.skip(high);
            }
        }
        Ok(())
    }

    fn unequal<S: Set + ?Sized>(
        &mut self,
        set: &S,
        out: &mut Turn,
        (low, high): (Point, Point),
        ours: Tally,
    ) -> Result<(), ReconcileError> {
        if ours.count > LIST_MAX as u64 {
            return cut(set, out, low, high);
        }
        let points = set.list(&low, &high, LIST_MAX)?;
        self.list(out, (low, high), points);
        Ok(())
    }

    fn list(&mut self, out: &mut Turn, (low, high): (Point, Point), points: Vec<Point>) {
        let short = points.iter().map(|(_, id)| self.shorten(id)).collect();
        self.listed.insert(low, points);
        out.say(&high, &Say::List(short));
    }

    /// Keyed sums are for the one range of an audit, named by its first turn, and what that is cut into.
    fn allow_keyed(&mut self, low: Point, high: Point) -> Result<(), WireError> {
        if self.audited.is_none() && !self.leads && self.turns == 1 {
            self.audited = Some((low, high));
        }
        let inside = self.audited.is_some_and(|(begin, end)| begin <= low && high <= end);
        inside.then_some(()).ok_or(WireError::Field("keyed range"))
    }

    /// A range with each id hashed under the salt; `None`: it has too many records.
    fn keyed<S: Set + ?Sized>(
        &mut self,
        set: &S,
        low: &Point,
        high: &Point,
    ) -> Result<Option<Keyed>, ReconcileError> {
        let points = set.list(low, high, KEYED_MAX + 1)?;
        // What is listed in vain counts too.
        self.hashed += points.len();
        if self.hashed > KEYED_SESSION_MAX {
            return Err(ReconcileError::Costly("keyed ids", KEYED_SESSION_MAX));
        }
        if points.len() > KEYED_MAX {
            return Ok(None);
        }
        let hashed = |(_, id): &Point| self.hash("lfdns keyed v1", id);
        let hashed = points.iter().map(hashed).collect();
        Ok(Some(Keyed { points, hashed }))
    }

    fn unequal_keyed(&mut self, out: &mut Turn, (low, high): (Point, Point), ours: Keyed) {
        if ours.points.len() <= LIST_MAX {
            return self.list(out, (low, high), ours.points);
        }
        let mut rest = ours.hashed.as_slice();
        for (end, tally) in divide_points(&ours.points, &high, PARTS) {
            let (part, later) = rest.split_at(tally.count as usize);
            rest = later;
            out.say(&end, &Say::Keyed(sum(part)));
        }
    }

    /// Answers a list: what of it is lacking here, and what is here beside it.
    fn compare<S: Set + ?Sized>(
        &mut self,
        set: &S,
        out: &mut Turn,
        (low, high): (Point, Point),
        theirs: &[[u8; 8]],
    ) -> Result<(), ReconcileError> {
        let ours = set.list(&low, &high, EXTRAS_MAX + 1)?;
        if ours.len() > EXTRAS_MAX {
            return cut(set, out, low, high);
        }
        let mut lacking = vec![0; theirs.len().div_ceil(8)];
        let mut at: HashMap<[u8; 8], usize> =
            theirs.iter().enumerate().map(|(n, short)| (*short, n)).collect();
        for n in at.values() {
            lacking[n / 8] |= 1 << (n % 8);
        }
        let mut extras = Vec::new();
        for (_, id) in ours {
            match at.remove(&self.shorten(&id)) {
                Some(n) => lacking[n / 8] &= !(1 << (n % 8)),
                None => extras.push(id),
            }
        }
        let room = FOUND_MAX.saturating_sub(self.found.have.len());
        self.found.have.extend(extras.iter().take(room));
        out.say(&high, &Say::Found { lacking, extras });
        Ok(())
    }

    /// Takes the answer to a list of ours.
    fn learn(&mut self, low: Point, lacking: &[u8], extras: Vec<RecordId>) -> Result<(), ReconcileError> {
        let listed = self.asked.remove(&low).ok_or(WireError::Field("answer"))?;
        if lacking.len() != listed.len().div_ceil(8) {
            return Err(WireError::Field("answer").into());
        }
        let missing = listed.iter().enumerate().filter(|(n, _)| lacking[n / 8] & (1 << (n % 8)) != 0);
        let room = FOUND_MAX.saturating_sub(self.found.have.len());
        self.found.have.extend(missing.map(|(_, (_, id))| *id).take(room));
        let room = FOUND_MAX.saturating_sub(self.found.need.len());
        self.found.need.extend(extras.into_iter().take(room));
        Ok(())
    }

    fn shorten(&self, id: &RecordId) -> [u8; 8] {
        let full = self.hash("lfdns short v1", id);
        let mut short = [0; 8];
        short.copy_from_slice(&full.0[..8]);
        short
    }

    fn hash(&self, domain: &'static str, id: &RecordId) -> RecordId {
        RecordId(hash(domain, &NetworkId([0; 32]), &[&self.scope.salt, &id.0]))
    }
}

/// The records of a range, and their ids hashed under the salt.
struct Keyed {
    points: Vec<Point>,
    hashed: Vec<RecordId>,
}

impl Keyed {
    fn sum(&self) -> [u8; 16] {
        sum(&self.hashed)
    }
}

fn sum(hashed: &[RecordId]) -> [u8; 16] {
    let mut tally = Tally::default();
    for id in hashed {
        tally.add(id);
    }
    tally.fingerprint()
}

fn cut<S: Set + ?Sized>(set: &S, out: &mut Turn, low: Point, high: Point) -> Result<(), ReconcileError> {
    for (end, tally) in set.divide(&low, &high, PARTS)? {
        out.say(&end, &Say::Fingerprint(tally.fingerprint()));
    }
    Ok(())
}
