//! Names to paths: how the labels under a zone's suffix become selectors, and back.
//!
//! Labels are read right to left and lower-cased: `www.example.lf.` is [`example`, `www`]. Three escapes make
//! every LF key nameable: `_b-` + z-base-32 (begun in `_b-`, continued to the right in `_c-` labels) stands for
//! arbitrary bytes; `_o<n>` left of a label sets that selector's ordinal; beyond fifteen selectors the
//! fifteenth is all further labels in wire form. Leftmost, `_list`, `_o<n>` and `_o<n>-<m>` are views of the
//! raw values of the name to their right. One key has one name: a spelling that a plainer one would do for is
//! refused. docs/DNS.md "Paths".

use std::sync::Arc;

use super::name::{DnsName, NameError};
use crate::record::{Name, NetworkId, PathKey, SELECTORS_MAX, z32};

/// Characters of z-base-32 in one escaped label: 63 less the three of `_b-`.
const ESCAPE_CHUNK: usize = 60;
const MAX_LABEL: usize = 63;

/// What of a name is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The name itself.
    Plain,
    /// `_o<n>`: the raw value at one ordinal.
    Ordinal(u64),
    /// `_o<n>-<m>`: the raw values of a range, each with its number.
    Range(u64, u64),
    /// `_list`: all raw values, each with its number.
    List,
}

/// One selector of a path: its name and, for all but the last, its ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The selector's name.
    pub name: Vec<u8>,
    /// Its ordinal; 0 unless `_o<n>` stood left of it.
    pub ordinal: u64,
}

/// A name under a zone, as selectors below the zone's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The selectors, outermost first.
    pub steps: Vec<Step>,
    /// What of it is looked at.
    pub view: View,
    /// Whether the last selector stands for several labels, so that names in between are not known.
    pub folded: bool,
    /// How many leftmost labels of the name are the view.
    pub view_labels: usize,
    /// For each step, how many labels above the suffix (counted from the right) spell the path up to it.
    pub spans: Vec<usize>,
}

/// A name that is not the one spelling of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// An escape that is not canonical z-base-32, or incomplete.
    #[error("label '{0}' is not a canonical escape")]
    Escape(String),
    /// An escape where a plain label would do.
    #[error("label '{0}' escapes bytes that a plain label can spell")]
    NeedlessEscape(String),
    /// An ordinal that is not a canonical number, or stands where there is nothing to count.
    #[error("label '{0}' is not a canonical ordinal")]
    Ordinal(String),
    /// A view that does not stand leftmost.
    #[error("label '{0}' is only understood as the leftmost label")]
    ViewInside(String),
}

enum Token {
    Plain(Vec<u8>),
    Begin(Vec<u8>),
    Continue(Vec<u8>),
    Ordinal(u64),
    View(View),
}

impl Path {
    /// Reads the labels above a zone's suffix, given leftmost first as names have them. `used` is how many
    /// selectors the zone itself takes.
    pub fn read<'a>(
        labels: impl DoubleEndedIterator<Item = &'a [u8]>,
        used: usize,
    ) -> Result<Path, PathError> {
        let labels: Vec<Vec<u8>> = labels.map(<[u8]>::to_ascii_lowercase).collect();
        let room = SELECTORS_MAX.saturating_sub(used).max(1);
        let (view, view_labels) = leftmost_view(&labels)?;
        let mut reading = Reading { labels: &labels[view_labels..], room, steps: vec![], spans: vec![] };
        let folded = reading.run()?;
        Ok(Path { steps: reading.steps, view, folded, view_labels, spans: reading.spans })
    }

    /// The labels that spell a path, leftmost first; a folded selector is spelled as the labels it stands for.
    /// `used` as in [`Path::read`].
    pub fn spell(steps: &[Step], used: usize) -> Vec<Vec<u8>> {
        let mut labels: Vec<Vec<u8>> = vec![];
        for (index, step) in steps.iter().enumerate() {
            let last = used + index + 1 == SELECTORS_MAX;
            match unfold(&step.name).filter(|_| last) {
                Some(folded) => labels.extend(folded.into_iter().rev()),
                None if is_plain(&step.name) => labels.push(step.name.clone()),
                None => labels.extend(escape(&step.name)),
            }
            if step.ordinal != 0 {
                labels.push(format!("_o{}", step.ordinal).into_bytes());
            }
        }
        labels.reverse();
        labels
    }
}

