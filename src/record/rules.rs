//! Network rules: what the genesis records' values say. Canonical JSON (RFC 8785, integers only; unknown and
//! duplicate keys are refused), so that one set of rules has one spelling.
//!
//! Some are fixed for ever, since the verdict on existing records hangs on them; the rest the genesis owner
//! amends with a further genesis record. docs/FORMAT.md "Network rules".

use serde::{Deserialize, Serialize};

use super::codec::{Header, Kind, Record, Work};
use super::hash::hash;
use super::ids::{hex32, unhex32};
use super::{
    LINKS_MAX, Millis, NAME_MAX, NetworkId, Owner, OwnerKey, RECORD_MAX, RecordId, SELECTORS_MAX,
    SIGNATURE_LEN,
};

/// Bytes of a value within which a whole record surely stays under [`RECORD_MAX`]; larger limits are
/// allowed, the record's own limit then binds.
const VALUE_MAX: u32 = RECORD_MAX as u32;
/// A network whose clocks may differ by more is none.
const DRIFT_MAX_MS: u64 = 24 * 3600 * 1000;
/// Most entries of one list of the rules; they must fit one record in any case.
const LIST_MAX: usize = 1024;
/// Most selectors a zone stands for: one is left for the names in it.
const AT_MAX: usize = SELECTORS_MAX - 1;

/// The rules of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Version of this document: 1. Fixed.
    pub version: u32,
    /// 32 random bytes in hexadecimal, so that equal rules make different networks. Fixed.
    pub nonce: String,
    /// Size limits. Fixed.
    pub limits: Limits,
    /// Fewest links of a record that is not a genesis record. Fixed.
    pub links_min: u8,
    /// How far ahead of a node's clock a record may be, milliseconds. Fixed.
    pub drift_ms: u64,
    /// Proof of work. Fixed.
    pub work: WorkRule,
    /// Bytes of a record that one unit of score pays for. Fixed.
    pub bytes_per_score: u32,
    /// Whether records must lean on a certificate. Fixed.
    pub auth_required: bool,
    /// What people call it.
    pub name: String,
    /// Whom to ask.
    pub contact: String,
    /// Anything else.
    pub comment: String,
    /// `HOST:PORT[#KEY]` of nodes to begin with.
    pub seed_peers: Vec<String>,
    /// The canonical suffix: what names inside record data end in.
    pub suffix: String,
    /// Who may speak where.
    pub zones: Vec<ZoneRule>,
    /// Labels nobody may claim.
    pub reserved: Vec<String>,
    /// Certificate authorities, PEM.
    pub cas: Vec<String>,
    /// Serial numbers of authorities that are no longer believed.
    pub revoked_cas: Vec<String>,
}

/// Size limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most bytes of a value, masked, and of what it may inflate to.
    pub value_max: u32,
}

/// Proof of work of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkRule {
    /// `none`.
    pub algorithm: String,
}

/// A zone: a suffix, the path it stands for, and who may speak there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneRule {
    /// The DNS suffix, absolute.
    pub suffix: String,
    /// The path it stands for, outermost first.
    pub at: Vec<String>,
    /// Who may speak there.
    pub authority: Authority,
    /// Lifetime of a holder's claim in days.
    pub lifetime_days: u32,
    /// `shared` or `local`.
    pub trust: String,
    /// Default TTL in seconds, of SOA, NS and raw values too.
    pub ttl: u32,
}

/// Who may speak in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The owner whose key is the first label.
    Key,
    /// These owners; where several have something at one path, the earlier in the list is served.
    Owners(Vec<OwnerKey>),
}

impl Serialize for Authority {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Authority::Key => serializer.serialize_str("key"),
            Authority::Owners(owners) => serializer.collect_seq(owners.iter().map(ToString::to_string)),
        }
    }
}

impl<'de> Deserialize<'de> for Authority {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "authority is \"key\" or a list of owners")]
        enum Form {
            Word(String),
            List(Vec<String>),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "key" => Ok(Authority::Key),
            Form::Word(word) => Err(D::Error::custom(format!(
                "authority \"{word}\" is not known to this version: expected \"key\" or a list of owners"
            ))),
            Form::List(list) => list
                .iter()
                .map(|text| text.parse().map_err(D::Error::custom))
                .collect::<Result<_, _>>()
                .map(Authority::Owners),
        }
    }
}

