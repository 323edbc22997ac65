//! Owner keys as text: PKCS#8 PEM, which `openssl genpkey -algorithm ed25519` makes, and LF's own envelope,
//! `LF OWNER PRIVATE KEY` with `Type:` and `Public:` headers, which LF's HTTP clients carry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use zeroize::{Zeroize, Zeroizing};

use super::{Owner, OwnerError};

const LF_LABEL: &str = "LF OWNER PRIVATE KEY";
/// LF's type byte of an Ed25519 owner, followed by seed and public key.
const LF_ED25519: u8 = 3;
const PEM_COLUMNS: usize = 64;

impl Owner {
    /// Reads either form.
    pub fn from_pem(text: &str) -> Result<Owner, OwnerError> {
        if let Some(body) = between(text, LF_LABEL) {
            return from_lf(body);
        }
        if !text.contains("-----BEGIN PRIVATE KEY-----") {
            return Err(other_algorithm(text));
        }
        let mut pair = KeypairBytes::from_pkcs8_pem(text.trim()).map_err(|_| {
            OwnerError::Damaged("it is no PKCS#8 Ed25519 key; other algorithms cannot own records")
        })?;
        let owner = Owner::from_seed(&pair.secret_key);
        pair.secret_key.zeroize();
        match pair.public_key {
            Some(public) if public.0 != owner.key().0 => {
                Err(OwnerError::Damaged("its public half belongs to another key"))
            }
            _ => Ok(owner),
        }
    }

    /// PKCS#8 version 1 PEM: byte for byte what OpenSSL writes for this key.
    pub fn to_pem(&self) -> Zeroizing<String> {
        // Without the public half: version 2 of PKCS#8, which older OpenSSL does not read, is not needed.
        let mut pair = KeypairBytes { secret_key: *self.seed(), public_key: None };
        let pem = pair.to_pkcs8_pem(LineEnding::LF).expect("a seed always encodes");
        pair.secret_key.zeroize();
        pem
    }

    /// LF's envelope.
    pub fn to_lf_pem(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![LF_ED25519]);
        bytes.extend_from_slice(self.seed());
        bytes.extend_from_slice(&self.key().0);
        let body = Zeroizing::new(STANDARD.encode(&*bytes));
        let mut out =
            Zeroizing::new(format!("-----BEGIN {LF_LABEL}-----\nPublic: {}\nType: ed25519\n\n", self.key()));
        for line in body.as_bytes().chunks(PEM_COLUMNS) {
            out.push_str(std::str::from_utf8(line).expect("base 64 is ASCII"));
            out.push('\n');
        }
        out.extend(["-----END ", LF_LABEL, "-----\n"]);
        out
    }
}

fn between<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    rest.split_once(&format!("-----END {label}-----")).map(|(body, _)| body)
}

fn from_lf(body: &str) -> Result<Owner, OwnerError> {
    let digits: Zeroizing<String> =
        Zeroizing::new(body.lines().filter(|line| !line.contains(':')).map(str::trim).collect());
    let bytes = Zeroizing::new(
        STANDARD.decode(digits.as_bytes()).map_err(|_| OwnerError::Damaged("it is not base 64"))?,
    );
    match bytes.split_first() {
        Some((&LF_ED25519, pair)) if pair.len() == 64 => {
            let owner = Owner::from_seed(pair[..32].try_into().expect("32 of 64 bytes"));
            if owner.key().0 == pair[32..] {
                Ok(owner)
            } else {
                Err(OwnerError::Damaged("its public half belongs to another key"))
            }
        }
        Some((1, _)) => Err(OwnerError::OtherAlgorithm("p224".into())),
        Some((2, _)) => Err(OwnerError::OtherAlgorithm("p384".into())),
        _ => Err(OwnerError::Damaged("it has the wrong length")),
    }
}

fn other_algorithm(text: &str) -> OwnerError {
    match text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")) {
        Some((label, _)) => OwnerError::OtherAlgorithm(label.to_owned()),
        None => OwnerError::NotAKey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl genpkey -algorithm ed25519` prints for the seed of RFC 8410 §10.3.
    const RFC8410: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn reads_and_writes_what_openssl_writes() {
        let owner = Owner::from_pem(RFC8410).unwrap();
        assert_eq!(&*owner.to_pem(), RFC8410);
    }

    #[test]
    fn an_lf_envelope_reads_back() {
        let owner = Owner::from_seed(&[5; 32]);
        let text = owner.to_lf_pem();
        assert!(text.contains(&format!("Public: {}", owner.key())), "{}", *text);
        assert_eq!(Owner::from_pem(&text).unwrap().key(), owner.key());
    }

    #[test]
    fn other_keys_are_refused_with_their_name() {
        let rsa = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert_eq!(Owner::from_pem(rsa).unwrap_err(), OwnerError::OtherAlgorithm("RSA PRIVATE KEY".into()));
        assert_eq!(Owner::from_pem("hello").unwrap_err(), OwnerError::NotAKey);
    }

    #[test]
    fn an_lf_envelope_with_another_public_half_is_refused() {
        let mut bytes = vec![LF_ED25519];
        bytes.extend_from_slice(&[5; 64]);
        let text =
            format!("-----BEGIN {LF_LABEL}-----\n{}\n-----END {LF_LABEL}-----", STANDARD.encode(&bytes));
        assert!(matches!(Owner::from_pem(&text), Err(OwnerError::Damaged(_))));
    }
}