/// A zone's path or a name's, derived: every selector's keys and the hash chain over them.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The selectors' names with their keys.
    pub names: Vec<Arc<Name>>,
    /// The path of every prefix, shortest first; one more than `names`, since the first is the root.
    pub keys: Vec<PathKey>,
}

impl Derived {
    /// The path of no selectors.
    pub fn root(network: &NetworkId) -> Derived {
        Derived { names: vec![], keys: vec![PathKey::root(network)] }
    }

    /// One selector further down.
    pub fn push(&mut self, name: Arc<Name>) {
        let next = self.key().child(&name.public());
        self.names.push(name);
        self.keys.push(next);
    }

    /// The path itself.
    pub fn key(&self) -> PathKey {
        *self.keys.last().expect("the root is always there")
    }
}

struct Reading<'a> {
    labels: &'a [Vec<u8>],
    room: usize,
    steps: Vec<Step>,
    /// For each step, how many labels (from the right) are read once it is complete.
    spans: Vec<usize>,
}

impl Reading<'_> {
    /// Reads right to left; true if the rest had to be folded.
    fn run(&mut self) -> Result<bool, PathError> {
        let mut pending: Vec<Vec<u8>> = vec![];
        for (read, label) in self.labels.iter().rev().enumerate() {
            let token = token(label)?;
            if !pending.is_empty() && !matches!(token, Token::Begin(_) | Token::Continue(_)) {
                return Err(PathError::Escape(show(label)));
            }
            match token {
                Token::Plain(name) => self.push(name, read + 1),
                Token::Continue(text) => pending.push(text),
                Token::Begin(text) => {
                    let name = unescape(&text, &pending).ok_or_else(|| PathError::Escape(show(label)))?;
                    if is_plain(&name) || (name.is_empty() && self.steps.is_empty()) {
                        return Err(PathError::NeedlessEscape(show(label)));
                    }
                    pending.clear();
                    self.push(name, read + 1);
                }
                Token::Ordinal(ordinal) => match self.steps.last_mut() {
                    Some(step) if step.ordinal == 0 => {
                        step.ordinal = ordinal;
                        *self.spans.last_mut().expect("a span for every step") = read + 1;
                    }
                    _ => return Err(PathError::Ordinal(show(label))),
                },
                Token::View(_) => return Err(PathError::ViewInside(show(label))),
            }
        }
        if let Some(text) = pending.first() {
            return Err(PathError::Escape(show(text)));
        }
        Ok(self.fold())
    }

    fn push(&mut self, name: Vec<u8>, read: usize) {
        self.steps.push(Step { name, ordinal: 0 });
        self.spans.push(read);
    }

    /// Keeps all but the last place, and puts every further label there in wire form.
    fn fold(&mut self) -> bool {
        if self.steps.len() <= self.room {
            return false;
        }
        let kept = self.room - 1;
        let read = if kept == 0 { 0 } else { self.spans[kept - 1] };
        let rest = &self.labels[..self.labels.len() - read];
        let mut wire = Vec::new();
        for label in rest {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        self.steps.truncate(kept);
        self.spans.truncate(kept);
        self.push(wire, self.labels.len());
        true
    }
}

fn leftmost_view(labels: &[Vec<u8>]) -> Result<(View, usize), PathError> {
    let Some(first) = labels.first() else { return Ok((View::Plain, 0)) };
    Ok(match token(first)? {
        Token::View(view) => (view, 1),
        Token::Ordinal(ordinal) => (View::Ordinal(ordinal), 1),
        _ => (View::Plain, 0),
    })
}

