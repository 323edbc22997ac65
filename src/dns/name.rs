//! A domain name in uncompressed wire form: what the zones, the path mapping, RDATA and master files share.
//!
//! [`DnsName`] holds any octets a label may hold and keeps their case; `Eq`, `Ord` and `Hash` are bytewise, so that
//! a lower-cased name is a key. What DNS compares without case (RFC 4343) has its own methods. Text is RFC 1035
//! §5.1: `\.` and `\DDD` for what a label could not say otherwise, a trailing dot for an absolute name.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use smallvec::SmallVec;

/// The longest name, its root octet included (RFC 1035 §2.3.4).
pub const NAME_MAX: usize = 255;
/// The longest label (RFC 1035 §2.3.4).
pub const LABEL_MAX: usize = 63;

/// Names up to this many octets live without an allocation.
const INLINE: usize = 40;

/// Why something is no domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty text: the root is written `.`.
    #[error("an empty name; the root is written `.`, the origin `@`")]
    Empty,
    /// Two dots in a row, or a dot in front.
    #[error("an empty label: two dots in a row, or a dot in front")]
    EmptyLabel,
    /// A label of more than [`LABEL_MAX`] octets.
    #[error("a label of {0} octets; a label has at most {LABEL_MAX}")]
    LabelTooLong(usize),
    /// More than [`NAME_MAX`] octets in wire form.
    #[error("the name is too long; in wire form it has at most {NAME_MAX} octets")]
    NameTooLong,
    /// A backslash followed by neither one character nor three digits up to 255.
    #[error("a broken escape; write `\\.` for a dot in a label, `\\DDD` (000 to 255) for any octet")]
    BadEscape,
    /// A relative name where there is no origin.
    #[error("the name is relative and there is no origin; end it with a dot")]
    Relative,
    /// The wire form ends inside the name.
    #[error("the name's wire form is cut short")]
    Truncated,
    /// A compression pointer or a label type of the past.
    #[error("a compressed name where a plain one must stand")]
    Compressed,
}

/// A domain name, absolute, in uncompressed wire form; at most [`NAME_MAX`] octets, the root included.
#[derive(Clone)]
pub struct DnsName(SmallVec<[u8; INLINE]>);

impl DnsName {
    /// The root, `.`.
    pub fn root() -> DnsName {
        DnsName(SmallVec::from_slice(&[0]))
    }

    /// Reads the uncompressed name `wire` starts with, and says how many octets it took.
    pub fn from_wire(wire: &[u8]) -> Result<(DnsName, usize), NameError> {
        let len = wire_len(wire)?;
        Ok((DnsName(SmallVec::from_slice(&wire[..len])), len))
    }

