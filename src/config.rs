//! The configuration: one TOML file that composes what each module lets an operator set.
//!
//! Every key is optional and has its default, which `examples/node.toml` shows. A key nobody knows is an
//! error that names the nearest known one. A variable `LFDNS_SECTION_KEY` overrides `[section] key`; the
//! flags of the command line override both.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::dns::config as dns;
use crate::{api, store, sync};

/// Files longer than this are not read: a configuration is a page.
const FILE_MAX: u64 = 1 << 20;
/// How alike a known key must be (Jaro-Winkler, 0 to 1) to be worth a suggestion.
const NEAR: f64 = 0.6;

/// What may be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where `NAME.toml` zone files are; empty: `HOME/zones` if it exists, else `./zones` if it exists.
    pub zones: PathBuf,
    /// The record store.
    pub store: store::Config,
    /// The DNS server.
    pub dns: dns::Config,
    /// The HTTP API.
    pub api: api::Config,
    /// Peers.
    pub sync: sync::Config,
    /// The command line.
    pub client: Client,
}

/// How the command line finds a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// Nodes to try in turn where none runs on the home and no `--url` is given.
    pub url: Vec<String>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key nobody knows.
    #[error("{}:{line}: unknown key '{key}'{hint}", .path.display())]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The nearest known key, in words.
        hint: String,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{}:{line}: {wrong}", .path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        wrong: String,
    },
    /// A variable of the environment.
    #[error("variable {name}: {wrong}")]
    Variable {
        /// Which.
        name: String,
        /// What is wrong.
        wrong: String,
    },
}

impl Config {
    /// Reads `file`, or takes the defaults without one, and applies the variables that `env` knows.
    pub fn load(file: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let config = match file {
            Some(path) => Config::parse(path, &read(path)?)?,
            None => Config::default(),
        };
        config.with_variables(env)
    }

    /// Reads the text of the file at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        toml::from_str(text).map_err(|error| explain(path, text, &error))
    }

    /// Every key with its value, as `section.key`.
    pub fn keys(&self) -> Vec<(String, Value)> {
        let mut keys = Vec::new();
        flatten("", &self.to_table(), &mut keys);
        keys
    }

    fn to_table(&self) -> Table {
        Table::try_from(self).expect("every part of the configuration is a table of plain values")
    }

    fn with_variables(self, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let mut config = self;
        for (key, now) in config.keys() {
            let name = format!("LFDNS_{}", key.replace('.', "_").to_ascii_uppercase());
            let Some(text) = env(&name) else { continue };
            let mut table = config.to_table();
            set(&mut table, &key, variable_value(&text, &now));
            config = table
                .try_into()
                .map_err(|e| ConfigError::Variable { name, wrong: e.message().to_owned() })?;
        }
        Ok(config)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_MAX {
        return Err(failed(io::Error::other(format!("longer than {FILE_MAX} bytes"))));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// A variable holds a TOML value, or plain text; where a list belongs, a list with commas.
fn variable_value(text: &str, now: &Value) -> Value {
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    match (now, value) {
        (Value::Array(_), Value::String(text)) => {
            Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
        }
        (_, value) => value,
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        Some((head, tail)) => {
            if let Some(Value::Table(inner)) = table.get_mut(head) {
                set(inner, tail, value);
            }
        }
        None => {
            table.insert(key.to_owned(), value);
        }
    }
}

fn flatten(prefix: &str, table: &Table, keys: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(&format!("{prefix}{key}."), inner, keys),
            other => keys.push((format!("{prefix}{key}"), other.clone())),
        }
    }
}

/// Gives an error its place, and an unknown key its nearest known one.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let line = text[..start.min(text.len())].matches('\n').count() + 1;
    let path = path.to_owned();
    let mut quoted = error.message().split('`').skip(1).step_by(2);
    match quoted.next() {
        Some(key) if error.message().starts_with("unknown field") => {
            let expected: Vec<&str> = quoted.collect();
            ConfigError::Unknown { path, line, key: key.to_owned(), hint: nearest(key, &expected) }
        }
        _ => ConfigError::Wrong { path, line, wrong: error.message().to_owned() },
    }
}

/// `; did you mean '…'?`: a key of the same section, else the same key in another one.
fn nearest(key: &str, expected: &[&str]) -> String {
    let alike = expected
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), *known))
        .filter(|(score, _)| *score >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, known)) = alike {
        return format!("; did you mean '{known}'?");
    }
    let elsewhere =
        Config::default().keys().into_iter().find(|(known, _)| known.rsplit('.').next() == Some(key));
    match elsewhere {
        Some((known, _)) => {
            let section = known.rsplit_once('.').map_or("the top", |(section, _)| section);
            format!("; '{key}' belongs in [{section}]")
        }
        None => format!("; known here: {}", expected.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("node.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        let error = parse("[sync]\n\nlistn = \"[::1]:9908\"\n").unwrap_err();
        assert_eq!(error, "node.toml:3: unknown key 'listn'; did you mean 'listen'?");
    }

    #[test]
    fn a_key_in_the_wrong_section_is_told_where_it_belongs() {
        let error = parse("[sync]\nmin_free = 1\n").unwrap_err();
        assert_eq!(error, "node.toml:2: unknown key 'min_free'; 'min_free' belongs in [store]");
    }

    #[test]
    fn an_unknown_section_names_its_line() {
        let error = parse("[syncc]\nlisten = 1\n").unwrap_err();
        assert_eq!(error, "node.toml:1: unknown key 'syncc'; did you mean 'sync'?");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        let error = parse("[sync]\nlisten = \"nowhere\"\n").unwrap_err();
        assert!(error.starts_with("node.toml:2: "), "{error}");
    }

    #[test]
    fn variables_override_the_file() {
        let env = |name: &str| match name {
            "LFDNS_SYNC_LISTEN" => Some("127.0.0.1:7".to_owned()),
            "LFDNS_CLIENT_URL" => Some("http://a, http://b".to_owned()),
            _ => None,
        };
        let config = Config::load(None, &env).unwrap();
        assert_eq!(config.sync.listen.port(), 7);
        assert_eq!(config.client.url, ["http://a", "http://b"]);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let env = |name: &str| (name == "LFDNS_SYNC_LISTEN").then(|| "nowhere".to_owned());
        let error = Config::load(None, &env).unwrap_err().to_string();
        assert!(error.contains("LFDNS_SYNC_LISTEN"), "{error}");
    }

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let text = include_str!("../examples/node.toml");
        // `#key = value` and `#[section]` are settings, `# …` is prose.
        let live: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
            .collect();
        let table: Table = toml::from_str(&live.join("\n")).expect("the example, uncommented, is TOML");
        let mut shown = Vec::new();
        flatten("", &table, &mut shown);
        let mut defaults = Config::default().keys();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        defaults.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(shown, defaults);
        let untouched = Config::parse(Path::new("examples/node.toml"), text).unwrap();
        assert_eq!(untouched.keys(), Config::default().keys(), "as it stands the example changes nothing");
    }
}
