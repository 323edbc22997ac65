//! `/query`.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{App, json_bytes, off_worker, read_json};
use crate::api::{Refused, json::Query, reads};

/// Bytes of a query: 15 names of the greatest length as arrays of numbers, and the rest.
const QUERY_BYTES_MAX: usize = 128 << 10;

pub(super) async fn query(State(shared): App, body: Body) -> Result<Response, Refused> {
    let query: Query = read_json(body, QUERY_BYTES_MAX).await?;
    let answer = off_worker(&shared, move |parts| {
        let results = reads::query(&parts.store, &query)?;
        serde_json::to_vec(&results).map_err(|e| Refused::new(500, e.to_string()))
    });
    Ok(json_bytes(StatusCode::OK, answer.await?))
}
