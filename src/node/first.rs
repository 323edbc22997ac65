//! The first start: an empty home becomes a private network of its own, with an owner, the zones at hand and
//! the network's own suffix, all in its rules, so that every node that joins answers the same.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::home::JOINING;
use super::owners::{Owners, OwnersError, fresh};
use super::peers::{PEERS_JSON, is_joining};
use super::zones::{self, ZonesError};
use crate::dns::name::{DnsName, NameError};
use crate::record::{Authority, Millis, Record, Rules, RulesError, ZoneRule, found};

/// The owner a first start makes.
const OWNER: &str = "default";
/// Names the zone directory whose files are still to be published; removed when they are.
const PENDING: &str = "publish.pending";

/// A network that could not be founded.
#[derive(Debug, thiserror::Error)]
pub enum FirstError {
    /// The owners of this home.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// The zone files.
    #[error(transparent)]
    Zones(#[from] ZonesError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The network's suffix.
    #[error("suffix '{suffix}': {error}")]
    Suffix {
        /// As written.
        suffix: String,
        /// Why not.
        error: NameError,
    },
    /// A join that did not come to its end.
    #[error(
        "a join was cut off in {}: repeat it (lfdns network join URL|FILE), or give it up by removing {JOINING} and \
         {PEERS_JSON} there",
        .0.display()
    )]
    CutShort(PathBuf),
    /// The disk.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes a home, for its user alone, if there is none.
pub fn make_home(home: &Path) -> Result<(), FirstError> {
    let failed = |source| FirstError::Io { path: home.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(failed)
}

/// Refuses a home without a store in which a join was cut off: its peers are of another network than the one
/// that would be founded there.
pub fn check_unjoined(home: &Path) -> Result<(), FirstError> {
    if is_joining(home) { Err(FirstError::CutShort(home.to_owned())) } else { Ok(()) }
}

/// Rules of a new private network, with fresh randomness.
pub fn private_rules(name: &str) -> io::Result<Rules> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(Rules::private(&nonce, name))
}

/// Sees to it that a home has an owner that signs when none is named.
pub fn default_owner(home: &Path) -> Result<(), FirstError> {
    let owners = Owners::of(home);
    if owners.default_name()?.is_none() {
        let key = fresh().map_err(|source| FirstError::Io { path: home.to_owned(), source })?;
        owners.add(OWNER, &key)?;
    }
    Ok(())
}

/// Founds a network in `home`: owner `default` unless there is a default owner, the zones of `dir` and the
/// network's suffix in its rules. Returns its genesis records; what the zones name is noted as still to be
/// published.
pub fn found_network(
    home: &Path,
    mut rules: Rules,
    dir: Option<&Path>,
    now: Millis,
) -> Result<Vec<Record>, FirstError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FirstError::Io { path, source }
    };
    check_unjoined(home)?;
    make_home(home)?;
    let owners = Owners::of(home);
    default_owner(home)?;
    let owner = owners.signer(None)?;
    let canonical = DnsName::parse(&rules.suffix, Some(&DnsName::root()))
        .map_err(|error| FirstError::Suffix { suffix: rules.suffix.clone(), error })?;
    if let Some(dir) = dir {
        let local = zones::load(dir, &canonical, &owners)?;
        rules.zones.extend(local.into_iter().map(|zone| zone.rule));
        let dir = dir.canonicalize().map_err(failed(dir))?;
        let note = home.join(PENDING);
        fs::write(&note, dir.as_os_str().as_encoded_bytes()).map_err(failed(&note))?;
    }
    if rules.zones.iter().all(|zone| zone.suffix != rules.suffix) {
        rules.zones.push(ZoneRule::new(&rules.suffix, &[], Authority::Owners(vec![owner.key()])));
    }
    let (_, genesis) = found(&owner, &rules, now)?;
    Ok(genesis)
}

/// The zone directory whose files a first start has still to publish.
pub fn pending(home: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(home.join(PENDING)).ok()?;
    Some(PathBuf::from(text))
}

/// All is published.
pub fn published(home: &Path) -> io::Result<()> {
    fs::remove_file(home.join(PENDING))
}
