//! Peers for tests of replication: honest ones (a store with the real service on loopback), and one that speaks the
//! protocol by its own hand, as docs/SYNC.md describes it, and so may break it as it likes.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lfdns::record::{
    Compression, Draft, Link, Masking, Millis, Name, NetworkId, Owner, Record, RecordId, Rules, found, hash,
};
use lfdns::store::{Clock, Config, Source, Store};
use lfdns::sync::face::{Peers, Progress};
use lfdns::sync::net::{Duties, Service, Setup};
use lfdns::sync::table::Saved;
use lfdns::sync::wire::{HEAD, Hello, Message, Root, TURN_FRAME_MAX, head};
use lfdns::sync::{NodeKey, PeerAddress};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Nothing here takes longer.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How often something awaited is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Where the version stands in the frame of a Hello.
pub const VERSION_AT: usize = HEAD;

/// A network to test in.
pub struct Network {
    pub id: NetworkId,
    pub genesis: Vec<Record>,
    pub owner: Owner,
}

impl Network {
    pub fn new(seed: u8) -> Network {
        let owner = Owner::from_seed(&[seed; 32]);
        let time = Millis(now().0 - 60_000);
        let (id, genesis) = found(&owner, &Rules::private(&[seed; 32], "test"), time).unwrap();
        Network { id, genesis, owner }
    }

    pub fn links(&self) -> Vec<Link> {
        self.genesis.iter().map(|r| Link { id: r.id(&self.id), time: r.header.time }).collect()
    }

    /// A record named by a number, made at a time, linked to the genesis records or to others.
    pub fn record(&self, n: u64, at: Millis, links: &[Link]) -> Record {
        let selectors = [(Name::derive(&self.id, format!("n{n}").as_bytes()), 0)];
        mint(&self.id, &self.owner, &selectors, at, links, &format!("value {n}"))
    }
}

pub fn mint(
    network: &NetworkId,
    owner: &Owner,
    selectors: &[(Name, u64)],
    at: Millis,
    links: &[Link],
    value: &str,
) -> Record {
    let draft = Draft {
        selectors,
        value: value.as_bytes(),
        masking: Masking::Default,
        compression: Compression::Off,
        links,
        pulse_key: None,
        now: at,
        after: None,
    };
    draft.mint(network, &Rules::private(&[7; 32], "test"), owner).unwrap()
}

pub fn now() -> Millis {
    lfdns::node::now()
}

pub fn clock() -> Clock {
    lfdns::node::clock()
}

/// A key of a node, from a number.
pub fn node_pem(n: u8) -> zeroize::Zeroizing<String> {
    Owner::from_seed(&[n; 32]).to_pem()
}

/// An honest node: a real store, the real service.
pub struct Honest {
    pub store: Store,
    pub service: Service,
    _home: tempfile::TempDir,
}

impl Honest {
    pub fn start(network: &Network, key: u8, peers: &[&Honest]) -> Honest {
        let (store, home) = Honest::empty(network);
        Honest::on(store, home, key, peers.iter().map(|peer| peer.address()).collect())
    }

    /// A store that has the genesis records, and its home.
    pub fn empty(network: &Network) -> (Store, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let config = Config { min_free: 0, ..Config::default() };
        (Store::create(home.path(), &network.genesis, &config, clock()).unwrap(), home)
    }

    pub fn on(store: Store, home: tempfile::TempDir, key: u8, peers: Vec<PeerAddress>) -> Honest {
        Honest::joining(store, home, key, peers, true)
    }

    /// One that may never have been in agreement with its network.
    pub fn joining(
        store: Store,
        home: tempfile::TempDir,
        key: u8,
        peers: Vec<PeerAddress>,
        synchronised: bool,
    ) -> Honest {
        let setup = Setup {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            key: node_pem(key),
            store: store.clone(),
            clock: clock(),
            peers,
            saved: Saved::default(),
            synchronised,
            duties: Duties { synchronised: Box::new(|| ()), save: Box::new(|_| Ok(())) },
        };
        let service = Service::start(setup).unwrap();
        Honest { store, service, _home: home }
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress::of(self.service.address(), Some(self.service.key()))
    }

    pub fn progress(&self) -> Progress {
        self.service.progress()
    }

    /// Writes a record here, as a program would.
    pub fn write(&self, network: &Network, n: u64) -> RecordId {
        let links = self.store.links_for(1, now()).unwrap().remove(0);
        let newest = links.iter().map(|link| link.time).max().unwrap();
        let record = network.record(n, now().max(newest.plus(1)), &links);
        self.store.ingest(vec![record], Source::Api).remove(0).stored().unwrap()
    }

    pub fn holds(&self, id: &RecordId) -> bool {
        self.store.snapshot().unwrap().holds(id).unwrap()
    }

    /// Who is connected.
    pub fn connected(&self) -> Vec<NodeKey> {
        let peers = self.service.peers().unwrap().into_iter();
        peers.filter(|peer| peer.traffic.is_some()).filter_map(|peer| peer.key).collect()
    }
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    let mut looks = tokio::time::interval(LOOK);
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        looks.tick().await;
    }
}

#[derive(Debug)]
struct AnyKey;

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("QUIC is TLS 1.3")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let spki = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// An endpoint that calls with a key of its own.
pub fn caller(key: u8) -> Endpoint {
    caller_from([127, 0, 0, 1], key)
}

/// One that calls from this address.
pub fn caller_from(ip: [u8; 4], key: u8) -> Endpoint {
    caller_with(ip, key, quinn::TransportConfig::default())
}

/// One that lets next to nothing be on its way, so that whatever it does not read is not sent.
pub fn narrow_caller(key: u8) -> Endpoint {
    let mut transport = quinn::TransportConfig::default();
    transport.stream_receive_window(1_024_u32.into());
    caller_with([127, 0, 0, 1], key, transport)
}

