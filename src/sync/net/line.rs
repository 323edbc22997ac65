//! One connection: the handshake that both sides must pass before anything is said, and the tasks that move bytes
//! between its streams and the engine. Nothing here decides about records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::dues::{Dues, Ledger};
use super::framed::{Reading, StreamError, Writing};
use super::intake::{Batch, Intake, News, decode};
use super::serve::{self, Answers};
use super::tls::{self, Speaker};
use crate::record::NetworkId;
use crate::sync::NodeKey;
use crate::sync::bytes::WireError;
use crate::sync::engine::{Input, Via};
use crate::sync::limits::{
    ANSWERS_PER_PEER, CONTROL_QUEUE, GOSSIP_QUEUE, GOSSIP_QUEUE_BYTES, HANDSHAKE, INTAKE_BATCH, READ_PATIENCE,
};
use crate::sync::table::Offence;
use crate::sync::wants::LinkId;
use crate::sync::wire::{FRAME_MAX, Hello, Message};

/// Bytes of a proof or hello, which strangers may send.
const HANDSHAKE_FRAME_MAX: usize = 128;

/// Why a handshake led nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The connection did not stand, or ended.
    #[error("no connection: {0}")]
    Connection(String),
    /// It took too long.
    #[error("it took too long")]
    Slow,
    /// Another key than the one pinned.
    #[error("another key answers there: {0}")]
    WrongKey(NodeKey),
    /// The peer does not know this network.
    #[error("it is of another network")]
    Stranger(Option<NodeKey>),
    /// It knows the network and speaks another version of the protocol: nobody's fault.
    #[error("it speaks version {0} of the protocol")]
    Version(u8),
    /// It knows the network and talks nonsense.
    #[error("what it says of itself is wrong")]
    Nonsense(NodeKey),
}

/// A connection on which both sides have proved themselves.
pub(super) struct Met {
    pub(super) connection: Connection,
    pub(super) key: NodeKey,
    pub(super) hello: Hello,
    control: (Writing, Reading),
}

/// Dials done, proves first, expects the peer's proof and hello.
pub(super) async fn meet(
    connection: Connection,
    network: &NetworkId,
    hello: Hello,
    expected: Option<NodeKey>,
) -> Result<Met, HandshakeError> {
    let key = tls::peer_key(&connection).ok_or(HandshakeError::Stranger(None))?;
    if expected.is_some_and(|expected| expected != key) {
        connection.close(VarInt::from_u32(0), b"");
        return Err(HandshakeError::WrongKey(key));
    }
    let met = timeout(HANDSHAKE, async {
        let streams = connection.open_bi().await.map_err(gone)?;
        let mut control = halves(streams);
        let (ours, theirs) = proofs(&connection, network, Speaker::Dialler)?;
        control.0.say(&Message::Proof(ours)).await.map_err(gone)?;
        expect_proof(&mut control.1, &theirs, key).await?;
        control.0.say(&Message::Hello(hello)).await.map_err(gone)?;
        let hello = expect_hello(&mut control.1, key).await?;
        Ok((control, hello))
    });
    finish(connection.clone(), key, met.await)
}

/// Was called: says nothing before the caller's proof is right.
pub(super) async fn answer(
    connection: Connection,
    network: &NetworkId,
    hello: Hello,
) -> Result<Met, HandshakeError> {
    let key = tls::peer_key(&connection).ok_or(HandshakeError::Stranger(None))?;
    let met = timeout(HANDSHAKE, async {
        let streams = connection.accept_bi().await.map_err(gone)?;
        let mut control = halves(streams);
        let (ours, theirs) = proofs(&connection, network, Speaker::Called)?;
        expect_proof(&mut control.1, &theirs, key).await?;
        control.0.say(&Message::Proof(ours)).await.map_err(gone)?;
        control.0.say(&Message::Hello(hello)).await.map_err(gone)?;
        let hello = expect_hello(&mut control.1, key).await?;
        Ok((control, hello))
    });
    finish(connection.clone(), key, met.await)
}

type Streams = (Writing, Reading);

fn finish(
    connection: Connection,
    key: NodeKey,
    met: Result<Result<(Streams, Hello), HandshakeError>, tokio::time::error::Elapsed>,
) -> Result<Met, HandshakeError> {
    match met.unwrap_or(Err(HandshakeError::Slow)) {
        Ok((control, hello)) => Ok(Met { connection, key, hello, control }),
        Err(error) => {
            // A stranger is not told why.
            connection.close(VarInt::from_u32(0), b"");
            Err(error)
        }
    }
}

fn halves((send, receive): (SendStream, RecvStream)) -> Streams {
    (Writing::new(send), Reading::new(receive, HANDSHAKE_FRAME_MAX))
}

/// Ours, and the one the peer must show.
fn proofs(
    connection: &Connection,
    network: &NetworkId,
    speaker: Speaker,
) -> Result<([u8; 32], [u8; 32]), HandshakeError> {
    let other = match speaker {
        Speaker::Dialler => Speaker::Called,
        Speaker::Called => Speaker::Dialler,
    };
    let proof = |speaker| tls::proof(connection, network, speaker);
    proof(speaker).zip(proof(other)).ok_or_else(|| HandshakeError::Connection("it exports no keys".into()))
}

