//! Owners on disk: `HOME/owners/NAME.pem`, PKCS#8, readable by their user alone; `HOME/owners/default` names
//! the one that signs when nobody says otherwise. Keys are read here, used in this process, and never sent.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::record::{IdError, Owner, OwnerError, OwnerKey};

const DIR: &str = "owners";
const DEFAULT: &str = "default";
/// The most characters of a local owner's name.
const NAME_MAX: usize = 64;

/// The owners of a home.
#[derive(Clone, Debug)]
pub struct Owners {
    dir: PathBuf,
}

/// An owner that cannot be found, read or written.
#[derive(Debug, thiserror::Error)]
pub enum OwnersError {
    /// No such name.
    #[error("no owner '{name}' in {}{}", .dir.display(), known(.names))]
    Unknown {
        /// The name.
        name: String,
        /// Where it was looked for.
        dir: PathBuf,
        /// The names there are.
        names: Vec<String>,
    },
    /// A key whose secret half is not here.
    #[error("the secret key of {0} is not in this home; `lfdns owner import` brings it")]
    NotHere(OwnerKey),
    /// No owner yet.
    #[error("no owner in {}; `lfdns owner new NAME` makes one", .0.display())]
    None(PathBuf),
    /// Taken.
    #[error("an owner '{0}' exists already")]
    Exists(String),
    /// A name that cannot be a file's.
    #[error(
        "'{0}' cannot name an owner: use 1 to {NAME_MAX} letters, digits, '-', '_' and '.', not beginning with '.' or '-'"
    )]
    Name(String),
    /// A key that is none.
    #[error(transparent)]
    Key(#[from] IdError),
    /// A damaged file.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: OwnerError,
    },
    /// The disk.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn known(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (there are: {})", names.join(", ")) }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OwnersError + use<> {
    let path = path.to_owned();
    move |source| OwnersError::Io { path, source }
}

impl Owners {
    /// The owners of `home`, which need not exist.
    pub fn of(home: &Path) -> Owners {
        Owners { dir: home.join(DIR) }
    }

