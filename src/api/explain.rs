//! What the API asks of the part that answers DNS. The node assembles it: the API itself knows no names.

use super::Refused;
use super::json::ZoneEntry;
use crate::record::OwnerKey;

/// Takes one entry of a listing; `false`: enough, stop.
pub type Sink<'a> = &'a mut dyn FnMut(ZoneEntry) -> bool;

/// Explains answers and lists zones. Both block, and are called from threads that may.
pub trait Explain: Send + Sync {
    /// How a question is decided, step by step; `rtype` is a mnemonic or `TYPE` and a number, none: any.
    fn explain(&self, name: &str, rtype: Option<&str>) -> Result<serde_json::Value, Refused>;

    /// Every RRset in the zone of `suffix`, of one owner or of all who may speak there.
    fn list_zone(&self, suffix: &str, owner: Option<&OwnerKey>, sink: Sink<'_>) -> Result<(), Refused>;
}
