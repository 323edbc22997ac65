//! `/healthz`: the process answers. `/readyz`: it serves DNS, or what it waits for.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{App, json};
use crate::api::json::Readiness;

pub(super) async fn healthz() -> Response {
    json(StatusCode::OK, &Readiness { ready: true, waiting_for: vec![] })
}

pub(super) async fn readyz(State(shared): App) -> Response {
    let waiting_for = (shared.parts.facts)().waiting_for;
    let status = if waiting_for.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Readiness { ready: waiting_for.is_empty(), waiting_for })
}