/// Rules that no network can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Not the expected JSON.
    #[error("the network rules are not understood: {0}")]
    Json(String),
    /// JSON, but not in its one canonical spelling.
    #[error("the network rules are not in canonical form (RFC 8785)")]
    NotCanonical,
    /// A field out of its range.
    #[error("network rules: {field}: {wrong}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        wrong: String,
    },
    /// An amendment changes what is fixed.
    #[error("network rules: {0} is fixed for ever and cannot be amended")]
    Fixed(&'static str),
    /// The rules do not fit a record.
    #[error("the network rules take {0} bytes; a record has at most {RECORD_MAX}")]
    TooLong(usize),
}

impl Rules {
    /// Reads canonical JSON and checks every field's range.
    pub fn parse(bytes: &[u8]) -> Result<Rules, RulesError> {
        let rules: Rules = serde_json::from_slice(bytes).map_err(|e| RulesError::Json(e.to_string()))?;
        if rules.to_canonical() != bytes {
            return Err(RulesError::NotCanonical);
        }
        rules.check()?;
        Ok(rules)
    }

    /// The one spelling of these rules: RFC 8785. Keys are ASCII and values integers, strings, booleans and
    /// lists, for which serde_json's sorted maps and minimal escapes are exactly that.
    pub fn to_canonical(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("rules have string keys");
        serde_json::to_vec(&value).expect("a JSON value serializes")
    }

    /// Checks every field's range.
    pub fn check(&self) -> Result<(), RulesError> {
        let wrong = |field, wrong: String| Err(RulesError::Field { field, wrong });
        if self.version != 1 {
            return wrong("version", format!("{} is not known to this program: update it", self.version));
        }
        if unhex32(&self.nonce).is_none() || self.nonce.bytes().any(|b| b.is_ascii_uppercase()) {
            return wrong("nonce", "expected 64 lower-case hexadecimal digits".into());
        }
        if self.limits.value_max == 0 || self.limits.value_max > VALUE_MAX {
            return wrong("limits.value_max", format!("expected 1 to {VALUE_MAX}"));
        }
        if self.links_min == 0 || usize::from(self.links_min) > LINKS_MAX {
            return wrong("links_min", format!("expected 1 to {LINKS_MAX}"));
        }
        if self.drift_ms > DRIFT_MAX_MS {
            return wrong("drift_ms", format!("expected at most {DRIFT_MAX_MS}"));
        }
        if self.work.algorithm != "none" {
            return wrong(
                "work.algorithm",
                format!("'{}' is not known to this version", self.work.algorithm),
            );
        }
        if self.bytes_per_score == 0 {
            return wrong("bytes_per_score", "expected at least 1".into());
        }
        if self.auth_required {
            return wrong("auth_required", "certificates are not known to this version".into());
        }
        let lists = [&self.seed_peers, &self.reserved, &self.cas, &self.revoked_cas].map(Vec::len);
        if lists.into_iter().chain([self.zones.len()]).any(|len| len > LIST_MAX) {
            return wrong("lists", format!("expected at most {LIST_MAX} entries"));
        }
        if !is_suffix(&self.suffix) {
            return wrong(
                "suffix",
                format!("'{}' must be a lower-case name that ends in a dot", self.suffix),
            );
        }
        self.zones.iter().try_for_each(ZoneRule::check)
    }

    /// Whether `next` may follow these rules: nothing that is fixed differs.
    pub fn check_amendment(&self, next: &Rules) -> Result<(), RulesError> {
        let same = [
            ("version", self.version == next.version),
            ("nonce", self.nonce == next.nonce),
            ("limits", self.limits == next.limits),
            ("links_min", self.links_min == next.links_min),
            ("drift_ms", self.drift_ms == next.drift_ms),
            ("work", self.work == next.work),
            ("bytes_per_score", self.bytes_per_score == next.bytes_per_score),
            ("auth_required", self.auth_required == next.auth_required),
        ];
        match same.into_iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(RulesError::Fixed(field)),
            None => next.check(),
        }
    }

    /// Rules of a private network without work and with the format's largest values.
    pub fn private(nonce: &[u8; 32], name: &str) -> Rules {
        Rules {
            version: 1,
            nonce: hex32(nonce),
            limits: Limits { value_max: VALUE_MAX },
            links_min: 2,
            drift_ms: 60_000,
            work: WorkRule { algorithm: "none".into() },
            bytes_per_score: 64,
            auth_required: false,
            name: name.into(),
            contact: String::new(),
            comment: String::new(),
            seed_peers: vec![],
            suffix: "lf.".into(),
            zones: vec![],
            reserved: ["zt", "ns", "wpad", "isatap", "localhost", "local", "internal"]
                .map(String::from)
                .to_vec(),
            cas: vec![],
            revoked_cas: vec![],
        }
    }
}

