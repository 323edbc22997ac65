//! What stands behind the question mark of a path.

use serde::Deserialize;

/// `/links`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinksParams {
    /// LF's: how many hashes.
    pub(crate) count: Option<usize>,
    /// Ours: how many sets, for as many records.
    pub(crate) n: Option<usize>,
}

/// `/explain`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainParams {
    /// A domain name.
    pub(crate) name: String,
    /// A type's mnemonic or `TYPE` and its number.
    #[serde(rename = "type")]
    pub(crate) rtype: Option<String>,
}

/// `/zone`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ZoneParams {
    /// Which zone.
    pub(crate) suffix: String,
    /// Whose RRsets; everybody's if absent.
    pub(crate) owner: Option<String>,
}
