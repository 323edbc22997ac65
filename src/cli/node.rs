//! `lfdns node`: starts a node, says where it listens, and stops it when told to.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::Cx;
use super::fail::Done;
use super::progress::bar;
use crate::config::Config;
use crate::node::home::config_file;
use crate::node::{Node, Options};
use crate::sync::PeerAddress;
use crate::sync::face::Progress;

/// What is logged unless LFDNS_LOG says otherwise.
const LOG: &str = "lfdns=info,warn";
/// How often the progress of a synchronisation is shown.
const LOOK: Duration = Duration::from_millis(250);
/// The zone of this repository's `zones/`, which has something to try.
const DEMO: &str = "demo.lf.";

/// Run a node.
///
/// With an empty home it first makes a private network of its own, an owner `default`, and publishes the zones
/// it finds (--zones, else HOME/zones, else ./zones). It answers DNS on 127.0.0.1:5354 and [::1]:5354, HTTP on
/// 127.0.0.1:9980. When it is ready it prints one line and writes HOME/node.json.
///
/// SIGTERM and SIGINT stop it; SIGHUP reads the configuration and the zones again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration [default: HOME/node.toml, if there is one].
    #[arg(long, value_name = "FILE", env = "LFDNS_CONFIG")]
    config: Option<PathBuf>,
    /// Where to answer DNS, over UDP and TCP; may be given several times. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    dns: Vec<SocketAddr>,
    /// Where to serve HTTP.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Where to await peers.
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
    /// A peer to replicate with, HOST:PORT or HOST:PORT#KEY; may be given several times.
    #[arg(long, value_name = "PEER")]
    peer: Vec<PeerAddress>,
    /// The directory of zone files NAME.toml.
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    log();
    let config = config(args, &cx.home)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args, config, cx))?;
    Ok(Done::Well)
}

async fn serve(args: &Args, config: Config, cx: &Cx) -> anyhow::Result<()> {
    // Before anything is started, so that no signal is lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let started = Node::start(Options { home: cx.home.clone(), config });
    let node = tokio::select! {
        node = started => node?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    announce(&node, cx)?;
    let mut catching_up = CatchingUp::default();
    loop {
        tokio::select! {
            () = catching_up.next_look() => catching_up.show(&node.progress()),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&node, args, &cx.home),
        }
    }
    tracing::info!("stopping");
    node.stop().await;
    Ok(())
}

/// A bar while a long synchronisation runs, on a terminal.
#[derive(Default)]
struct CatchingUp(Option<ProgressBar>);

impl CatchingUp {
    /// When to look again; never where nobody looks.
    async fn next_look(&self) {
        if std::io::stderr().is_terminal() {
            tokio::time::sleep(LOOK).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    fn show(&mut self, progress: &Progress) {
        match progress.catching_up {
            Some((done, total)) => {
                let bar = self.0.get_or_insert_with(|| bar(total, "synchronising"));
                // What the peer has grows meanwhile.
                bar.set_length(total.max(done));
                bar.set_position(done);
            }
            None => {
                if let Some(bar) = self.0.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn announce(node: &Node, cx: &Cx) -> anyhow::Result<()> {
    let running = node.running();
    let list: Vec<String> = running.dns.iter().map(ToString::to_string).collect();
    let line = format!(
        "ready: DNS on {}, HTTP on http://{}, QUIC on {}, home {}",
        list.join(" and "),
        running.http,
        running.quic,
        cx.home.display()
    );
    // One line in either form: whoever started us reads a line.
    let line = if cx.out.json { running.to_json().to_string() } else { line };
    cx.out.bytes(format!("{line}\n").as_bytes())?;
    let demo = node.suffixes().iter().any(|suffix| suffix == DEMO);
    if let Some(dns) = running.dns.first().filter(|_| demo) {
        cx.out.note(&format!("try: dig @{} -p {} www.{DEMO}", dns.ip(), dns.port()));
    }
    Ok(())
}

/// A configuration that cannot be used changes nothing.
fn reload(node: &Node, args: &Args, home: &Path) {
    let reloaded = config(args, home).and_then(|config| Ok(node.reload(config)?));
    match reloaded {
        Ok(waiting) if waiting.is_empty() => tracing::info!("configuration and zones read again"),
        Ok(waiting) => tracing::warn!(
            "configuration and zones read again; these take effect at the next start: {}",
            waiting.join(", ")
        ),
        Err(error) => tracing::error!("the old configuration stays: {error:#}"),
    }
}

/// The file, the variables, the flags; the later overrides the earlier.
fn config(args: &Args, home: &Path) -> anyhow::Result<Config> {
    let file = args.config.clone().or_else(|| config_file(home));
    let mut config = Config::load(file.as_deref(), &super::env)?;
    if !args.dns.is_empty() {
        config.dns.listen.clone_from(&args.dns);
    }
    if let Some(http) = args.http {
        config.api.listen = http;
    }
    if let Some(quic) = args.quic {
        config.sync.listen = quic;
    }
    config.sync.peers.extend(args.peer.iter().cloned());
    if let Some(zones) = &args.zones {
        // Checked here: a directory somebody names must be there, unlike the default ones.
        config.zones = zones.canonicalize().with_context(|| format!("--zones {}", zones.display()))?;
    }
    Ok(config)
}

fn log() {
    let filter = EnvFilter::try_from_env("LFDNS_LOG").unwrap_or_else(|_| EnvFilter::new(LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