impl ZoneRule {
    /// A zone with the usual lifetime, trust and TTL.
    pub fn new(suffix: &str, at: &[&str], authority: Authority) -> ZoneRule {
        ZoneRule {
            suffix: suffix.into(),
            at: at.iter().map(ToString::to_string).collect(),
            authority,
            lifetime_days: 400,
            trust: "shared".into(),
            ttl: 300,
        }
    }

    /// Checks every field's range.
    pub fn check(&self) -> Result<(), RulesError> {
        let wrong = |wrong: String| Err(RulesError::Field { field: "zones", wrong });
        if !is_suffix(&self.suffix) {
            return wrong(format!("suffix '{}' must be a lower-case name that ends in a dot", self.suffix));
        }
        if self.at.len() > AT_MAX || self.at.iter().any(|name| name.len() > NAME_MAX) {
            return wrong(format!(
                "{}: it stands for at most {AT_MAX} selectors of at most {NAME_MAX} bytes",
                self.suffix
            ));
        }
        if self.trust != "shared" && self.trust != "local" {
            return wrong(format!(
                "{}: trust is \"shared\" or \"local\", not \"{}\"",
                self.suffix, self.trust
            ));
        }
        match &self.authority {
            Authority::Owners(list) if list.is_empty() => {
                wrong(format!("{}: an empty list of owners lets nobody speak", self.suffix))
            }
            Authority::Owners(list) if list.len() > LIST_MAX => {
                wrong(format!("{}: expected at most {LIST_MAX} owners", self.suffix))
            }
            _ => Ok(()),
        }
    }
}

/// Lower case, absolute, and not the root. Whether it is a domain name is for those who serve it.
fn is_suffix(text: &str) -> bool {
    text.len() > 1 && text.ends_with('.') && !text.bytes().any(|b| b.is_ascii_uppercase())
}

/// The network a first genesis record founds: H("lfdns network v1", that record with its value), its own
/// signature and value hash made under a network id of 32 zero bytes.
pub fn network_of(first: &Record) -> NetworkId {
    NetworkId(hash("lfdns network v1", &NetworkId([0; 32]), &[&first.encode()]))
}

impl Rules {
    /// The genesis record that carries these rules, later than and linked to `links`.
    pub fn genesis(
        &self,
        network: &NetworkId,
        owner: &Owner,
        time: Millis,
        links: Vec<RecordId>,
    ) -> Result<Record, RulesError> {
        let header = Header {
            kind: Kind::Genesis,
            time,
            owner: owner.key(),
            links,
            pulse_key: None,
            value_len: 0,
            value_hash: None,
        };
        let mut record = Record {
            header,
            selectors: vec![],
            work: Work::None,
            signature: [0; SIGNATURE_LEN],
            value: Some(vec![]),
        };
        let value = self.to_canonical();
        let len = value.len();
        if len > RECORD_MAX {
            return Err(RulesError::TooLong(len));
        }
        record.set_value(network, value);
        record.seal(network, owner).map_err(|_| RulesError::TooLong(len))
    }
}

/// Founds a network: as many genesis records as a record needs links, each linking to the one before.
pub fn found(owner: &Owner, rules: &Rules, now: Millis) -> Result<(NetworkId, Vec<Record>), RulesError> {
    rules.check()?;
    let first = rules.genesis(&NetworkId([0; 32]), owner, now, vec![])?;
    let network = network_of(&first);
    let mut last = first.id(&network);
    let mut records = vec![first];
    for step in 1..u64::from(rules.links_min) {
        let record = rules.genesis(&network, owner, now.plus(step), vec![last])?;
        last = record.id(&network);
        records.push(record);
    }
    Ok((network, records))
}
