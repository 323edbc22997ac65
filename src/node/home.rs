//! What lies in a home beside the store: the node's key, and `node.json`, which says where a running node
//! listens, so that the command line finds it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::owners::{OwnersError, fresh, write_secret};

const NODE_JSON: &str = "node.json";
/// In a home whose node has not completed its first synchronisation: until it has, what it lacks may exist.
/// Absent: ready.
pub const JOINING: &str = "joining";
const NODE_KEY: &str = "node.key";
/// The configuration of a home, read where no other is named.
const CONFIG: &str = "node.toml";
/// Where root's node lives.
const ROOT_HOME: &str = "/var/lib/lfdns";

/// Where a running node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// DNS, over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// HTTP.
    pub http: SocketAddr,
    /// Peers.
    pub quic: SocketAddr,
    /// Its process.
    pub pid: u32,
}

impl Running {
    /// What the node of `home` wrote, if it did. The node need not be alive any more.
    pub fn read(home: &Path) -> Option<Running> {
        let value: Value = serde_json::from_slice(&fs::read(home.join(NODE_JSON)).ok()?).ok()?;
        let address = |value: &Value| value.as_str()?.parse().ok();
        Some(Running {
            dns: value["dns"].as_array()?.iter().map(address).collect::<Option<_>>()?,
            http: address(&value["http"])?,
            quic: address(&value["quic"])?,
            pid: u32::try_from(value["pid"].as_u64()?).ok()?,
        })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Whether a process of its number lives: a node that was killed leaves its word behind.
    pub fn is_alive(&self) -> bool {
        let Ok(pid) = i32::try_from(self.pid) else { return false };
        // No signal, only the question whether one could be sent (POSIX kill(), "null signal").
        !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
    }

    /// As it stands in `node.json`.
    pub fn to_json(&self) -> Value {
        let dns: Vec<String> = self.dns.iter().map(ToString::to_string).collect();
        json!({"dns": dns, "http": self.http.to_string(), "quic": self.quic.to_string(), "pid": self.pid})
    }

    /// Writes `node.json` whole: whoever reads it sees the old one or the new one.
    pub fn write(&self, home: &Path) -> io::Result<()> {
        let temporary = home.join(".node.json.new");
        fs::write(&temporary, format!("{}\n", self.to_json()))?;
        fs::rename(&temporary, home.join(NODE_JSON))
    }

    /// Removes `node.json` at a clean stop.
    pub fn remove(home: &Path) {
        let _ = fs::remove_file(home.join(NODE_JSON));
    }
}

/// Where a home is if nobody says: `$XDG_DATA_HOME/lfdns`, root's in /var/lib, else under the user's home.
pub fn default_home(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(data) = absolute("XDG_DATA_HOME") {
        return Some(data.join("lfdns"));
    }
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from(ROOT_HOME));
    }
    absolute("HOME").map(|user| user.join(".local/share/lfdns"))
}

/// The configuration file of a home, if there is one.
pub fn config_file(home: &Path) -> Option<PathBuf> {
    Some(home.join(CONFIG)).filter(|path| path.is_file())
}

/// The node's own key, PKCS#8 PEM, made when first asked for.
pub(super) fn node_key(home: &Path) -> Result<Zeroizing<String>, OwnersError> {
    let path = home.join(NODE_KEY);
    let failed = |source| OwnersError::Io { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pem = fresh().map_err(failed)?.to_pem();
            write_secret(&path, pem.as_bytes())?;
            Ok(pem)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_json_reads_back_what_was_written_and_goes_away() {
        let home = tempfile::tempdir().unwrap();
        let running = Running {
            dns: vec!["127.0.0.1:5354".parse().unwrap(), "[::1]:5354".parse().unwrap()],
            http: "127.0.0.1:9980".parse().unwrap(),
            quic: "127.0.0.1:9908".parse().unwrap(),
            pid: 42,
        };
        running.write(home.path()).unwrap();
        assert_eq!(Running::read(home.path()), Some(running));
        Running::remove(home.path());
        assert_eq!(Running::read(home.path()), None);
    }

    #[test]
    fn a_process_that_is_gone_is_told_from_one_that_lives() {
        let at = "127.0.0.1:1".parse().unwrap();
        let of = |pid| Running { dns: vec![], http: at, quic: at, pid };
        assert!(of(std::process::id()).is_alive());
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert!(!of(ended.id()).is_alive());
        assert!(!of(u32::MAX).is_alive());
    }

    #[test]
    fn the_node_keeps_its_key() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(node_key(home.path()).unwrap(), node_key(home.path()).unwrap());
    }

    #[test]
    fn the_data_directory_of_the_user_comes_first() {
        let env = |name: &str| (name == "XDG_DATA_HOME").then(|| "/data".to_owned());
        assert_eq!(default_home(&env), Some(PathBuf::from("/data/lfdns")));
    }
}
