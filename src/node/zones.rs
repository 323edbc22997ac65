//! The zone files of a node: `DIR/NAME.toml`, read in the order of their names, and what they name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::owners::{Owners, OwnersError};
use crate::dns::name::DnsName;
use crate::dns::zone::{ZoneError, ZoneFile};
use crate::record::{Rules, ZoneRule};

/// Longer files are not read.
const FILE_MAX: u64 = 1 << 20;

/// A zone file and what it says.
#[derive(Clone, Debug)]
pub struct LocalZone {
    /// Where it was read from; the files it names are relative to its directory.
    pub path: PathBuf,
    /// The file.
    pub file: ZoneFile,
    /// The rule it states, owners resolved.
    pub rule: ZoneRule,
}

/// A zone file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ZonesError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no zone.
    #[error("{}: {source}", .path.display())]
    Zone {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: ZoneError,
    },
    /// Two files for one suffix.
    #[error("{} and {} are both for {suffix}", .first.display(), .second.display())]
    Twice {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The suffix.
        suffix: String,
    },
    /// The owners of this home.
    #[error(transparent)]
    Owners(#[from] OwnersError),
}

/// The directory of zone files: the one asked for, else `HOME/zones`, else `./zones`, whichever exists.
pub fn directory(asked: &Path, home: &Path) -> Option<PathBuf> {
    if !asked.as_os_str().is_empty() {
        return Some(asked.to_owned());
    }
    [home.join("zones"), PathBuf::from("zones")].into_iter().find(|dir| dir.is_dir())
}

/// Whether nobody asked for this directory: it is merely `zones` beside the node.
pub fn is_implied(asked: &Path, dir: &Path) -> bool {
    asked.as_os_str().is_empty() && dir == Path::new("zones")
}

/// The network's own suffix.
pub fn canonical(rules: &Rules) -> DnsName {
    DnsName::parse(&rules.suffix, Some(&DnsName::root())).unwrap_or_else(|_| DnsName::root())
}

/// Reads every `*.toml` of a directory.
pub fn load(dir: &Path, canonical: &DnsName, owners: &Owners) -> Result<Vec<LocalZone>, ZonesError> {
    load_with(dir, canonical, owners, Strangers::Refused)
}

/// The same, but zones of owners this home does not know are left out, with a warning: a directory nobody asked
/// for keeps no node from starting.
pub fn load_known(dir: &Path, canonical: &DnsName, owners: &Owners) -> Result<Vec<LocalZone>, ZonesError> {
    load_with(dir, canonical, owners, Strangers::LeftOut)
}

/// What becomes of a zone that names an owner nobody knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strangers {
    Refused,
    LeftOut,
}

fn load_with(
    dir: &Path,
    canonical: &DnsName,
    owners: &Owners,
    strangers: Strangers,
) -> Result<Vec<LocalZone>, ZonesError> {
    let failed = |source| ZonesError::Io { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        paths.extend(path.extension().is_some_and(|e| e == "toml").then_some(path));
    }
    paths.sort();
    let known = owners.list()?;
    let owner = |name: &str| known.iter().find(|(local, _)| local == name).map(|(_, key)| *key);
    let mut zones: Vec<LocalZone> = Vec::new();
    for path in paths {
        let text = read(&path)?;
        let wrong = |source| ZonesError::Zone { path: path.clone(), source };
        let file = ZoneFile::parse(&text).map_err(wrong)?;
        let rule = match file.to_rule(canonical, owner) {
            Err(unknown @ ZoneError::UnknownOwner(_)) if strangers == Strangers::LeftOut => {
                tracing::warn!("{} is left out: {unknown}", path.display());
                continue;
            }
            other => other.map_err(wrong)?,
        };
        if let Some(other) = zones.iter().find(|other| other.rule.suffix == rule.suffix) {
            return Err(ZonesError::Twice { first: other.path.clone(), second: path, suffix: rule.suffix });
        }
        zones.push(LocalZone { path, file, rule });
    }
    Ok(zones)
}

impl LocalZone {
    /// The path of a file the zone names.
    pub fn beside(&self, file: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }
}

fn read(path: &Path) -> Result<String, ZonesError> {
    let failed = |source| ZonesError::Io { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > FILE_MAX {
        return Err(failed(io::Error::other(format!("longer than {FILE_MAX} bytes"))));
    }
    fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Authority, Owner};

    #[test]
    fn zone_files_name_local_owners_and_a_second_file_for_a_suffix_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let owners = Owners::of(home.path());
        let owner = Owner::from_seed(&[1; 32]);
        owners.add("me", &owner).unwrap();
        let dir = home.path().join("zones");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("a.toml"), "suffix = \"a.lf.\"\nauthority = [\"me\"]\n").unwrap();
        fs::write(dir.join("readme.txt"), "not a zone").unwrap();
        let lf = DnsName::parse("lf.", None).unwrap();
        let zones = load(&dir, &lf, &owners).unwrap();
        assert_eq!(zones.len(), 1);
        assert_eq!(zones[0].rule.authority, Authority::Owners(vec![owner.key()]));
        fs::write(dir.join("b.toml"), "suffix = \"A.lf\"\nauthority = \"key\"\n").unwrap();
        let error = load(&dir, &lf, &owners).unwrap_err().to_string();
        assert!(error.contains("a.toml") && error.contains("b.toml"), "{error}");
    }

    #[test]
    fn a_wrong_zone_file_is_named_with_its_line() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("x.toml"), "suffix = \"a.lf.\"\nauthority = \"key\"\ntll = 3\n").unwrap();
        let lf = DnsName::parse("lf.", None).unwrap();
        let error = load(home.path(), &lf, &Owners::of(home.path())).unwrap_err().to_string();
        assert!(error.contains("x.toml") && error.contains("line 3") && error.contains("tll"), "{error}");
    }
}
