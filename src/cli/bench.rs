//! `lfdns bench dns`: a running DNS server under load.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::Cx;
use super::fail::{Done, Unreachable};
use crate::dns::load::{self, Load};
use crate::dns::rdata;
use crate::node::home::Running;

/// Longer runs are cut to this.
const SECONDS_MAX: u64 = 3600;

/// Measurements.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Ask a DNS server questions over UDP as fast as it answers; print rate, loss and latency.
    ///
    /// Lost questions make it end with code 2.
    Dns(Args),
}

/// What `bench dns` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The questions: one name and type a line, as dnsperf's; - is stdin.
    questions: PathBuf,
    /// The server [default: the node on this home].
    #[arg(long, value_name = "ADDR")]
    server: Option<SocketAddr>,
    /// For how many seconds.
    #[arg(long, short, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    duration: u64,
    /// Questions waiting for an answer at a time.
    #[arg(long, short, default_value_t = 256, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    outstanding: u32,
    /// Sockets to ask from, a thread each.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    sockets: u16,
    /// Questions a second at most [default: as many as are answered].
    #[arg(long, value_name = "COUNT")]
    rate: Option<u64>,
    /// UDP size to announce in an EDNS record; 0 sends none.
    #[arg(long, default_value_t = 1232, value_name = "BYTES")]
    edns: u16,
}

pub(crate) fn run(command: Command, cx: &Cx) -> anyhow::Result<Done> {
    let Command::Dns(args) = command;
    let text = super::read_input(&args.questions).with_context(|| args.questions.display().to_string())?;
    let text = String::from_utf8_lossy(&text);
    let questions = load::questions(&text, rdata::rtype_from_text)
        .with_context(|| args.questions.display().to_string())?;
    let load = Load {
        server: server(&args, cx)?,
        questions,
        duration: Duration::from_secs(args.duration),
        outstanding: args.outstanding as usize,
        sockets: usize::from(args.sockets),
        rate: args.rate,
        edns: Some(args.edns).filter(|size| *size > 0),
    };
    let report = load::run(&load).with_context(|| format!("cannot ask {}", load.server))?;
    let [p50, p90, p99] = [500, 900, 990].map(|share| report.latency.per_mille(share));
    let (sent, answered, lost) = (report.sent, report.answered, report.lost());
    cx.out.result(
        || {
            json!({
                "server": load.server.to_string(), "seconds": report.took.as_secs_f64(), "rate": report.rate(),
                "sent": sent, "answered": answered, "lost": lost, "truncated": report.truncated,
                "rcodes": report.rcodes,
                "latency_us": {"p50": p50, "p90": p90, "p99": p99, "max": report.latency.max()},
            })
        },
        || report.to_string(),
    )?;
    Ok(if lost == 0 { Done::Well } else { Done::Differs })
}

fn server(args: &Args, cx: &Cx) -> anyhow::Result<SocketAddr> {
    let running = || Running::read(&cx.home).and_then(|running| running.dns.first().copied());
    args.server.or_else(running).ok_or_else(|| {
        Unreachable(format!("no node runs on {}; name a server with --server ADDR", cx.home.display())).into()
    })
}
