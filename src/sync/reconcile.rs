//! Which records one node has and another lacks, found by comparing fingerprints of ranges. Pure.
//!
//! Both sides take turns. The first cuts in halves towards the newest, as that is where nodes differ. A turn covers the whole of what is compared, range by range: equal ones are skipped,
//! unequal ones are cut into [`PARTS`] and fingerprinted again, or, once few records are left, listed by ids
//! shortened to 8 bytes under a salt that was drawn for this session (so nobody can prepare two records that
//! look alike). Whoever gets a list answers which of it it lacks and, in full, what the list lacks. The turn
//! that skips everything ends it. A turn longer than [`TURN_MAX`] closes with one fingerprint of the rest.
//! docs/SYNC.md "Reconciliation".

use std::collections::HashMap;

use super::bytes::{Reader, WireError, put_bound, put_varint};
use crate::record::{NetworkId, RecordId, hash};
use crate::store::{FIRST, Part, Point, Ranges, StoreError, Tally, divide_points};

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
}

impl Set for Ranges {
    fn tally(&self, low: &Point, high: &Point) -> Result<Tally, StoreError> {
        Ranges::tally(self, low, high)
    }

    fn divide(&self, low: &Point, high: &Point, parts: usize) -> Result<Vec<Part>, StoreError> {
        Ranges::divide(self, low, high, parts)
    }

