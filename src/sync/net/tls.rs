//! Keys and the handshake: each node presents its Ed25519 key as a raw public key (RFC 7250), and both prove that
//! they know the network by a MAC over the TLS exporter (RFC 8446 §7.5), one label for each direction. docs/SYNC.md
//! "Handshake".

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use subtle::ConstantTimeEq;

use super::NetError;
use crate::record::{NetworkId, hash};
use crate::sync::NodeKey;
use crate::sync::limits::{
    BIDI_STREAMS_MAX, CONNECTION_WINDOW, IDLE, INCOMING_BYTES_MAX, INCOMING_TOTAL_MAX, KEEP_ALIVE,
    PENDING_MAX, ROUND_TRIP_GUESS, STREAM_WINDOW, UNI_STREAMS_MAX,
};

/// The application protocol two nodes agree on.
const ALPN: &[u8] = b"lfdns/1";
/// What every node answers to: names mean nothing here, keys do.
pub(super) const SERVER_NAME: &str = "lfdns";
/// What precedes the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Who speaks in a proof.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speaker {
    /// Who dialled.
    Dialler,
    /// Who was called.
    Called,
}

/// A node's identity, ready for both ends of a connection.
pub(super) struct Identity {
    pub(super) key: NodeKey,
    pub(super) client: ClientConfig,
    pub(super) server: ServerConfig,
}

impl Identity {
    /// Of the node whose key is `pem` (PKCS#8).
    pub(super) fn new(pem: &str) -> Result<Identity, NetError> {
        let wrong = |error: &dyn std::fmt::Display| NetError::Key(error.to_string());
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| wrong(&e))?;
        let key = ring::sign::any_eddsa_type(&der).map_err(|e| wrong(&e))?;
        let public = key.public_key().ok_or_else(|| wrong(&"it has no public half"))?;
        let own = node_key(&public).ok_or_else(|| wrong(&"it is no Ed25519 key"))?;
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key));
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(RawKeys::new(&provider));
        let versions = &[&rustls::version::TLS13];

        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|e| wrong(&e))?
            .with_client_cert_verifier(Arc::clone(&verifier) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&certified))));
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // No resumption: a ticket would be one more thing that a stranger is given.
        tls.send_tls13_tickets = 0;
        let crypto = QuicServerConfig::try_from(tls).map_err(|e| wrong(&e))?;
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        let transport = Arc::new(transport());
        server
            .transport_config(Arc::clone(&transport))
            .max_incoming(PENDING_MAX)
            .incoming_buffer_size(INCOMING_BYTES_MAX)
            .incoming_buffer_size_total(INCOMING_TOTAL_MAX)
            .migration(true);

        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|e| wrong(&e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)));
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.resumption = rustls::client::Resumption::disabled();
        let crypto = QuicClientConfig::try_from(tls).map_err(|e| wrong(&e))?;
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(transport);
        Ok(Identity { key: own, client, server })
    }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDI_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("seconds fit")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(ROUND_TRIP_GUESS)
        .datagram_receive_buffer_size(None);
    transport
}

/// Who is at the other end.
pub(super) fn peer_key(connection: &Connection) -> Option<NodeKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    node_key(identity.first()?)
}

/// What shows that `speaker` knows the network, on this connection only.
pub(super) fn proof(connection: &Connection, network: &NetworkId, speaker: Speaker) -> Option<[u8; 32]> {
    let label: &[u8] = match speaker {
        Speaker::Dialler => b"EXPORTER-lfdns-1-dialler",
        Speaker::Called => b"EXPORTER-lfdns-1-called",
    };
    let mut exported = [0; 32];
    connection.export_keying_material(&mut exported, label, b"").ok()?;
    // SHA3 with the secret in front is a MAC (no length extension, FIPS 202).
    Some(hash("lfdns proof v1", network, &[&exported]))
}

/// Whether a proof is right, in constant time.
pub(super) fn is_proof(expected: &[u8; 32], shown: &[u8; 32]) -> bool {
    expected.ct_eq(shown).into()
}

fn node_key(spki: &[u8]) -> Option<NodeKey> {
    let key = spki.strip_prefix(&SPKI_HEAD)?;
    Some(NodeKey(key.try_into().ok()?))
}

/// Takes any Ed25519 key, if its holder signs with it: which key it may be is decided later, on the key.
#[derive(Debug)]
struct RawKeys {
    algorithms: WebPkiSupportedAlgorithms,
}

impl RawKeys {
    fn new(provider: &CryptoProvider) -> RawKeys {
        RawKeys { algorithms: provider.signature_verification_algorithms }
    }

    fn check(presented: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        node_key(presented).map(drop).ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))
    }

    fn verify(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = SubjectPublicKeyInfoDer::from(presented.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signed, &self.algorithms)
    }
}

const NO_TLS12: rustls::Error = rustls::Error::General(String::new());

impl ServerCertVerifier for RawKeys {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        RawKeys::check(presented).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, presented, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        RawKeys::check(presented).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, presented, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
