//! The command line: one file per command, all of them thin. Keys are used here and never sent; a node is
//! found through its home or by URL; what a command prints is text or one JSON document.

mod backup;
mod bench;
mod check;
mod completions;
mod export;
mod fail;
mod get;
mod import;
mod invite;
mod join;
mod link;
mod man;
mod name;
mod network;
mod node;
mod out;
mod owner;
mod peer;
mod progress;
mod prompt;
mod selector;
mod set;
mod status;
mod time;
mod value;
mod zone;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};

use self::fail::Done;
use self::out::Out;
use crate::api::Token;
use crate::config::{Config, ConfigError};
use crate::node::home::{config_file, default_home};
use crate::node::owners::Owners;
use crate::store::Store;

const AFTER: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage, or a difference found (zone diff, --dry-run, check)
  3  no node could be reached

Home, without --home or LFDNS_HOME: $XDG_DATA_HOME/lfdns, else /var/lib/lfdns for
root, else ~/.local/share/lfdns. Node, without --url or LFDNS_URL: the one running
on that home, else those in `[client] url` of the home's node.toml. The home's token is
told to nodes on this machine only; to write elsewhere give --token or LFDNS_TOKEN_FILE.";

/// A DNS server straight out of a signed, replicated record store.
///
/// `lfdns node` starts a node; with an empty home it makes a private network
/// of its own. All other commands read from it, write to it, or look at its home.
///
///   lfdns set bad horse#2 'The Thoroughbred of Sin'
///   lfdns get bad horse#2
///   dig @127.0.0.1 -p 5354 _o2.horse.bad.lf TXT
#[derive(Debug, Parser)]
#[command(name = "lfdns", version, verbatim_doc_comment, after_help = AFTER, max_term_width = 100)]
pub(crate) struct Cli {
    /// The node's directory: store, owners, configuration.
    #[arg(long, global = true, value_name = "DIR", env = "LFDNS_HOME", hide_env_values = true)]
    home: Option<PathBuf>,
    /// A node's address, http://127.0.0.1:9980; several are tried in turn.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "LFDNS_URL",
        hide_env_values = true,
        value_delimiter = ','
    )]
    url: Vec<String>,
    /// A file with the token of the nodes that --url or the configuration names: a copy of that node's
    /// HOME/api.token.
    #[arg(long, global = true, value_name = "FILE", env = "LFDNS_TOKEN_FILE", hide_env_values = true)]
    token: Option<PathBuf>,
    /// Print one JSON document; errors as {"error": …} on stderr.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Node(node::Args),
    Set(set::Args),
    Get(get::Args),
    #[command(subcommand)]
    Name(name::Command),
    #[command(subcommand)]
    Zone(zone::Command),
    #[command(subcommand)]
    Owner(owner::Command),
    #[command(subcommand)]
    Network(network::Command),
    #[command(subcommand)]
    Peer(peer::Command),
    Status(status::Args),
    Check(check::Args),
    Export(export::Args),
    Import(import::Args),
    Backup(backup::Args),
    #[command(subcommand)]
    Bench(bench::Command),
    Completions(completions::Args),
    Man(man::Args),
}

/// What every command gets.
pub(crate) struct Cx {
    pub(crate) home: PathBuf,
    pub(crate) url: Vec<String>,
    pub(crate) token: Option<PathBuf>,
    pub(crate) out: Out,
}

impl Cx {
    /// The owners of the home.
    pub(crate) fn owners(&self) -> Owners {
        Owners::of(&self.home)
    }

    /// The home's configuration.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let file = env("LFDNS_CONFIG").map(PathBuf::from).or_else(|| config_file(&self.home));
        Config::load(file.as_deref(), &env)
    }

    /// The token given for the nodes that were named.
    pub(crate) fn token(&self) -> anyhow::Result<Option<Token>> {
        let Some(file) = self.token.as_deref().filter(|file| !file.as_os_str().is_empty()) else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let token = Token::parse(text.trim_end());
        token.map(Some).with_context(|| format!("{} holds no token", file.display()))
    }

    /// The home's store for reading, whether a node uses it or not.
    pub(crate) fn read_store(&self) -> anyhow::Result<Store> {
        Ok(Store::open_reader(&self.home, &self.config()?.store, link::clock())?)
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let out = Out::new(cli.json);
    let result = run(cli, out);
    if let Err(error) = &result {
        out.error(error);
    }
    fail::code(&result)
}

fn run(cli: Cli, out: Out) -> anyhow::Result<Done> {
    let home = match cli.home {
        Some(home) => home,
        None => default_home(&env).ok_or_else(|| anyhow!("no home: give --home DIR or set LFDNS_HOME"))?,
    };
    let url = cli.url.into_iter().filter(|url| !url.is_empty()).collect();
    let cx = Cx { home, url, token: cli.token, out };
    let result = match cli.command {
        Command::Node(args) => node::run(&args, &cx),
        Command::Set(args) => set::run(&args, &cx),
        Command::Get(args) => get::run(&args, &cx),
        Command::Name(command) => name::run(command, &cx),
        Command::Zone(command) => zone::run(command, &cx),
        Command::Owner(command) => owner::run(command, &cx),
        Command::Network(command) => network::run(command, &cx),
        Command::Peer(command) => peer::run(command, &cx),
        Command::Status(args) => status::run(&args, &cx),
        Command::Check(args) => check::run(&args, &cx),
        Command::Export(args) => export::run(&args, &cx),
        Command::Import(args) => import::run(&args, &cx),
        Command::Backup(args) => backup::run(&args, &cx),
        Command::Bench(command) => bench::run(command, &cx),
        Command::Completions(args) => completions::run(&args, &cx),
        Command::Man(args) => man::run(&args, &cx),
    };
    result.map_err(link::advise)
}

/// The environment, as text.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The bytes of a file, or of stdin for `-`.
pub(crate) fn read_input(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Help, version, or wrong usage; the latter as JSON if that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.to_string();
        let text = text.trim_start_matches("error: ").trim_end();
        eprintln!("{}", serde_json::json!({ "error": text }));
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
