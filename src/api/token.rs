//! The bearer token: 32 random bytes in hexadecimal in the home, readable by its owner only. Whoever has it
//! may write, and may learn the network id.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

/// The file in the home.
const FILE: &str = "api.token";
/// Hexadecimal digits of a token.
const DIGITS: usize = 64;
/// Read and write for its owner, nothing for others.
const MODE: u32 = 0o600;

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A token that cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file holds something else.
    #[error("{0} holds no token; delete it, and the node makes a new one when it starts")]
    Damaged(PathBuf),
    /// The disk, or the system's random source.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Token {
    /// The token of a home; `None` if it has none (no node ran there yet).
    pub fn load(home: &Path) -> Result<Option<Token>, TokenError> {
        let path = home.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(TokenError::Damaged(path)),
            other => other.map_err(|source| TokenError::Io { path: path.clone(), source })?,
        };
        Token::parse(text.trim_end()).map(Some).ok_or(TokenError::Damaged(path))
    }

    /// The token of a home, made now if it has none. A file that others may read is closed to them.
    pub fn load_or_make(home: &Path) -> Result<Token, TokenError> {
        let path = home.join(FILE);
        let io = |source| TokenError::Io { path: path.clone(), source };
        if let Some(token) = Token::load(home)? {
            let mode = std::fs::metadata(&path).map_err(io)?.permissions().mode();
            if mode & 0o077 != 0 {
                tracing::warn!(
                    "{} was readable by others (mode {:o}); closed it",
                    path.display(),
                    mode & 0o777
                );
                std::fs::set_permissions(&path, PermissionsExt::from_mode(MODE)).map_err(io)?;
            }
            return Ok(token);
        }
        let token = Token::random().map_err(io)?;
        token.write(home, &path).map_err(io)?;
        Ok(token)
    }

    /// A new token that is stored nowhere.
    pub fn random() -> io::Result<Token> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let mut text = String::with_capacity(DIGITS);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("a string takes all that is written to it");
        }
        Ok(Token(text))
    }

    /// Reads what [`Token::reveal`] writes.
    pub fn parse(text: &str) -> Option<Token> {
        let hex = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| Token(text.to_owned()))
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether these bytes are the token; takes as long for any of its length.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// Beside, then in its place: a half-written token never stands there.
    fn write(&self, home: &Path, path: &Path) -> io::Result<()> {
        let part = path.with_extension("token.part");
        match std::fs::remove_file(&part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&part)?;
        writeln!(file, "{}", self.0)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        File::open(home)?.sync_all()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_is_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        assert!(Token::load(home.path()).unwrap().is_none());
        let made = Token::load_or_make(home.path()).unwrap();
        assert_eq!(Token::load_or_make(home.path()).unwrap(), made);
        assert_eq!(Token::load(home.path()).unwrap(), Some(made));
        let mode = std::fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[test]
    fn a_token_that_others_can_read_is_closed_to_them() {
        let home = tempfile::tempdir().unwrap();
        Token::load_or_make(home.path()).unwrap();
        let path = home.path().join(FILE);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        Token::load_or_make(home.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_damaged_token_is_refused_in_words() {
        let home = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"short", &[0xFF; 64]] {
            std::fs::write(home.path().join(FILE), content).unwrap();
            let error = Token::load_or_make(home.path()).unwrap_err();
            assert!(error.to_string().contains("delete it"), "{error}");
        }
    }

    #[test]
    fn only_the_whole_token_matches_and_debug_does_not_tell_it() {
        let token = Token::random().unwrap();
        assert!(token.matches(token.reveal().as_bytes()));
        assert!(!token.matches(&token.reveal().as_bytes()[1..]));
        assert!(!token.matches(b""));
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
