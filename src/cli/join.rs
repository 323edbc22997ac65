//! `lfdns network join`: an empty home becomes a node of a network that is there, by one node's URL, by an
//! invitation or by an export. Everything that comes is verified like anything else; an invitation's peers are
//! taken at their word only until the handshake proves that they know the network.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::fail::Done;
use super::progress::bar;
use super::{Cx, link};
use crate::api::json::Invitation;
use crate::api::{INVITATION_MAX, Invited, Remote};
use crate::node::first::{default_owner, make_home};
use crate::node::peers;
use crate::record::{NetworkId, Rules};
use crate::store::{EXPORT_HEAD_BYTES, ExportReader, Progress, Store};
use crate::sync::PeerAddress;

/// How an export begins; anything else is an invitation.
const EXPORT_BEGINS: &[u8] = b"LFDNSEXP";
/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// Join a network in an empty home.
///
/// From a node's URL: its records and peers are fetched, with a progress bar. From a file: an invitation, which
/// `lfdns network show` prints on a node of the network, or an export, which `lfdns export` writes. Then
/// `lfdns node` starts, and gets from the peers what is still missing. A node on another machine wants its token:
/// --token FILE names a copy of its HOME/api.token.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// http://HOST:PORT, or a file; - is stdin.
    #[arg(value_name = "URL|FILE")]
    from: String,
    /// A peer to replicate with, beside those that are told, HOST:PORT or HOST:PORT#KEY; may be given several
    /// times.
    #[arg(long, value_name = "PEER")]
    peer: Vec<PeerAddress>,
}

/// What a home is made of.
enum Origin {
    Invitation(Invited),
    Export(Box<dyn Read>),
}

pub(crate) fn run(args: &Args, cx: &Cx) -> anyhow::Result<Done> {
    if Store::exists(&cx.home)? {
        bail!("{} holds a network already; choose another --home", cx.home.display());
    }
    let (origin, told) = open(args, cx)?;
    let mut known = args.peer.clone();
    known.extend(told.into_iter().filter(|peer| !args.peer.contains(peer)));

    make_home(&cx.home)?;
    // The mark first: cut off before its store exists, a join is to be repeated, and until then nothing else is made
    // of this home; cut off later, it leaves a node that goes on.
    peers::set_joining(&cx.home, true)?;
    peers::save(&cx.home, &peers::added(known.clone()))?;
    let (store, records) = match fill(origin, cx).with_context(|| args.from.clone()) {
        Ok(filled) => filled,
        Err(error) => {
            peers::forget(&cx.home);
            let _ = peers::set_joining(&cx.home, false);
            return Err(error);
        }
    };
    default_owner(&cx.home)?;
    let rules = store.rules();
    let seeds = PeerAddress::list(&rules.seed_peers);
    if known.is_empty() && seeds.is_empty() {
        cx.out.note("nobody is known who has its records: add one with `lfdns node --peer HOST:PORT#KEY`");
    }
    report(&rules, records, &known, cx)?;
    Ok(Done::Well)
}

fn report(rules: &Rules, records: Progress, known: &[PeerAddress], cx: &Cx) -> anyhow::Result<()> {
    let named: Vec<String> = known.iter().map(ToString::to_string).collect();
    let Progress { done, refused, .. } = records;
    cx.out.result(
        || json!({"name": rules.name, "records": done - refused, "refused": refused, "peers": named}),
        || {
            let peers = if named.len() == 1 { "1 peer".to_owned() } else { format!("{} peers", named.len()) };
            let bad = if refused > 0 { format!("; {refused} were refused") } else { String::new() };
            format!(
                "joined '{}': {} records, {peers}{bad}\nstart it with: lfdns --home {} node",
                rules.name,
                done - refused,
                cx.home.display()
            )
        },
    )?;
    Ok(())
}

/// Makes the store.
fn fill(origin: Origin, cx: &Cx) -> anyhow::Result<(Store, Progress)> {
    let config = cx.config()?.store;
    match origin {
        Origin::Invitation(invited) => {
            let store = Store::create(&cx.home, &invited.genesis, &config, link::clock())?;
            let done = invited.genesis.len() as u64;
            Ok((store, Progress { done, total: done, accepted: done, ..Progress::default() }))
        }
        Origin::Export(input) => {
            let bar = bar(0, "joining");
            let mut progress = |progress: Progress| {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
            };
            let input = BufReader::with_capacity(BUFFER, input);
            let made = Store::create_from_export(&cx.home, input, &config, link::clock(), &mut progress);
            bar.finish_and_clear();
            Ok(made?)
        }
    }
}

/// What is there, and which peers it names.
fn open(args: &Args, cx: &Cx) -> anyhow::Result<(Origin, Vec<PeerAddress>)> {
    if args.from.contains("://") {
        return from_node(args, cx);
    }
    from_file(args).with_context(|| args.from.clone())
}

fn from_file(args: &Args) -> anyhow::Result<(Origin, Vec<PeerAddress>)> {
    let mut input: Box<dyn BufRead> = if args.from == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(Path::new(&args.from))?))
    };
    if is_export(&mut input)? {
        return Ok((Origin::Export(Box::new(input)), Vec::new()));
    }
    let invited = read_invitation(input)?.read()?;
    let peers = invited.peers.clone();
    Ok((Origin::Invitation(invited), peers))
}

/// A pipe may hand over less than its first bytes at once; then the first one decides, as no JSON begins so.
fn is_export(input: &mut impl BufRead) -> io::Result<bool> {
    let begin = input.fill_buf()?;
    let some = begin.len().min(EXPORT_BEGINS.len());
    Ok(some > 0 && begin[..some] == EXPORT_BEGINS[..some])
}

/// An invitation by itself, or in what `lfdns --json network show` prints.
fn read_invitation(input: impl Read) -> anyhow::Result<Invitation> {
    let mut text = Vec::new();
    input.take(INVITATION_MAX as u64 + 1).read_to_end(&mut text)?;
    let none = "it is neither an invitation (lfdns network show) nor an export (lfdns export)";
    if text.len() > INVITATION_MAX {
        bail!("{none}");
    }
    let value: Value = serde_json::from_slice(&text).context(none)?;
    let invitation = value.get("invitation").cloned().unwrap_or(value);
    serde_json::from_value(invitation).context(none)
}

fn from_node(args: &Args, cx: &Cx) -> anyhow::Result<(Origin, Vec<PeerAddress>)> {
    let node = Remote::new(&[&args.from], cx.token()?)?;
    let invited = node.invitation()?.read()?;
    let dump = checked(node.dump()?, invited.network)?;
    Ok((Origin::Export(dump), invited.peers))
}

/// A dump, if its head names the network that the invitation founds.
fn checked(mut dump: Box<dyn Read>, network: NetworkId) -> anyhow::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    dump.by_ref().take(EXPORT_HEAD_BYTES as u64).read_to_end(&mut head)?;
    if ExportReader::open(&head[..])?.network() != network {
        bail!("its records are of another network than it invites to");
    }
    Ok(Box::new(io::Cursor::new(head).chain(dump)))
}