fn caller_with(ip: [u8; 4], key: u8, transport: quinn::TransportConfig) -> Endpoint {
    let der = PrivatePkcs8KeyDer::from_pem_slice(node_pem(key).as_bytes()).unwrap();
    let key = ring::sign::any_eddsa_type(&der).unwrap();
    let public = key.public_key().unwrap();
    let certified = CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key);
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(certified))));
    tls.alpn_protocols = vec![b"lfdns/1".to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(transport));
    let mut endpoint = Endpoint::client(SocketAddr::from((ip, 0))).unwrap();
    endpoint.set_default_client_config(config);
    endpoint
}

/// Somebody who knows the network, was let in, and now does as it pleases.
pub struct Evil {
    pub endpoint: Endpoint,
    pub connection: Connection,
    pub control: (SendStream, RecvStream),
}

/// What proves that the dialler knows the network; docs/SYNC.md "Handshake".
pub fn proof(connection: &Connection, network: &NetworkId) -> [u8; 32] {
    let mut exported = [0; 32];
    connection.export_keying_material(&mut exported, b"EXPORTER-lfdns-1-dialler", b"").unwrap();
    hash("lfdns proof v1", network, &[&exported])
}

impl Evil {
    pub async fn enter(target: &Honest, network: &NetworkId, key: u8) -> Evil {
        Evil::enter_by(caller(key), target, network, key).await
    }

    pub async fn enter_by(endpoint: Endpoint, target: &Honest, network: &NetworkId, key: u8) -> Evil {
        let mut evil = Evil::prove(endpoint, target, network).await;
        let hello = Hello { instance: u64::from(key), clock: now(), port: 0, synchronised: true };
        say(&mut evil.control.0, &Message::Hello(hello)).await;
        evil
    }

    /// Both sides have proved themselves; the node awaits a Hello.
    pub async fn prove(endpoint: Endpoint, target: &Honest, network: &NetworkId) -> Evil {
        let connection = endpoint.connect(target.service.address(), "lfdns").unwrap().await.unwrap();
        let mut control = connection.open_bi().await.unwrap();
        say(&mut control.0, &Message::Proof(proof(&connection, network))).await;
        assert!(matches!(hear(&mut control.1).await, Some(Message::Proof(_))));
        assert!(matches!(hear(&mut control.1).await, Some(Message::Hello(_))));
        Evil { endpoint, connection, control }
    }

    /// Says that it has so many records, when next asked: many more than the node, which then asks for all of them.
    pub async fn claim(&mut self, count: u64) {
        let asked = loop {
            if let Message::Root(root) = hear(&mut self.control.1).await.unwrap() {
                break root;
            }
        };
        say(&mut self.control.0, &Message::RootIs(Root { count, fingerprint: [1; 16], ..asked })).await;
    }

    /// The next question of the node that asks for records, and where to answer it.
    pub async fn asked(&self) -> (SendStream, RecvStream, Message) {
        loop {
            let (send, mut receive) = self.connection.accept_bi().await.unwrap();
            let question = hear(&mut receive).await.unwrap();
            if matches!(question, Message::Want(_) | Message::Since(_)) {
                return (send, receive, question);
            }
        }
    }

    /// Waits until the node has thrown this peer out.
    pub async fn thrown_out(&self) -> Duration {
        let begun = Instant::now();
        let reason = tokio::time::timeout(PATIENCE, self.connection.closed()).await;
        assert!(reason.is_ok(), "the node keeps this peer");
        begun.elapsed()
    }

    pub async fn gossip(&self) -> SendStream {
        self.connection.open_uni().await.unwrap()
    }
}

pub fn frame(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// The frame of a record.
pub fn record_frame(record: &Record) -> Vec<u8> {
    frame(&Message::Record { whole: record.value.is_some(), bytes: record.encode() })
}

/// Says something; whether anybody still listens is not of interest.
pub async fn say(stream: &mut SendStream, message: &Message) {
    let _ = stream.write_all(&frame(message)).await;
}

/// The next message, or `None` when there are no more.
pub async fn hear(stream: &mut RecvStream) -> Option<Message> {
    let mut start = [0; HEAD];
    stream.read_exact(&mut start).await.ok()?;
    let (kind, len) = head(start, TURN_FRAME_MAX).unwrap();
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.ok()?;
    Some(Message::decode(kind, &body).unwrap())
}

/// How long a record may take from one honest node to the other while somebody misbehaves.
pub const SERVED: Duration = Duration::from_secs(10);

/// Two honest nodes of one network.
pub struct Beside {
    pub network: Network,
    pub target: Honest,
    pub other: Honest,
}

impl Beside {
    pub async fn new() -> Beside {
        let network = Network::new(1);
        let target = Honest::start(&network, 10, &[]);
        let other = Honest::start(&network, 11, &[&target]);
        until("the honest nodes are connected", || target.connected().contains(&other.service.key())).await;
        Beside { network, target, other }
    }

    /// A record written on one is soon on the other.
    pub async fn is_served(&self, n: u64) {
        let begun = Instant::now();
        let id = self.other.write(&self.network, 1_000_000 + n);
        until("the honest peer's record arrives", || self.target.holds(&id)).await;
        assert!(begun.elapsed() < SERVED, "it took {:?}", begun.elapsed());
    }

    pub async fn evil(&self) -> Evil {
        Evil::enter(&self.target, &self.network.id, 66).await
    }

    pub fn keeps(&self, evil: u8) -> bool {
        let key = Owner::from_seed(&[evil; 32]).key().0;
        self.target.connected().iter().any(|connected| connected.0 == key)
    }
}
