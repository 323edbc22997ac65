//! Why an answer is what it is: the notes the deciding functions leave when somebody asked for them. The same
//! functions answer DNS, so what is explained is what is served.

use crate::record::{Millis, OwnerKey, RecordId};
use crate::store::Head;

/// What became of a record that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the answer.
    Served,
    /// It deletes its key.
    Deleted,
    /// A newer bundle of the same owner hides it.
    HiddenByBundle,
    /// Its pulse is older than it allows.
    Silent,
    /// Its value does not open: why.
    DoesNotOpen(String),
    /// It opens, but is no DNS data of this version.
    NotDnsData,
    /// Its masked ordinal is no image under this name.
    NoImage,
}

impl Fate {
    /// The reason's name, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Fate::Served => "served",
            Fate::Deleted => "deleted",
            Fate::HiddenByBundle => "hidden-by-bundle",
            Fate::Silent => "silent",
            Fate::DoesNotOpen(_) => "does-not-open",
            Fate::NotDnsData => "not-dns-data",
            Fate::NoImage => "no-image",
        }
    }
}

/// One record that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordNote {
    /// Its id.
    pub id: RecordId,
    /// Its owner.
    pub owner: OwnerKey,
    /// Its time.
    pub time: Millis,
    /// The ordinal of its last selector, if its masked ordinal is one's image.
    pub ordinal: Option<u64>,
    /// The type it was looked at for.
    pub rtype: Option<u16>,
    /// What became of it.
    pub fate: Fate,
}

/// What was found out on the way to an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The zone's suffix, and whether only this node has it.
    pub zone: Option<(String, bool)>,
    /// `key` or `owners`.
    pub authority: Option<&'static str>,
    /// The selectors, outermost first.
    pub path: Vec<String>,
    /// The zone cut the name lies in.
    pub cut: Option<String>,
    /// Who may speak there.
    pub speakers: Vec<OwnerKey>,
    /// Steps of the decision, in words and in order.
    pub steps: Vec<String>,
    /// Records looked at, in order.
    pub records: Vec<RecordNote>,
}

impl Notes {
    pub(crate) fn record(
        &mut self,
        head: &Head,
        owner: &OwnerKey,
        ordinal: Option<u64>,
        rtype: Option<u16>,
        fate: Fate,
    ) {
        let note = RecordNote { id: head.id, owner: *owner, time: head.time, ordinal, rtype, fate };
        if !self.records.contains(&note) {
            self.records.push(note);
        }
    }
}
