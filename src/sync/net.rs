//! The QUIC endpoint of a node. It presents the node's own Ed25519 key as a raw public key (RFC 7250) and
//! holds the port, so that the port is this node's and stands in `node.json`; replication is not part of this
//! version, so every connection is refused before a handshake costs anything. docs/ARCHITECTURE.md
//! "Replication".

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, VarInt};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;

/// The application protocol two nodes agree on.
const ALPN: &[u8] = b"lfdns/1";

/// The endpoint could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The node's key is not usable.
    #[error("the node's key is not usable: {0}")]
    Key(String),
    /// The port.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A bound endpoint.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address` for the node whose key is `pem` (PKCS#8). Must be called within a tokio runtime.
    pub fn bind(address: SocketAddr, pem: &str) -> Result<Listener, NetError> {
        let crypto = crypto(pem)?;
        let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        let endpoint = Endpoint::server(config, address)?;
        let address = endpoint.local_addr()?;
        Ok(Listener { endpoint, address })
    }

    /// The address in use.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses whoever calls, until [`Listener::close`].
    pub async fn run(&self) {
        while let Some(incoming) = self.endpoint.accept().await {
            tracing::debug!(peer = %incoming.remote_address(), "refused: this version has no peers");
            incoming.refuse();
        }
    }

    /// Ends [`Listener::run`].
    pub fn close(&self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

fn crypto(pem: &str) -> Result<QuicServerConfig, NetError> {
    let wrong = |error: &dyn std::fmt::Display| NetError::Key(error.to_string());
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| wrong(&e))?;
    let key = ring::sign::any_eddsa_type(&der).map_err(|e| wrong(&e))?;
    let public = key.public_key().ok_or_else(|| wrong(&"it has no public half"))?;
    let identity = CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key);
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| wrong(&e))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(identity))));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    QuicServerConfig::try_from(tls).map_err(|e| wrong(&e))
}