async fn expect_proof(
    reading: &mut Reading,
    expected: &[u8; 32],
    key: NodeKey,
) -> Result<(), HandshakeError> {
    match reading.next(None).await {
        Ok(Message::Proof(shown)) if tls::is_proof(expected, &shown) => Ok(()),
        Ok(_) | Err(StreamError::Wire(_)) => Err(HandshakeError::Stranger(Some(key))),
        Err(error) => Err(gone(error)),
    }
}

/// After its proof the peer is no stranger any more.
async fn expect_hello(reading: &mut Reading, key: NodeKey) -> Result<Hello, HandshakeError> {
    match reading.next(None).await {
        Ok(Message::Hello(hello)) => Ok(hello),
        Err(StreamError::Wire(WireError::Version(version))) => Err(HandshakeError::Version(version)),
        Ok(_) | Err(StreamError::Wire(_)) => Err(HandshakeError::Nonsense(key)),
        Err(error) => Err(gone(error)),
    }
}

pub(super) fn gone(error: impl std::fmt::Display) -> HandshakeError {
    HandshakeError::Connection(error.to_string())
}

/// What is queued for a peer's gossip stream.
pub(super) type Frame = Arc<[u8]>;

/// A connection in use, as the engine's driver holds it.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) intake: Intake,
    pub(super) dues: Arc<Dues>,
    /// The stream from a cursor that is taken from here.
    pub(super) stream: Option<AbortHandle>,
    control: mpsc::Sender<Message>,
    gossip: mpsc::Sender<Frame>,
    gossip_bytes: Arc<AtomicUsize>,
}

/// What every connection works with.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) facts: mpsc::Sender<Input>,
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) answers: Arc<Answers>,
    pub(super) ledger: Arc<Ledger>,
}

impl Line {
    /// Sets the tasks of a connection going. They end with it, and then say so.
    pub(super) fn start(link: LinkId, met: Met, around: &Surroundings) -> Line {
        let Met { connection, key, hello: _, control: (writing, mut reading) } = met;
        reading.allow(FRAME_MAX);
        let (control, controls) = mpsc::channel(CONTROL_QUEUE);
        let (gossip, frames) = mpsc::channel(GOSSIP_QUEUE);
        let gossip_bytes = Arc::new(AtomicUsize::new(0));
        let intake = Intake::new(link, around.answers.store.clone(), around.news.clone());
        let dues = around.ledger.of(key, Instant::now());
        let tasks = Tasks {
            link,
            connection: connection.clone(),
            around: around.clone(),
            intake: intake.clone(),
            dues: Arc::clone(&dues),
        };
        tokio::spawn(tasks.run(writing, reading, controls, frames, Arc::clone(&gossip_bytes)));
        Line { connection, intake, dues, stream: None, control, gossip, gossip_bytes }
    }

    /// Queues a message for the control stream; false: the queue is full.
    pub(super) fn say(&self, message: Message) -> bool {
        self.control.try_send(message).is_ok()
    }

    /// Whether a frame may be queued for the gossip stream, unless it is too long.
    pub(super) fn takes_gossip(&self) -> bool {
        self.gossip.capacity() > 0 && self.gossip_bytes.load(Ordering::Relaxed) < GOSSIP_QUEUE_BYTES
    }

    /// Queues a frame for the gossip stream; false: the queue is full.
    pub(super) fn gossip(&self, frame: &Frame) -> bool {
        let bytes = frame.len();
        if self.gossip_bytes.load(Ordering::Relaxed) + bytes > GOSSIP_QUEUE_BYTES {
            return false;
        }
        self.gossip_bytes.fetch_add(bytes, Ordering::Relaxed);
        let queued = self.gossip.try_send(Arc::clone(frame)).is_ok();
        if !queued {
            self.gossip_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        queued
    }

    pub(super) fn close(&self, why: &str) {
        self.connection.close(VarInt::from_u32(1), why.as_bytes());
    }
}

struct Tasks {
    link: LinkId,
    connection: Connection,
    around: Surroundings,
    intake: Intake,
    dues: Arc<Dues>,
}

/// How a connection's task ended.
enum End {
    Gone,
    Fault(Offence),
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> End {
        error.fault().map_or(End::Gone, End::Fault)
    }
}

impl Tasks {
    /// All of a connection's tasks; the first that ends, ends the others and the connection.
    async fn run(
        self,
        writing: Writing,
        reading: Reading,
        controls: mpsc::Receiver<Message>,
        frames: mpsc::Receiver<Frame>,
        queued: Arc<AtomicUsize>,
    ) {
        let end = tokio::select! {
            end = self.hear_control(reading) => end,
            end = say_control(writing, controls) => end,
            end = self.hear_gossip() => end,
            end = self.say_gossip(frames, queued) => end,
            end = self.hear_requests() => end,
            _ = self.connection.closed() => End::Gone,
        };
        let fault = match end {
            End::Fault(offence) => Some(offence),
            End::Gone => None,
        };
        if let Some(reason) = self.connection.close_reason() {
            tracing::debug!(link = self.link, %reason, "disconnected");
        }
        let why: &[u8] = if fault.is_some() { b"that is not allowed" } else { b"" };
        self.connection.close(VarInt::from_u32(1), why);
        // The engine may have gone before.
        let _ = self.around.facts.send(Input::Down(self.link, fault)).await;
    }