fn token(label: &[u8]) -> Result<Token, PathError> {
    if label == b"_list" {
        return Ok(Token::View(View::List));
    }
    if let Some(text) = label.strip_prefix(b"_b-") {
        return Ok(Token::Begin(text.to_vec()));
    }
    if let Some(text) = label.strip_prefix(b"_c-") {
        return Ok(Token::Continue(text.to_vec()));
    }
    match label.strip_prefix(b"_o") {
        Some(digits) if digits.first().is_some_and(u8::is_ascii_digit) => {
            ordinal_token(digits).ok_or_else(|| PathError::Ordinal(show(label)))
        }
        _ => Ok(Token::Plain(label.to_vec())),
    }
}

fn ordinal_token(digits: &[u8]) -> Option<Token> {
    let text = std::str::from_utf8(digits).ok()?;
    match text.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            (from <= to).then_some(Token::View(View::Range(from, to)))
        }
        // `_o0` would be another name for the name itself.
        None => number(text).filter(|n| *n != 0).map(Token::Ordinal),
    }
}

/// A decimal u64 without leading zeros.
fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// Whether a label can spell these bytes by itself.
fn is_plain(name: &[u8]) -> bool {
    (1..=MAX_LABEL).contains(&name.len())
        && !name.iter().any(u8::is_ascii_uppercase)
        && matches!(token(name), Ok(Token::Plain(_)))
}

/// The labels of an escape, rightmost first, as a path is built.
fn escape(name: &[u8]) -> Vec<Vec<u8>> {
    let text = z32::encode(name).into_bytes();
    let mut chunks: Vec<&[u8]> = text.chunks(ESCAPE_CHUNK).collect();
    if chunks.is_empty() {
        chunks.push(b"");
    }
    let label = |(index, chunk): (usize, &&[u8])| {
        let prefix: &[u8] = if index == 0 { b"_b-" } else { b"_c-" };
        [prefix, chunk].concat()
    };
    let mut labels: Vec<Vec<u8>> = chunks.iter().enumerate().map(label).collect();
    labels.reverse();
    labels
}

/// The bytes of an escape: `begin` is the leftmost chunk, `pending` the others, rightmost first.
fn unescape(begin: &[u8], pending: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut text = begin.to_vec();
    for chunk in pending.iter().rev() {
        // Every chunk before another is full, or the same bytes would have many spellings.
        if !text.len().is_multiple_of(ESCAPE_CHUNK) || text.is_empty() || chunk.is_empty() {
            return None;
        }
        text.extend_from_slice(chunk);
    }
    z32::decode(&text)
}

/// The labels of a folded selector, leftmost first; `None` if it is not two or more labels in wire form.
fn unfold(name: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut wire = name.to_vec();
    wire.push(0);
    let (parsed, used) = DnsName::from_wire(&wire).ok()?;
    let whole = used == wire.len() && parsed.label_count() >= 2;
    whole.then(|| parsed.labels().map(<[u8]>::to_vec).collect())
}

fn show(label: &[u8]) -> String {
    label.escape_ascii().to_string()
}

