//! `/status` and `/readyz`: what a node says of itself. LF's fields first, then ours.

use serde::{Deserialize, Serialize};

use super::CatchingUp;

/// What LF calls the genesis parameters: the part of the network's rules that LF knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Genesis {
    /// What people call the network.
    pub name: String,
    /// Whom to ask.
    pub contact: String,
    /// Anything else.
    pub comment: String,
    /// Whether records must lean on a certificate.
    pub auth_required: bool,
    /// Fewest links of a record.
    pub record_min_links: u32,
    /// Most bytes of a masked value.
    pub record_max_value_size: u32,
    /// Seconds a record may be ahead of a node's clock.
    pub record_max_time_drift: u64,
}

/// A node's status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Status {
    /// `lfdns`.
    pub software: String,
    /// Major, minor, patch, 0.
    pub version: [u32; 4],
    /// 1.
    #[serde(rename = "APIVersion")]
    pub api_version: u32,
    /// 1.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: u32,
    /// 1.
    #[serde(rename = "MaxAPIVersion")]
    pub max_api_version: u32,
    /// Seconds since the node started.
    pub uptime: u64,
    /// The node's clock, unix seconds.
    pub clock: u64,
    /// Records here.
    #[serde(rename = "DBRecordCount")]
    pub db_record_count: u64,
    /// Bytes of the database.
    #[serde(rename = "DBSize")]
    pub db_size: u64,
    /// No record here waits for one it links to, and the node has been in agreement with a peer, or need not be.
    #[serde(rename = "DBFullySynchronized")]
    pub db_fully_synchronized: bool,
    /// Peers connected.
    pub peer_count: u32,
    /// The rules LF knows.
    pub genesis_parameters: Genesis,
    /// All of the network's rules, as they stand in its newest genesis record.
    pub network_rules: serde_json::Value,
    /// The network id, told only to whoever has the node's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The node's clock, unix milliseconds.
    pub clock_millis: u64,
    /// Records that wait for one they link to.
    pub orphans: u64,
    /// Records that wait for their time.
    pub deferred: u64,
    /// The fingerprint of all records here, 32 hexadecimal digits: equal sets have equal ones.
    pub fingerprint: String,
    /// The node's own key, by which peers know it; `null` if it has no peers.
    pub key: Option<String>,
    /// Whether the node has once been in agreement with a peer, or need not be.
    pub synchronised: bool,
    /// Records it knows it lacks.
    pub missing: u64,
    /// Milliseconds since it last found its records equal to a peer's; `null` before the first time.
    pub lag_millis: Option<u64>,
    /// While a long synchronisation runs.
    pub catching_up: Option<CatchingUp>,
    /// Records a second that came in from peers of late.
    pub records_in_per_second: f64,
    /// Records a second that went out to peers of late.
    pub records_out_per_second: f64,
    /// Bytes free on the node's disk.
    pub disk_free: u64,
    /// Bytes that must stay free; below it writes are refused.
    pub disk_min_free: u64,
    /// Whether the node answers DNS.
    pub ready: bool,
    /// If not, what it waits for.
    pub waiting_for: Vec<String>,
    /// Where DNS is answered.
    #[serde(rename = "DNS")]
    pub dns: Vec<String>,
    /// Where this API is.
    #[serde(rename = "HTTP")]
    pub http: Vec<String>,
    /// Where peers connect.
    #[serde(rename = "QUIC")]
    pub quic: Vec<String>,
}

/// `/healthz` and `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Readiness {
    /// Whether it is so.
    pub ready: bool,
    /// If not, why.
    pub waiting_for: Vec<String>,
}
