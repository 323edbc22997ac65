//! The limits of a connection, each with its name. What a stranger can cost is bounded before it proves itself,
//! what a peer can cost afterwards. Those of decisions stand beside the decisions ([`super::engine`],
//! [`super::table`], [`super::reconcile`]). docs/SYNC.md "Limits".

use std::time::Duration;

/// Handshakes under way at a time, and callers not yet looked at.
pub const PENDING_MAX: usize = 64;
/// Handshakes under way above which a caller first shows that its address is its own (RFC 9000 §8.1.2).
pub const PENDING_FREE: usize = 8;
/// Handshakes under way of one IP address (IPv6: /64) at a time.
pub const PENDING_PER_ADDRESS: usize = 16;
/// Connections and handshakes of one IP address (IPv6: /64) at a time.
pub const PER_ADDRESS_MAX: usize = 32;
/// How long an address that did wrong is not answered at all.
pub const UNANSWERED: Duration = Duration::from_mins(1);
/// Addresses not answered at a time at most.
pub const SILENCE_MAX: usize = 1_024;
/// Bytes kept of one caller not yet looked at, and of all of them.
pub const INCOMING_BYTES_MAX: u64 = 16 << 10;
/// See [`INCOMING_BYTES_MAX`].
pub const INCOMING_TOTAL_MAX: u64 = 1 << 20;
/// How long a handshake may take, proofs included.
pub const HANDSHAKE: Duration = Duration::from_secs(4);
/// How long a name may take to be resolved.
pub const RESOLVE: Duration = Duration::from_secs(4);
/// Addresses of one name that are tried.
pub const ADDRESSES_TRIED: usize = 4;
/// A connection on which nothing is heard for so long has ended.
pub const IDLE: Duration = Duration::from_secs(8);
/// How often a quiet connection is shown to be alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// What a round trip is taken for before one was measured.
pub const ROUND_TRIP_GUESS: Duration = Duration::from_millis(100);

/// Bytes of one stream on their way, read or not.
pub const STREAM_WINDOW: u32 = 512 << 10;
/// Bytes of one connection on their way, read or not.
pub const CONNECTION_WINDOW: u32 = 1 << 20;
/// Streams a peer may have open in both directions.
pub const BIDI_STREAMS_MAX: u32 = 8;
/// Streams a peer may have open towards us: its gossip.
pub const UNI_STREAMS_MAX: u32 = 1;
/// Bytes written at a time.
pub const WRITE_BYTES: usize = 64 << 10;

/// Messages waiting for a control stream.
pub const CONTROL_QUEUE: usize = 64;
/// Control messages heard in [`CONTROL_WINDOW`] at most.
pub const CONTROL_RATE: u32 = 200;
/// See [`CONTROL_RATE`].
pub const CONTROL_WINDOW: Duration = Duration::from_secs(10);
/// Addresses are heard from a peer once in so long, ms.
pub const PEERS_HEARD_MS: u64 = 5_000;
/// Peers of whom it is remembered, by key, how much of this they took, connected or not.
pub const DUES_MAX: usize = 1_024;
/// Frames waiting for a gossip stream.
pub const GOSSIP_QUEUE: usize = 4_096;
/// Bytes of them.
pub const GOSSIP_QUEUE_BYTES: usize = 1 << 20;
/// A peer that does not take a write for so long is disconnected.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// A stream on which nothing arrives for so long is given up.
pub const READ_PATIENCE: Duration = Duration::from_secs(15);

/// Records of one peer between the wire and the engine, which has then heard the verdict.
pub const INTAKE_RECORDS: usize = 4_096;
/// Records of a stream from a cursor, likewise: many in one transaction cost the least.
pub const STREAM_RECORDS: usize = 57_344;
/// KiB of one peer's records, likewise; what each takes beside the bytes it came in counts.
pub const INTAKE_KIB: usize = 8 << 10;
/// KiB of a stream's.
pub const STREAM_KIB: usize = 32 << 10;
/// Records handed to the store at a time.
pub const INTAKE_BATCH: usize = 512;
/// Bytes of them, unless a single one has more.
pub const INTAKE_BATCH_BYTES: usize = 1 << 20;
/// Pushed records and announced ids a second that are read from one peer; a faster one waits.
pub const PUSHED_A_SECOND: f64 = 16_000.0;
/// Pushed bytes a second that are read from one peer.
pub const PUSHED_BYTES_A_SECOND: f64 = 16e6;
/// Comparisons, fetches and streams that are answered at a time, for one peer.
pub const ANSWERS_PER_PEER: usize = 4;
/// Turns of comparisons and pieces of fetches that are read from the store at a time, for all peers. Nobody holds such a place
/// while a peer is waited for.
pub const ANSWERS_MAX: usize = 16;
/// Turns of comparisons that this node leads, made at a time.
pub const LEADS_MAX: usize = 4;
/// Pieces of streams from a cursor, likewise.
pub const STREAMS_MAX: usize = 8;
/// How long answering a fetch or a comparison, or leading one, may take in all.
pub const ANSWER: Duration = Duration::from_mins(1);
/// Bytes a second a stream moves at least, after its first [`STREAM_GRACE`]; one that does not makes room for others.
pub const STREAM_RATE_MIN: u64 = 16 << 10;
/// See [`STREAM_RATE_MIN`].
pub const STREAM_GRACE: Duration = Duration::from_secs(20);
/// How long making one turn of a comparison may take; what is left is put off to the next.
pub const TURN_TIME: Duration = Duration::from_secs(1);
/// Comparisons answered in [`COMPARE_WINDOW`] for one peer; more wait for the next.
pub const COMPARE_RATE: u32 = 120;
/// How long turns with one peer may take in [`COMPARE_WINDOW`], whoever leads, waiting not counted; more wait for the next.
pub const COMPARE_TIME: Duration = Duration::from_secs(15);
/// See [`COMPARE_RATE`].
pub const COMPARE_WINDOW: Duration = Duration::from_mins(1);

/// Facts from connections waiting for the engine.
pub const FACTS_QUEUE: usize = 512;
/// Committed records the engine has not heard of yet; more go unheard, and a comparison repairs it.
pub const COMMITS_QUEUE: usize = 131_072;
