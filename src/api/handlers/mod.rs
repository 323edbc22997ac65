//! One file for each group of requests; here are the routes, who may take them, and how answers look.
//!
//! Three groups: what anybody may ask (health), what needs the right to read, what needs the right to write.
//! A route belongs to exactly one, so that none can forget to ask.

mod health;
mod join;
mod links;
mod names;
mod peers;
mod pieces;
mod post;
mod query;
mod record;
mod status;
mod zone;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use links::{LINK_SETS_MAX, SLOTS_MAX};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post as on_post};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Refused;
use super::access::{Access, Caller, Ends};
use super::json::ErrorBody;
use super::server::Parts;

/// How long a request waits for its turn before it is told that the node is busy.
const TURN_DEADLINE: Duration = Duration::from_secs(10);

/// What all handlers share.
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) access: Access,
    pub(crate) started: Instant,
    pub(crate) store_calls: Arc<Semaphore>,
    pub(crate) bulk_posts: Semaphore,
    pub(crate) listings: Semaphore,
    pub(crate) dumps: Semaphore,
}

type App = State<Arc<Shared>>;
/// What stands behind the question mark, if it can be read.
type Params<T> = Result<Query<T>, QueryRejection>;

/// All routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let readers = Router::new()
        .route("/query", on_post(query::query).put(query::query))
        .route("/links", get(links::links))
        .route("/newest", on_post(links::newest))
        .route("/status", get(status::status))
        .route("/record/{id}", get(record::json))
        .route("/record/raw/{id}", get(record::raw))
        .route("/explain", get(zone::explain))
        .route("/zone", get(zone::list))
        .route("/peers", get(peers::list))
        .route("/invitation", get(join::invitation))
        .route("/dumprecords", get(join::dump))
        .layer(from_fn(readers_only));
    let writers = Router::new()
        .route("/post", on_post(post::post).put(post::post))
        .route("/names", on_post(names::teach))
        .route("/peers", on_post(peers::change))
        .route("/connect", on_post(peers::connect).put(peers::connect))
        .layer(from_fn_with_state(Arc::clone(&shared), writers_only));
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(readers)
        .merge(writers)
        .fallback(async |request: Request| {
            Refused::new(404, format!("{} not found", request.uri().path().escape_default()))
        })
        .method_not_allowed_fallback(async |request: Request| {
            Refused::new(405, format!("{} not supported for this path", request.method()))
        })
        .layer(from_fn_with_state(Arc::clone(&shared), admit))
        .with_state(shared)
}

/// Lets in who calls us by our name, and notes who that is; dresses the answer.
async fn admit(State(shared): App, mut request: Request, next: Next) -> Response {
    let ends = *request.extensions().get::<Ends>().expect("the server notes both ends of each connection");
    let mut response = match shared.access.admit(ends, request.uri(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::SERVER, fixed("lfdns"));
    headers.insert("x-lf-version", fixed(env!("CARGO_PKG_VERSION")));
    headers.insert("x-lf-apiversion", fixed("1"));
    headers.insert("x-lf-time", HeaderValue::from((shared.parts.clock)().seconds()));
    response
}

fn caller(request: &Request) -> Caller {
    request.extensions().get().copied().unwrap_or(Caller::Stranger)
}

async fn readers_only(request: Request, next: Next) -> Response {
    match Access::may_read(caller(&request)) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

async fn writers_only(State(shared): App, request: Request, next: Next) -> Response {
    match shared.access.may_write(caller(&request)) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Refused {
        Refused::new(400, rejection.body_text())
    }
}

impl From<PathRejection> for Refused {
    fn from(rejection: PathRejection) -> Refused {
        Refused::new(400, rejection.body_text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!("API: {status}: {}", self.message);
        }
        let mut response =
            json(status, &ErrorBody { code: i32::from(status.as_u16()), message: self.message });
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: a 401 says which scheme is wanted.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An answer in JSON.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => json_bytes(status, body),
        Err(error) => {
            tracing::error!("an answer of the API cannot be written as JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn json_bytes(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn octets(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response()
}

/// Reads a body of JSON.
async fn read_json<T: serde::de::DeserializeOwned>(body: Body, limit: usize) -> Result<T, Refused> {
    let bytes = super::body::collect(body, limit).await?;
    serde_json::from_slice(&bytes).map_err(|e| Refused::new(400, format!("not the JSON expected here: {e}")))
}

/// A turn in the store, or word that it is busy.
async fn turn(places: &Semaphore) -> Result<SemaphorePermit<'_>, Refused> {
    match tokio::time::timeout(TURN_DEADLINE, places.acquire()).await {
        Ok(place) => Ok(place.expect("the semaphore is never closed")),
        Err(_) => Err(busy()),
    }
}

fn busy() -> Refused {
    Refused::new(503, "the node is busy; try again")
}

/// Runs what blocks where it may, a bounded number at a time.
async fn off_worker<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Parts) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let waiting = Arc::clone(&shared.store_calls).acquire_owned();
    let place = tokio::time::timeout(TURN_DEADLINE, waiting).await.map_err(|_| busy())?;
    let shared = Arc::clone(shared);
    let task = tokio::task::spawn_blocking(move || {
        // Held until the work is done, even if whoever asked for it has gone.
        let _place = place;
        work(&shared.parts)
    });
    finished(task.await)?
}

/// A task that panicked is our fault, and only this request's loss.
fn finished<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, Refused> {
    joined.map_err(|error| {
        tracing::error!("a request of the API failed: {error}");
        Refused::new(500, "the request failed inside the node; its log says more")
    })
}
