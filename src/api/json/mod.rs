//! LF's JSON: capitalised names, owners as `@…`, hashes as `=…`, binary as `"\b"` + base 62 or as an array of
//! numbers, times in seconds. What is ours stands beside it under names of its own, such as
//! `TimestampMillis`. All that the API says and hears is defined in this folder; nothing here acts.

mod blob;
mod ids;
mod params;
mod peers;
mod query;
mod record;
mod status;
mod writing;
mod zone;

pub use blob::{BASE62_BYTES_MAX, BASE62_DIGITS_MAX, Blob};
pub use ids::{HashText, OwnerText};
pub(crate) use params::{ExplainParams, LinksParams, ZoneParams};
pub use peers::{CatchingUp, Connect, ConnectionJson, Invitation, PeerJson, PeersChange};
pub use query::{Query, QueryRange, QueryResult, QueryResults};
pub use record::{RecordJson, SelectorJson};
pub use status::{Genesis, Readiness, Status};
pub(crate) use writing::BrokenReport;
pub use writing::{LinkJson, NewestRequest, NewestTimes, PostReport, Posted, RefusedRecord};
pub use zone::{ZoneEntry, ZoneLine};

use serde::{Deserialize, Deserializer, Serialize};

/// What every failed request is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorBody {
    /// The HTTP status.
    pub code: i32,
    /// What is wrong, for a person.
    pub message: String,
}

/// LF's clients write empty lists and blobs as `null` now and then.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For `skip_serializing_if`: what LF leaves out when it is zero.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands out references
fn is_zero(number: &u8) -> bool {
    *number == 0
}