    async fn tell(&self, input: Input) -> Result<(), End> {
        self.around.facts.send(input).await.map_err(|_| End::Gone)
    }

    async fn hear_control(&self, mut reading: Reading) -> End {
        loop {
            let message = match reading.next(None).await {
                Ok(message) => message,
                Err(error) => return error.into(),
            };
            if self.dues.control.lock().is_flood(Instant::now()) {
                return End::Fault(Offence::Flooded);
            }
            let peers = matches!(message, Message::Peers(_));
            if peers && !self.dues.control.lock().hears_peers(Instant::now()) {
                continue;
            }
            if let Err(end) = self.tell(Input::Said(self.link, message)).await {
                return end;
            }
        }
    }

    async fn hear_gossip(&self) -> End {
        let Ok(stream) = self.connection.accept_uni().await else { return End::Gone };
        let mut reading = Reading::new(stream, FRAME_MAX);
        loop {
            let taken = reading.taken();
            let (batch, announced) = match self.gather(&mut reading).await {
                Ok(heard) => heard,
                Err(end) => return end,
            };
            let (count, bytes) = (batch.len() + announced, (reading.taken() - taken) as usize);
            let pause = self.dues.pushed.lock().pass(Instant::now(), count, bytes);
            if let Err(error) = self.intake.take(batch, Via::Gossip).await {
                return error.into();
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Whatever has arrived: announcements go to the engine, records come back, with how many ids were announced.
    async fn gather(&self, reading: &mut Reading) -> Result<(Batch, usize), End> {
        let (mut batch, mut announced) = (Batch::default(), 0);
        let mut message = reading.next(None).await?;
        loop {
            match message {
                Message::Record { whole, bytes } => {
                    let record = decode(whole, &bytes).map_err(|_| End::Fault(Offence::Lied))?;
                    batch.push(record, bytes.len());
                }
                Message::Announce(ref ids) => {
                    announced += ids.len();
                    self.tell(Input::Said(self.link, message)).await?;
                }
                _ => return Err(End::Fault(Offence::Lied)),
            }
            if batch.is_full() || batch.len() + announced >= INTAKE_BATCH {
                break;
            }
            match reading.ready()? {
                Some(next) => message = next,
                None => break,
            }
        }
        Ok((batch, announced))
    }

    async fn say_gossip(&self, mut frames: mpsc::Receiver<Frame>, queued: Arc<AtomicUsize>) -> End {
        let Ok(stream) = self.connection.open_uni().await else { return End::Gone };
        let mut writing = Writing::new(stream);
        while let Some(frame) = frames.recv().await {
            let mut next = Some(frame);
            while let Some(frame) = next {
                queued.fetch_sub(frame.len(), Ordering::Relaxed);
                if let Err(error) = writing.put(&frame).await {
                    return error.into();
                }
                next = frames.try_recv().ok();
            }
            if let Err(error) = writing.flush().await {
                return error.into();
            }
        }
        End::Gone
    }

    /// Streams the peer opens: each asks for something and is answered beside the others. They end with the connection.
    async fn hear_requests(&self) -> End {
        let room = Arc::new(Semaphore::new(ANSWERS_PER_PEER));
        let turns = serve::Turns::new(Arc::clone(&self.dues));
        let mut answering = JoinSet::new();
        loop {
            let opened = async {
                let place = Arc::clone(&room).acquire_owned().await.ok()?;
                Some((place, self.connection.accept_bi().await.ok()?))
            };
            let opened = tokio::select! {
                opened = opened => opened,
                Some(answered) = answering.join_next() => match answered {
                    Ok(Err(offence)) => return End::Fault(offence),
                    // A panic has been reported by itself; the peer is not to blame for it.
                    Ok(Ok(())) | Err(_) => continue,
                },
            };
            let Some((place, (send, receive))) = opened else { return End::Gone };
            let request = serve::Request {
                link: self.link,
                writing: Writing::new(send),
                reading: Reading::new(receive, FRAME_MAX),
                answers: Arc::clone(&self.around.answers),
                facts: self.around.facts.clone(),
                turns: turns.clone(),
            };
            answering.spawn(async move {
                let _place = place;
                request.answer(READ_PATIENCE).await
            });
        }
    }
}

async fn say_control(mut writing: Writing, mut messages: mpsc::Receiver<Message>) -> End {
    while let Some(message) = messages.recv().await {
        if let Err(error) = writing.say(&message).await {
            return error.into();
        }
    }
    End::Gone
}