/// The DNS name of labels over a suffix.
pub fn to_name(labels: &[Vec<u8>], suffix: &DnsName) -> Result<DnsName, NameError> {
    DnsName::join(labels.iter().map(Vec::as_slice), suffix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(name: &str) -> Result<Path, PathError> {
        let name = DnsName::parse(name, Some(&DnsName::root())).unwrap();
        Path::read(name.labels(), 0)
    }

    fn steps(names: &[(&str, u64)]) -> Vec<Step> {
        names.iter().map(|(n, o)| Step { name: n.as_bytes().to_vec(), ordinal: *o }).collect()
    }

    #[test]
    fn labels_are_selectors_right_to_left_in_lower_case() {
        assert_eq!(read("WWW.Example").unwrap().steps, steps(&[("example", 0), ("www", 0)]));
    }

    #[test]
    fn ordinals_stand_left_of_their_selector() {
        let path = read("www._o2.horse.bad").unwrap();
        assert_eq!(path.steps, steps(&[("bad", 0), ("horse", 2), ("www", 0)]));
        assert_eq!(path.view, View::Plain);
    }

    #[test]
    fn views_stand_leftmost_only() {
        let path = read("_o2.horse.bad").unwrap();
        assert_eq!((path.view, path.steps), (View::Ordinal(2), steps(&[("bad", 0), ("horse", 0)])));
        assert_eq!(read("_o2-10.horse").unwrap().view, View::Range(2, 10));
        assert_eq!(read("_list.horse").unwrap().view, View::List);
        assert!(matches!(read("www._list.horse"), Err(PathError::ViewInside(_))));
        assert!(matches!(read("www._o2-3.horse"), Err(PathError::ViewInside(_))));
    }

    #[test]
    fn needless_and_non_canonical_spellings_are_refused() {
        let plain = format!("_b-{}", z32::encode(b"www"));
        assert!(matches!(read(&plain), Err(PathError::NeedlessEscape(_))));
        assert!(matches!(read("_o0.www"), Err(PathError::Ordinal(_))));
        assert!(matches!(read("_o02.www"), Err(PathError::Ordinal(_))));
        assert!(matches!(read("_o9-2.www"), Err(PathError::Ordinal(_))));
        assert!(matches!(read("a._o1._o2.www"), Err(PathError::Ordinal(_))));
        assert!(matches!(read("_b-l2"), Err(PathError::Escape(_))));
        assert!(matches!(read("_c-ye"), Err(PathError::Escape(_))));
        assert!(matches!(read("a._c-ye"), Err(PathError::Escape(_))));
    }

    #[test]
    fn arbitrary_bytes_have_one_escaped_name() {
        let key = steps(&[
            ("Upper Case with a very long name of more than sixty-three octets in all, yes", 0),
            ("x", 0),
        ]);
        let labels = Path::spell(&key, 0);
        assert!(labels[1].starts_with(b"_b-") && labels[2].starts_with(b"_c-"), "{labels:?}");
        let path = Path::read(labels.iter().map(Vec::as_slice), 0).unwrap();
        assert_eq!(path.steps, key);
    }

    #[test]
    fn an_underscore_label_that_is_no_escape_is_plain() {
        assert_eq!(read("_tcp._https").unwrap().steps, steps(&[("_https", 0), ("_tcp", 0)]));
        assert_eq!(read("_other").unwrap().steps, steps(&[("_other", 0)]));
    }

    #[test]
    fn the_sixteenth_label_folds_into_the_fifteenth_selector() {
        let fifteen = (0..15).map(|n| n.to_string()).collect::<Vec<_>>().join(".");
        let path = read(&fifteen).unwrap();
        assert_eq!((path.steps.len(), path.folded), (15, false));
        let path = read(&format!("x.{fifteen}")).unwrap();
        assert_eq!((path.steps.len(), path.folded), (15, true));
        assert_eq!(path.steps[14].name, b"\x01x\x010");
        let labels = Path::spell(&path.steps, 0);
        assert_eq!(labels.len(), 16);
    }

    proptest! {
        #[test]
        fn every_key_that_fits_reads_back_from_its_name(
            names in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..30), prop_oneof![Just(0_u64), any::<u64>()]), 1..6),
        ) {
            let mut key: Vec<Step> = names.into_iter().map(|(name, ordinal)| Step { name, ordinal }).collect();
            // The path of one empty name is a zone's apex, and has no other name.
            if key[0].name.is_empty() { key[0].name.push(b'a'); }
            key.last_mut().unwrap().ordinal = 0;
            let labels = Path::spell(&key, 0);
            let path = Path::read(labels.iter().map(Vec::as_slice), 0).unwrap();
            prop_assert_eq!(path.steps, key);
        }

        #[test]
        fn a_name_is_spelled_as_it_was_read(
            labels in proptest::collection::vec("_?[bco]?-?[a-z0-9]{1,8}", 1..20),
        ) {
            let bytes: Vec<Vec<u8>> = labels.iter().map(|l| l.as_bytes().to_vec()).collect();
            if let Ok(path) = Path::read(bytes.iter().map(Vec::as_slice), 0)
                && path.view == View::Plain
            {
                prop_assert_eq!(Path::spell(&path.steps, 0), bytes);
            }
        }
    }
}
