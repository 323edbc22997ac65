//! `/post`: one record as its bytes, as LF's clients send it, or a stream of many (see [`frames`]).
//!
//! Of a stream, batches go to the store while the rest is still coming in; no more than a few are on their
//! way, so a sender is held back to the speed of the disk. What is acknowledged is fsynced.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{App, Shared, finished, json, off_worker, turn};
use crate::api::frames::{self, Frames, RECORDS_TYPE};
use crate::api::json::{BrokenReport, ErrorBody, PostReport};
use crate::api::{Refused, body, writes};
use crate::record::RECORD_MAX;
use crate::store::Source;

/// Records handed to the store at a time.
const BATCH_RECORDS: usize = 1_024;
/// Bytes handed to the store at a time, unless one record is larger.
const BATCH_BYTES: usize = 1 << 20;
/// Batches in the store at one time: one is being verified while one is being written.
const BATCHES_AHEAD: usize = 3;

pub(super) async fn post(State(shared): App, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match media.split(';').next().unwrap_or_default().trim() {
        RECORDS_TYPE => post_many(&shared, body).await,
        "" | "application/octet-stream" => post_one(&shared, body).await,
        other => Err(Refused::new(
            415,
            format!(
                "'{}' is not posted here: send one record as application/octet-stream, or many as {RECORDS_TYPE}",
                other.escape_default()
            ),
        )),
    }
}

async fn post_one(shared: &Arc<Shared>, body: Body) -> Result<Response, Refused> {
    let bytes = body::collect(body, RECORD_MAX).await?;
    let posted = off_worker(shared, move |parts| writes::post_one(&parts.store, &bytes)).await?;
    let status = if posted.waiting.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(json(status, &posted))
}

async fn post_many(shared: &Arc<Shared>, mut body: Body) -> Result<Response, Refused> {
    let _place = turn(&shared.bulk_posts).await?;
    let mut intake = Intake::new(Arc::clone(shared));
    let read = intake.read(&mut body).await;
    let mut report = intake.finish().await?;
    let Err(refused) = read else { return Ok(json(StatusCode::OK, &report)) };
    report.broken_off = Some(refused.message.clone());
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
    let error = ErrorBody { code: i32::from(refused.status), message: refused.message };
    Ok(json(status, &BrokenReport { error, report }))
}

/// A stream of records on its way into the store.
struct Intake {
    shared: Arc<Shared>,
    frames: Frames,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    /// Records handed to the store so far.
    handed: u64,
    ahead: VecDeque<(u64, JoinHandle<PostReport>)>,
    report: PostReport,
}

impl Intake {
    fn new(shared: Arc<Shared>) -> Intake {
        Intake {
            shared,
            frames: Frames::default(),
            batch: Vec::new(),
            batch_bytes: 0,
            handed: 0,
            ahead: VecDeque::new(),
            report: PostReport::default(),
        }
    }

    async fn read(&mut self, body: &mut Body) -> Result<(), Refused> {
        let wrong = |e: frames::FrameError| Refused::new(400, e.to_string());
        while let Some(piece) = body::next_piece(body).await? {
            self.frames.push(&piece);
            while let Some(record) = self.frames.next().map_err(wrong)? {
                self.batch_bytes += record.len();
                self.batch.push(record);
                if self.batch.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES {
                    self.hand_over().await?;
                }
            }
        }
        self.frames.finish().map_err(wrong)
    }

    async fn hand_over(&mut self) -> Result<(), Refused> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let first = self.handed;
        self.handed += batch.len() as u64;
        let shared = Arc::clone(&self.shared);
        let work = move || writes::post_many(&shared.parts.store, &batch, Source::Api);
        self.ahead.push_back((first, tokio::task::spawn_blocking(work)));
        if self.ahead.len() >= BATCHES_AHEAD { self.settle().await } else { Ok(()) }
    }

    /// Waits for the batch that was handed over first.
    async fn settle(&mut self) -> Result<(), Refused> {
        if let Some((first, task)) = self.ahead.pop_front() {
            self.report.add(finished(task.await)?, first);
        }
        Ok(())
    }

    /// Hands over what is left, even of a stream that broke off: those records came whole.
    async fn finish(mut self) -> Result<PostReport, Refused> {
        self.hand_over().await?;
        while !self.ahead.is_empty() {
            self.settle().await?;
        }
        Ok(self.report)
    }
}