    /// The names there are, sorted.
    pub fn names(&self) -> Result<Vec<String>, OwnersError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(failed(&self.dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(failed(&self.dir))?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".pem"));
            names.extend(name.filter(|name| valid(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Every owner with its public key.
    pub fn list(&self) -> Result<Vec<(String, OwnerKey)>, OwnersError> {
        self.names()?
            .into_iter()
            .map(|name| {
                let key = self.load(&name)?.key();
                Ok((name, key))
            })
            .collect()
    }

    /// The secret key of a name.
    pub fn load(&self, name: &str) -> Result<Owner, OwnersError> {
        let path = self.existing(name)?;
        let text = Zeroizing::new(fs::read_to_string(&path).map_err(failed(&path))?);
        Owner::from_pem(&text).map_err(|source| OwnersError::Pem { path, source })
    }

    /// Who signs: the owner named (a local name, or `@key` of one whose secret is here), else the default.
    pub fn signer(&self, who: Option<&str>) -> Result<Owner, OwnersError> {
        match who {
            Some(text) if text.starts_with('@') => {
                let key = text.parse()?;
                let name = self.name_of(&key)?.ok_or(OwnersError::NotHere(key))?;
                self.load(&name)
            }
            Some(name) => self.load(name),
            None => self.load(&self.default_name()?.ok_or_else(|| OwnersError::None(self.dir.clone()))?),
        }
    }

    /// The public key somebody wrote: a local name, or `@key` of anybody.
    pub fn resolve(&self, who: &str) -> Result<OwnerKey, OwnersError> {
        if who.starts_with('@') { Ok(who.parse()?) } else { Ok(self.load(who)?.key()) }
    }

    /// The local name of a key.
    pub fn name_of(&self, key: &OwnerKey) -> Result<Option<String>, OwnersError> {
        Ok(self.list()?.into_iter().find(|(_, known)| known == key).map(|(name, _)| name))
    }

    /// The name of the owner that signs by default; the only one there is, where none is named.
    pub fn default_name(&self) -> Result<Option<String>, OwnersError> {
        let path = self.dir.join(DEFAULT);
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut names = self.names()?;
                Ok(if names.len() == 1 { names.pop() } else { None })
            }
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// Writes a new owner; the first one becomes the default.
    pub fn add(&self, name: &str, owner: &Owner) -> Result<(), OwnersError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(OwnersError::Exists(name.to_owned()));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(failed(&self.dir))?;
        let first = self.names()?.is_empty();
        write_secret(&path, owner.to_pem().as_bytes())?;
        if first { self.set_default(name) } else { Ok(()) }
    }

    /// Makes an owner the default.
    pub fn set_default(&self, name: &str) -> Result<(), OwnersError> {
        self.existing(name)?;
        let path = self.dir.join(DEFAULT);
        let temporary = self.dir.join(".default.new");
        fs::write(&temporary, format!("{name}\n")).map_err(failed(&temporary))?;
        fs::rename(&temporary, &path).map_err(failed(&path))
    }

    /// Gives an owner another local name; its key stays.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), OwnersError> {
        let (source, target) = (self.existing(from)?, self.path(to)?);
        let was_default = self.default_name()?.as_deref() == Some(from);
        if target.exists() {
            return Err(OwnersError::Exists(to.to_owned()));
        }
        fs::rename(&source, &target).map_err(failed(&source))?;
        if was_default { self.set_default(to) } else { Ok(()) }
    }

    /// Deletes an owner's secret key.
    pub fn delete(&self, name: &str) -> Result<(), OwnersError> {
        let path = self.existing(name)?;
        let marked = self.dir.join(DEFAULT);
        if self.default_name()?.as_deref() == Some(name) && marked.exists() {
            fs::remove_file(&marked).map_err(failed(&marked))?;
        }
        fs::remove_file(&path).map_err(failed(&path))
    }

    fn existing(&self, name: &str) -> Result<PathBuf, OwnersError> {
        let path = self.path(name)?;
        if path.exists() {
            return Ok(path);
        }
        Err(OwnersError::Unknown { name: name.to_owned(), dir: self.dir.clone(), names: self.names()? })
    }

    fn path(&self, name: &str) -> Result<PathBuf, OwnersError> {
        if valid(name) {
            Ok(self.dir.join(format!("{name}.pem")))
        } else {
            Err(OwnersError::Name(name.to_owned()))
        }
    }
}

fn valid(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A new owner from the system's random source.
pub fn fresh() -> io::Result<Owner> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(io::Error::other)?;
    Ok(Owner::from_seed(&seed))
}

/// Writes a file that only its user can read, whole or not at all, and on the disk when this returns. Never
/// replaces a file.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), OwnersError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A link, unlike a rename, fails where a file of that name exists.
        fs::hard_link(&temporary, path)
    })();
    let _ = fs::remove_file(&temporary);
    written.map_err(failed(path))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn bed() -> (tempfile::TempDir, Owners) {
        let home = tempfile::tempdir().unwrap();
        let owners = Owners::of(home.path());
        (home, owners)
    }

    #[test]
    fn the_first_owner_is_the_default_and_files_are_private() {
        let (home, owners) = bed();
        owners.add("one", &Owner::from_seed(&[1; 32])).unwrap();
        owners.add("two", &Owner::from_seed(&[2; 32])).unwrap();
        assert_eq!(owners.default_name().unwrap().as_deref(), Some("one"));
        let mode = |path: &str| fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("owners"), 0o700);
        assert_eq!(mode("owners/one.pem"), 0o600);
        assert_eq!(owners.names().unwrap(), ["one", "two"]);
    }

    #[test]
    fn an_owner_is_found_by_name_and_by_key() {
        let (_home, owners) = bed();
        let owner = Owner::from_seed(&[3; 32]);
        owners.add("me", &owner).unwrap();
        assert_eq!(owners.resolve("me").unwrap(), owner.key());
        assert_eq!(owners.signer(Some(&owner.key().to_string())).unwrap().key(), owner.key());
        let stranger = Owner::from_seed(&[4; 32]).key();
        assert_eq!(owners.resolve(&stranger.to_string()).unwrap(), stranger);
        assert!(matches!(owners.signer(Some(&stranger.to_string())), Err(OwnersError::NotHere(_))));
    }

    #[test]
    fn an_existing_owner_is_never_overwritten() {
        let (_home, owners) = bed();
        owners.add("me", &Owner::from_seed(&[1; 32])).unwrap();
        let error = owners.add("me", &Owner::from_seed(&[2; 32])).unwrap_err();
        assert_eq!(error.to_string(), "an owner 'me' exists already");
        assert_eq!(owners.load("me").unwrap().key(), Owner::from_seed(&[1; 32]).key());
    }

    #[test]
    fn a_renamed_default_stays_the_default_and_a_deleted_one_does_not() {
        let (_home, owners) = bed();
        owners.add("a", &Owner::from_seed(&[1; 32])).unwrap();
        owners.add("b", &Owner::from_seed(&[2; 32])).unwrap();
        owners.rename("a", "c").unwrap();
        assert_eq!(owners.default_name().unwrap().as_deref(), Some("c"));
        owners.delete("c").unwrap();
        assert_eq!(owners.default_name().unwrap().as_deref(), Some("b"), "the only one left");
    }

    #[test]
    fn an_unknown_owner_is_answered_with_the_known_ones() {
        let (_home, owners) = bed();
        owners.add("me", &Owner::from_seed(&[1; 32])).unwrap();
        let error = owners.load("you").unwrap_err().to_string();
        assert!(error.contains("'you'") && error.contains("there are: me"), "{error}");
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let (_home, owners) = bed();
        for name in ["", "../x", ".hidden", "-x", "a/b", "a b"] {
            assert!(matches!(owners.load(name), Err(OwnersError::Name(_))), "{name}");
        }
    }
}