    /// Builds a name of labels, leftmost first, the root left out.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<DnsName, NameError> {
        DnsName::join(labels, &DnsName::root())
    }

    /// `prefix`, leftmost label first, in front of `suffix`.
    pub fn join<'a>(
        prefix: impl IntoIterator<Item = &'a [u8]>,
        suffix: &DnsName,
    ) -> Result<DnsName, NameError> {
        let mut wire = SmallVec::new();
        for label in prefix {
            push_label(&mut wire, label)?;
        }
        close(wire, suffix)
    }

    /// Reads the text form. A name without a trailing dot is relative and gets `origin` behind it; `@` is the origin.
    pub fn parse(text: &str, origin: Option<&DnsName>) -> Result<DnsName, NameError> {
        DnsName::parse_bytes(text.as_bytes(), origin)
    }

    /// [`DnsName::parse`] for text that need not be UTF-8; octets above 127 stand for themselves.
    pub fn parse_bytes(text: &[u8], origin: Option<&DnsName>) -> Result<DnsName, NameError> {
        match text {
            [] => return Err(NameError::Empty),
            b"." => return Ok(DnsName::root()),
            b"@" => return origin.cloned().ok_or(NameError::Relative),
            _ => {}
        }
        let mut wire: SmallVec<[u8; INLINE]> = SmallVec::new();
        let mut label: SmallVec<[u8; LABEL_MAX]> = SmallVec::new();
        let mut rest = text;
        let mut absolute = false;
        while let Some((&octet, tail)) = rest.split_first() {
            if octet == b'.' {
                push_label(&mut wire, &label)?;
                label.clear();
                absolute = tail.is_empty();
                rest = tail;
            } else {
                let (octet, tail) = unescape(rest).ok_or(NameError::BadEscape)?;
                label.push(octet);
                rest = tail;
            }
        }
        if absolute {
            return close(wire, &DnsName::root());
        }
        push_label(&mut wire, &label)?;
        close(wire, origin.ok_or(NameError::Relative)?)
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels::over(&self.0)
    }

    /// How many labels, the root not counted.
    pub fn label_count(&self) -> usize {
        let mut count = 0;
        let mut at = 0;
        while self.0[at] != 0 {
            at += usize::from(self.0[at]) + 1;
            count += 1;
        }
        count
    }

    /// The wire form, its final zero octet included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The same name, ASCII letters in lower case (RFC 4343).
    pub fn to_lowercase(&self) -> DnsName {
        let mut lower = self.clone();
        lower.make_lowercase();
        lower
    }

    /// Lower-cases ASCII letters in place. Length octets are at most 63, so below every letter.
    pub fn make_lowercase(&mut self) {
        self.0.make_ascii_lowercase();
    }

    /// Whether `self` is `ancestor` or lies below it, case aside.
    pub fn is_subdomain_of(&self, ancestor: &DnsName) -> bool {
        self.cut_at(ancestor).is_some()
    }

    /// The labels of `self` above `suffix`, leftmost first; none if it does not end so. Case is no difference.
    pub fn strip_suffix(&self, suffix: &DnsName) -> Option<Labels<'_>> {
        self.cut_at(suffix).map(|cut| Labels::over(&self.0[..cut]))
    }

    /// The name without its leftmost label; none for the root.
    pub fn parent(&self) -> Option<DnsName> {
        if self.is_root() {
            return None;
        }
        Some(DnsName(SmallVec::from_slice(&self.0[usize::from(self.0[0]) + 1..])))
    }

    /// `label` in front of this name.
    pub fn child(&self, label: &[u8]) -> Result<DnsName, NameError> {
        DnsName::join([label], self)
    }

    /// Equality as DNS has it: ASCII case is no difference.
    pub fn eq_ignore_case(&self, other: &DnsName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// Whether the leftmost label is a single asterisk (RFC 4592 §2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The order zones are written in: label by label from the right, lower-cased (RFC 4034 §6.1).
    pub fn canonical_cmp(&self, other: &DnsName) -> Ordering {
        let lower = |label: &[u8]| label.iter().map(u8::to_ascii_lowercase).collect::<SmallVec<[u8; 63]>>();
        let (mut mine, mut theirs) = (self.labels().rev(), other.labels().rev());
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => match lower(a).cmp(&lower(b)) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    }

    /// The text form relative to `origin` where it lies below it: `@`, `www`, or the absolute name.
    pub fn relative_to(&self, origin: &DnsName) -> Relative<'_> {
        let cut = if origin.is_root() { None } else { self.cut_at(origin) };
        Relative { name: self, cut }
    }

    /// Where `suffix` begins in `self`, if `self` ends with it at a label's edge.
    fn cut_at(&self, suffix: &DnsName) -> Option<usize> {
        let cut = self.0.len().checked_sub(suffix.0.len())?;
        if !self.0[cut..].eq_ignore_ascii_case(&suffix.0) {
            return None;
        }
        let mut at = 0;
        while at < cut {
            at += usize::from(self.0[at]) + 1;
        }
        (at == cut).then_some(cut)
    }
}

impl PartialEq for DnsName {
    fn eq(&self, other: &DnsName) -> bool {
        self.0 == other.0
    }
}

impl Eq for DnsName {}

impl Hash for DnsName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialOrd for DnsName {
    fn partial_cmp(&self, other: &DnsName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DnsName {
    /// Bytewise over the wire form; [`DnsName::canonical_cmp`] is DNS's own order.
    fn cmp(&self, other: &DnsName) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    /// Reads an absolute name.
    fn from_str(text: &str) -> Result<DnsName, NameError> {
        DnsName::parse(text, None)
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            write_label(f, label)?;
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DnsName({self})")
    }
}

/// A name shown relative to an origin; from [`DnsName::relative_to`].
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a> {
    name: &'a DnsName,
    cut: Option<usize>,
}

impl fmt::Display for Relative<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(cut) = self.cut else { return self.name.fmt(f) };
        if cut == 0 {
            return f.write_str("@");
        }
        for (index, label) in Labels::over(&self.name.0[..cut]).enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            write_label(f, label)?;
        }
        Ok(())
    }
}

