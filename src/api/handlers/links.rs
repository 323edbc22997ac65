//! What a client mints with: `/links` (which records to link to) and `/newest` (what its own must be later
//! than).

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::{App, Params, json, octets, off_worker, read_json};
use crate::api::json::{LinkJson, LinksParams, NewestRequest, NewestTimes};
use crate::api::{Refused, reads};
use crate::record::LINKS_MAX;

/// Sets of links in one answer.
pub(crate) const LINK_SETS_MAX: usize = 4_096;
/// Slots in one question.
pub(crate) const SLOTS_MAX: usize = 4_096;
/// Bytes of that question: each slot as an array of 16 numbers, and the owner.
const NEWEST_BYTES_MAX: usize = SLOTS_MAX * 80 + 1_024;

pub(super) async fn links(
    State(shared): App,
    wanted: Params<LinksParams>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let Query(wanted) = wanted?;
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
    let sets = match wanted.n {
        Some(n) if n > LINK_SETS_MAX => {
            return Err(Refused::new(400, format!("at most {LINK_SETS_MAX} sets of links at a time")));
        }
        Some(n) => n,
        None => 1,
    };
    let found = off_worker(&shared, move |parts| Ok(parts.store.links_for(sets, (parts.clock)())?)).await?;
    if wanted.n.is_some() || accept.contains("application/json") {
        let shown: Vec<Vec<LinkJson>> =
            found.into_iter().map(|set| set.into_iter().map(LinkJson::from).collect()).collect();
        return Ok(json(StatusCode::OK, &shown));
    }
    let most = wanted.count.unwrap_or(LINKS_MAX).clamp(1, LINKS_MAX);
    Ok(octets(found.into_iter().flatten().take(most).flat_map(|link| link.id.0).collect()))
}

pub(super) async fn newest(State(shared): App, body: Body) -> Result<Response, Refused> {
    let request: NewestRequest = read_json(body, NEWEST_BYTES_MAX).await?;
    let slots = reads::slots(&request.slots)?;
    if slots.len() > SLOTS_MAX {
        return Err(Refused::new(400, format!("at most {SLOTS_MAX} slots at a time")));
    }
    let times =
        off_worker(&shared, move |parts| reads::newest(&parts.store, &request.owner.0, &slots)).await?;
    let times_millis = times.into_iter().map(|t| t.map(|t| t.0)).collect();
    Ok(json(StatusCode::OK, &NewestTimes { times_millis }))
}
