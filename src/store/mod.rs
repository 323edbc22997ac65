//! Placeholder until the store lands.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
/// c
pub struct Config { /// m
 pub min_free: u64 }
