//! `/record/=…` and `/record/raw/=…`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{App, Shared, json as answer, octets, off_worker};
use crate::api::Refused;
use crate::api::access::Caller;
use crate::api::json::RecordJson;
use crate::record::{IdError, Record, RecordId};

/// The last part of the path, if it can be read.
type Named = Result<Path<String>, PathRejection>;

pub(super) async fn json(
    State(shared): App,
    Extension(caller): Extension<Caller>,
    id: Named,
) -> Result<Response, Refused> {
    Ok(answer(StatusCode::OK, &RecordJson::from(&find(&shared, caller, id).await?)))
}

/// The canonical bytes, value included: what `/post` takes.
pub(super) async fn raw(
    State(shared): App,
    Extension(caller): Extension<Caller>,
    id: Named,
) -> Result<Response, Refused> {
    let record = find(&shared, caller, id).await?;
    match record.value {
        Some(_) => Ok(octets(record.encode())),
        None => Err(Refused::new(404, "the value of this record is not stored here")),
    }
}

async fn find(shared: &Arc<Shared>, caller: Caller, id: Named) -> Result<Record, Refused> {
    let Path(id) = id?;
    let id: RecordId = id.parse().map_err(|e: IdError| Refused::new(400, e.to_string()))?;
    let record = off_worker(shared, move |parts| {
        let found = parts.store.snapshot()?.by_id(&id)?;
        found.map(|(_, record)| record).ok_or_else(|| Refused::new(404, format!("no record {id} here")))
    })
    .await?;
    // The network id is the hash of this one record: whoever has it has the id.
    if record.is_founding() && caller != Caller::Bearer {
        return Err(Refused::new(
            401,
            "the record that founds the network is shown only for the bearer token",
        ));
    }
    Ok(record)
}