    fn list(&self, low: &Point, high: &Point, limit: usize) -> Result<Vec<Point>, StoreError> {
        Ranges::list(self, low, high, limit)
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

/// What a session found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Here, and not there.
    pub have: Vec<RecordId>,
    /// There, and not here.
    pub need: Vec<RecordId>,
    /// It was cut short at [`FOUND_MAX`]: compare again later.
    pub cut: bool,
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
    /// Our store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One side of a session.
pub struct Side<'s, S: Set + ?Sized> {
    set: &'s S,
    scope: Scope,
    /// The lists of our last turn, by where they begin.
    listed: HashMap<Point, Vec<Point>>,
    /// Those of the turn before, which the peer's turn answers.
    asked: HashMap<Point, Vec<Point>>,
    turns: usize,
    found: Found,
}

const SKIP: u8 = 0;
const FINGERPRINT: u8 = 1;
const LIST: u8 = 2;
const FOUND: u8 = 3;
const KEYED: u8 = 4;

/// What is said of one range.
enum Say {
    Skip,
    Fingerprint([u8; 16]),
    Keyed([u8; 16]),
    List(Vec<[u8; 8]>),
    Found { lacking: Vec<u8>, extras: Vec<RecordId> },
}

/// A turn being written. Skipped ranges next to each other become one; at the end they are not written.
struct Turn {
    bytes: Vec<u8>,
    written: Point,
    skipped: Option<Point>,
}

impl<'s, S: Set + ?Sized> Side<'s, S> {
    /// Takes part in a session over `set`.
    pub fn new(set: &'s S, scope: Scope) -> Side<'s, S> {
        Side { set, scope, listed: HashMap::new(), asked: HashMap::new(), turns: 0, found: Found::default() }
    }

    /// The first turn, of the side that asks.
    pub fn open(&mut self) -> Result<Vec<u8>, ReconcileError> {
        let (mut turn, mut low, until) = (Turn::new(), FIRST, self.scope.until);
        for _ in 1..OPENING_PARTS {
            let halves = self.set.divide(&low, &until, 2)?;
            let [(middle, older), (_, newer)] = halves.as_slice() else { break };
            turn.say(middle, &Say::Fingerprint(older.fingerprint()));
            low = *middle;
            if newer.count <= LIST_MAX as u64 {
                break;
            }
        }
        let rest = self.set.tally(&low, &until)?;
        turn.say(&until, &Say::Fingerprint(rest.fingerprint()));
        Ok(turn.bytes)
    }

    /// The first turn of an audit: one range of at most [`KEYED_MAX`] records, chosen by `pick`, with a sum that
    /// is keyed by the salt. A sum of bare ids could be forged by whoever makes records enough; this one not.
    pub fn audit(&mut self, pick: u64) -> Result<Vec<u8>, ReconcileError> {
        let (mut low, mut high, mut pick) = (FIRST, self.scope.until, pick);
        let mut turn = Turn::new();
        while self.set.tally(&low, &high)?.count > KEYED_MAX as u64 {
            let parts = self.set.divide(&low, &high, PARTS)?;
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
        match self.keyed(&low, &high)? {
            Some(fingerprint) => turn.say(&high, &Say::Keyed(fingerprint)),
            None => self.cut(&mut turn, low, high)?,
        }
        Ok(turn.bytes)
    }

    /// Answers a turn. `None`: nothing is left to say, and the peer said nothing either.
    pub fn answer(&mut self, turn: &[u8]) -> Result<Option<Vec<u8>>, ReconcileError> {
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
            let said = read_said(&mut reader)?;
            if out.bytes.len() > TURN_MAX && !matches!(said, Say::Found { .. }) {
                // What is left is compared again, from here to the end.
                let rest = self.set.tally(&low, &self.scope.until)?;
                out.say(&self.scope.until, &Say::Fingerprint(rest.fingerprint()));
                break;
            }
            self.range(&mut out, low, high, said)?;
            low = high;
        }
        let quiet = out.bytes.is_empty();
        Ok((!quiet || !turn.is_empty()).then_some(out.bytes))
    }

    /// What was found.
    pub fn finish(self) -> Found {
        self.found
    }

    fn range(&mut self, out: &mut Turn, low: Point, high: Point, said: Say) -> Result<(), ReconcileError> {
        match said {
            Say::Skip => out.skip(high),
            Say::Fingerprint(theirs) => {
                let ours = self.set.tally(&low, &high)?;
                if ours.fingerprint() == theirs {
                    out.skip(high);
                } else {
                    self.unequal(out, low, high, ours)?;
                }
            }
            Say::Keyed(theirs) => match self.keyed(&low, &high)? {
                Some(ours) if ours == theirs => out.skip(high),
                Some(_) => self.unequal_keyed(out, low, high)?,
                None => self.cut(out, low, high)?,
            },
            Say::List(theirs) => self.compare(out, low, high, &theirs)?,
            Say::Found { lacking, extras } => {
                self.learn(low, &lacking, extras)?;
                out.skip(high);
            }
        }
        Ok(())
    }

    fn unequal(
        &mut self,
        out: &mut Turn,
        low: Point,
        high: Point,
        ours: Tally,
    ) -> Result<(), ReconcileError> {
        if ours.count > LIST_MAX as u64 {
            return self.cut(out, low, high);
        }
        let points = self.set.list(&low, &high, LIST_MAX)?;
        let short = points.iter().map(|(_, id)| self.shorten(id)).collect();
        self.listed.insert(low, points);
        out.say(&high, &Say::List(short));
        Ok(())
    }

    /// The fingerprint of a range with each id hashed under the salt; `None`: it has too many records.
    fn keyed(&self, low: &Point, high: &Point) -> Result<Option<[u8; 16]>, ReconcileError> {
        let points = self.set.list(low, high, KEYED_MAX + 1)?;
        Ok((points.len() <= KEYED_MAX).then(|| self.keyed_tally(&points).fingerprint()))
    }

    fn keyed_tally(&self, points: &[Point]) -> Tally {
        let mut tally = Tally::default();
        for (_, id) in points {
            let hashed = hash("lfdns keyed v1", &NetworkId([0; 32]), &[&self.scope.salt, &id.0]);
            tally.add(&RecordId(hashed));
        }
        tally
    }

    fn unequal_keyed(&mut self, out: &mut Turn, low: Point, high: Point) -> Result<(), ReconcileError> {
        let points = self.set.list(&low, &high, KEYED_MAX)?;
        if points.len() <= LIST_MAX {
            let ours = Tally::of(&points);
            return self.unequal(out, low, high, ours);
        }
        let mut begin = 0;
        for (end, tally) in divide_points(&points, &high, PARTS) {
            let part = &points[begin..begin + tally.count as usize];
            begin += part.len();
            out.say(&end, &Say::Keyed(self.keyed_tally(part).fingerprint()));
        }
        Ok(())
    }

    fn cut(&mut self, out: &mut Turn, low: Point, high: Point) -> Result<(), ReconcileError> {
        for (end, tally) in self.set.divide(&low, &high, PARTS)? {
            out.say(&end, &Say::Fingerprint(tally.fingerprint()));
        }
        Ok(())
    }

    /// Answers a list: what of it is lacking here, and what is here beside it.
    fn compare(
        &mut self,
        out: &mut Turn,
        low: Point,
        high: Point,
        theirs: &[[u8; 8]],
    ) -> Result<(), ReconcileError> {
        let ours = self.set.list(&low, &high, EXTRAS_MAX + 1)?;
        if ours.len() > EXTRAS_MAX {
            return self.cut(out, low, high);
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
        self.found.cut |= extras.len() > room;
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
        self.found.cut |= extras.len() > room;
        self.found.need.extend(extras.into_iter().take(room));
        Ok(())
    }

    fn shorten(&self, id: &RecordId) -> [u8; 8] {
        let full = hash("lfdns short v1", &NetworkId([0; 32]), &[&self.scope.salt, &id.0]);
        let mut short = [0; 8];
        short.copy_from_slice(&full[..8]);
        short
    }
}

impl Turn {
    fn new() -> Turn {
        Turn { bytes: Vec::new(), written: FIRST, skipped: None }
    }

    fn skip(&mut self, high: Point) {
        self.skipped = Some(high);
    }

    fn say(&mut self, high: &Point, say: &Say) {
        if let Some(skipped) = self.skipped.take() {
            put_bound(&mut self.bytes, &self.written, &skipped);
            self.bytes.push(SKIP);
            self.written = skipped;
        }
        put_bound(&mut self.bytes, &self.written, high);
        self.written = *high;
        match say {
            Say::Skip => self.bytes.push(SKIP),
            Say::Keyed(fingerprint) => {
                self.bytes.push(KEYED);
                self.bytes.extend_from_slice(fingerprint);
            }
            Say::Fingerprint(fingerprint) => {
                self.bytes.push(FINGERPRINT);
                self.bytes.extend_from_slice(fingerprint);
            }
            Say::List(short) => {
                self.bytes.push(LIST);
                put_varint(&mut self.bytes, short.len() as u64);
                self.bytes.extend(short.iter().flatten());
            }
            Say::Found { lacking, extras } => {
                self.bytes.push(FOUND);
                put_varint(&mut self.bytes, lacking.len() as u64);
                self.bytes.extend_from_slice(lacking);
                put_varint(&mut self.bytes, extras.len() as u64);
                self.bytes.extend(extras.iter().flat_map(|id| id.0));
            }
        }
    }
}

fn read_said(reader: &mut Reader<'_>) -> Result<Say, WireError> {
    Ok(match reader.byte()? {
        SKIP => Say::Skip,
        FINGERPRINT => Say::Fingerprint(reader.array()?),
        KEYED => Say::Keyed(reader.array()?),
        LIST => {
            let count = reader.count("listed ids", LIST_MAX)?;
            Say::List((0..count).map(|_| reader.array()).collect::<Result<_, _>>()?)
        }
        FOUND => {
            let len = reader.count("listed ids", LIST_MAX.div_ceil(8))?;
            let lacking = reader.take(len)?.to_vec();
            let count = reader.count("ids", EXTRAS_MAX)?;
            Say::Found { lacking, extras: (0..count).map(|_| reader.id()).collect::<Result<_, _>>()? }
        }
        other => return Err(WireError::Unknown(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Millis;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn point(time: u64, id: u64) -> Point {
        (Millis(time), RecordId(hash("test", &NetworkId([0; 32]), &[&id.to_be_bytes(), &time.to_be_bytes()])))
    }

    fn scope() -> Scope {
        Scope { salt: [3; 16], until: (Millis(1 << 40), RecordId([0; 32])) }
    }

    struct Ran {
        turns: usize,
        bytes: usize,
        asked: Found,
        answered: Found,
    }

    fn run(ours: &[Point], theirs: &[Point]) -> Ran {
        let (mut a, mut b) = (Side::new(ours, scope()), Side::new(theirs, scope()));
        let mut turn = a.open().unwrap();
        let (mut turns, mut bytes) = (1, turn.len());
        while let Some(reply) = b.answer(&turn).unwrap() {
            (turns, bytes) = (turns + 1, bytes + reply.len());
            let Some(next) = a.answer(&reply).unwrap() else { break };
            (turns, bytes) = (turns + 1, bytes + next.len());
            turn = next;
        }
        Ran { turns, bytes, asked: a.finish(), answered: b.finish() }
    }

    fn ids(points: impl Iterator<Item = Point>) -> BTreeSet<RecordId> {
        points.map(|(_, id)| id).collect()
    }

    fn check(ours: &BTreeSet<Point>, theirs: &BTreeSet<Point>) -> Ran {
        let (a, b): (Vec<Point>, Vec<Point>) =
            (ours.iter().copied().collect(), theirs.iter().copied().collect());
        let ran = run(&a, &b);
        let (only_a, only_b) = (ids(ours.difference(theirs).copied()), ids(theirs.difference(ours).copied()));
        // Each side knows what it can give; what it can get, either it knows or the other does.
        let have: BTreeSet<RecordId> = ran.asked.have.iter().chain(&ran.answered.need).copied().collect();
        let need: BTreeSet<RecordId> = ran.asked.need.iter().chain(&ran.answered.have).copied().collect();
        assert!((have, need) == (only_a, only_b));
        let told = |found: &Found| found.have.iter().copied().collect::<BTreeSet<_>>();
        assert!(told(&ran.asked) == ids(ours.difference(theirs).copied()));
        assert!(told(&ran.answered) == ids(theirs.difference(ours).copied()));
        ran
    }

    proptest! {
        #[test]
        fn exactly_the_differences_are_found(
            shared in prop::collection::btree_set((0_u64..200, 0_u64..40), 0..600),
            a in prop::collection::btree_set((0_u64..200, 40_u64..60), 0..80),
            b in prop::collection::btree_set((0_u64..200, 60_u64..80), 0..300),
        ) {
            let make = |more: BTreeSet<(u64, u64)>| -> BTreeSet<Point> {
                shared.iter().copied().chain(more).map(|(time, id)| point(time, id)).collect()
            };
            check(&make(a), &make(b));
        }

        #[test]
        fn no_bytes_of_a_peer_make_a_side_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let points: Vec<Point> = (0..500).map(|n| point(n, n)).collect();
            let mut side = Side::new(points.as_slice(), scope());
            side.open().unwrap();
            let _ = side.answer(&bytes);
        }
    }

    #[test]
    fn equal_sets_cost_one_round_trip_and_few_bytes() {
        let set: BTreeSet<Point> = (0..10_000).map(|n| point(n * 7, n)).collect();
        let ran = check(&set, &set);
        assert_eq!(ran.turns, 2);
        assert!(ran.bytes <= 400, "{} bytes", ran.bytes);
    }

    #[test]
    fn a_hundred_times_the_records_cost_little_more_at_equal_difference() {
        let cost = |count: u64| {
            let all: BTreeSet<Point> = (0..count).map(|n| point(n * 7, n)).collect();
            let mut some = all.clone();
            for n in (0..10).map(|n| n * (count / 10)) {
                some.remove(&point(n * 7, n));
            }
            check(&some, &all).bytes
        };
        let (small, large) = (cost(1_000), cost(100_000));
        assert!(large < 4 * small, "{small} bytes at 1,000 records, {large} at 100,000");
    }

    #[test]
    fn what_is_too_much_for_one_turn_goes_on_in_the_next() {
        let all: BTreeSet<Point> = (0..60_000).map(|n| point(n, n)).collect();
        let none = BTreeSet::from([point(3, 3)]);
        let ran = check(&none, &all);
        assert!(ran.turns > 4, "{} turns", ran.turns);
    }

    #[test]
    fn an_audit_finds_what_plain_sums_would_hide() {
        let all: Vec<Point> = (0..20_000).map(|n| point(n, n)).collect();
        let mut swapped = all.clone();
        // As if both sums were equal: an audit does not look at them.
        swapped[70] = point(70, 99_999);
        let found = |pick: u64| {
            let (mut a, mut b) = (Side::new(all.as_slice(), scope()), Side::new(swapped.as_slice(), scope()));
            let mut turn = a.audit(pick).unwrap();
            while let Some(reply) = b.answer(&turn).unwrap() {
                let Some(next) = a.answer(&reply).unwrap() else { break };
                turn = next;
            }
            let (a, b) = (a.finish(), b.finish());
            a.have == [all[70].1] && b.have == [swapped[70].1]
        };
        assert_eq!((0..PARTS as u64).filter(|pick| found(*pick)).count(), 1, "one range of sixteen has it");
    }

    #[test]
    fn an_answer_to_a_list_that_was_not_sent_is_refused() {
        let points: Vec<Point> = (0..10).map(|n| point(n, n)).collect();
        let mut side = Side::new(points.as_slice(), scope());
        let mut turn = Turn::new();
        turn.say(&point(5, 0), &Say::Found { lacking: vec![], extras: vec![] });
        assert!(matches!(side.answer(&turn.bytes), Err(ReconcileError::Wire(WireError::Field("answer")))));
    }
}
