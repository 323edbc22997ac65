//! `/names`: teaches the node selector names in the clear, for its local book. The names never leave the node.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{App, json, off_worker, read_json};
use crate::api::json::Blob;
use crate::api::{Refused, writes};

/// Bytes of one lesson.
const NAMES_BYTES_MAX: usize = 4 << 20;

pub(super) async fn teach(State(shared): App, body: Body) -> Result<Response, Refused> {
    let names: Vec<Blob> = read_json(body, NAMES_BYTES_MAX).await?;
    let count = names.len();
    let names: Vec<Vec<u8>> = names.into_iter().map(|n| n.0).collect();
    off_worker(&shared, move |parts| writes::teach(&parts.store, &names)).await?;
    Ok(json(StatusCode::OK, &json!({ "Names": count })))
}