/// Labels of a name from either end; from [`DnsName::labels`].
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    wire: &'a [u8],
    /// Where each label's length octet stands; offsets are below [`NAME_MAX`], so an octet holds them.
    starts: SmallVec<[u8; 36]>,
    front: usize,
    back: usize,
}

impl<'a> Labels<'a> {
    /// `wire` is whole labels, with or without the root octet behind them.
    fn over(wire: &'a [u8]) -> Labels<'a> {
        let mut starts = SmallVec::new();
        let mut at = 0;
        while at < wire.len() && wire[at] != 0 {
            starts.push(at as u8);
            at += usize::from(wire[at]) + 1;
        }
        let back = starts.len();
        Labels { wire, starts, front: 0, back }
    }

    fn at(&self, index: usize) -> &'a [u8] {
        let start = usize::from(self.starts[index]);
        &self.wire[start + 1..=start + usize::from(self.wire[start])]
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.front == self.back {
            return None;
        }
        self.front += 1;
        Some(self.at(self.front - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.back - self.front;
        (left, Some(left))
    }
}

impl<'a> DoubleEndedIterator for Labels<'a> {
    fn next_back(&mut self) -> Option<&'a [u8]> {
        if self.front == self.back {
            return None;
        }
        self.back -= 1;
        Some(self.at(self.back))
    }
}

impl ExactSizeIterator for Labels<'_> {}

/// The length of the uncompressed name `wire` starts with, checked.
fn wire_len(wire: &[u8]) -> Result<usize, NameError> {
    let mut at = 0;
    loop {
        let len = usize::from(*wire.get(at).ok_or(NameError::Truncated)?);
        if len > LABEL_MAX {
            return Err(NameError::Compressed);
        }
        at += len + 1;
        if at > NAME_MAX {
            return Err(NameError::NameTooLong);
        }
        if len == 0 {
            return Ok(at);
        }
    }
}

fn push_label(wire: &mut SmallVec<[u8; INLINE]>, label: &[u8]) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > LABEL_MAX {
        return Err(NameError::LabelTooLong(label.len()));
    }
    // One octet is left for the root, and an endless iterator of labels ends here.
    if wire.len() + label.len() + 2 > NAME_MAX {
        return Err(NameError::NameTooLong);
    }
    wire.push(label.len() as u8);
    wire.extend_from_slice(label);
    Ok(())
}

fn close(mut wire: SmallVec<[u8; INLINE]>, suffix: &DnsName) -> Result<DnsName, NameError> {
    if wire.len() + suffix.0.len() > NAME_MAX {
        return Err(NameError::NameTooLong);
    }
    wire.extend_from_slice(&suffix.0);
    Ok(DnsName(wire))
}

/// The octet `text` starts with, `\X` and `\DDD` resolved, and what follows it; none for a broken escape or no text.
pub(crate) fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let digit = |octet: &u8| u32::from(octet - b'0');
            let octet = u8::try_from(digit(a) * 100 + digit(b) * 10 + digit(c)).ok()?;
            Some((octet, rest))
        }
        [b'\\', b'0'..=b'9', ..] | [b'\\'] | [] => None,
        [b'\\', octet, rest @ ..] | [octet, rest @ ..] => Some((*octet, rest)),
    }
}

/// A label's text: what the master file format gives a meaning is escaped, what is not printable is `\DDD`.
fn write_label(f: &mut fmt::Formatter<'_>, label: &[u8]) -> fmt::Result {
    use fmt::Write as _;
    for &octet in label {
        match octet {
            b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => {
                f.write_char('\\')?;
                f.write_char(char::from(octet))?;
            }
            0x21..=0x7e => f.write_char(char::from(octet))?,
            _ => write!(f, "\\{octet:03}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
