//! How a command reaches a node: by URL, or through the home; and what to say if none is there.

use std::path::Path;

use super::Cx;
use super::fail::Unreachable;
use crate::api::{Lf, LfError, Local, Remote, Token};
use crate::node::home::Running;
use crate::record::{Millis, Record, RecordId};
use crate::store::Clock;

/// The system's clock.
pub(crate) fn clock() -> Clock {
    crate::node::clock()
}

/// Now.
pub(crate) fn now() -> Millis {
    crate::node::now()
}

/// The nodes to ask, in turn: those named, else the one on this home and those of its configuration.
pub(crate) fn connect(cx: &Cx) -> anyhow::Result<Remote> {
    let mut urls = cx.url.clone();
    if urls.is_empty() {
        urls.extend(Running::read(&cx.home).map(|running| format!("http://{}", running.http)));
        urls.extend(cx.config()?.client.url);
    }
    if urls.is_empty() {
        return Err(Unreachable(format!("no node runs on {}; {START}", cx.home.display())).into());
    }
    // The home's secret is for nodes on this machine; elsewhere it would only be read along the way.
    let token = if urls.iter().all(|url| is_local(url)) { Token::load(&cx.home)? } else { None };
    Ok(Remote::new(&urls, token)?)
}

/// The node that runs on a home, if it left word; it may have ended since.
pub(crate) fn running(home: &Path) -> Option<Remote> {
    let url = format!("http://{}", Running::read(home)?.http);
    Remote::new(&[url], Token::load(home).ok()?).ok()
}

/// Whether a URL leads to this machine.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

const START: &str = "start one with `lfdns node`, or name one with --url";

/// A node if one can be asked; else the home's store, opened here. With --url only a node will do.
pub(crate) fn node_or_store(cx: &Cx) -> anyhow::Result<Box<dyn Lf>> {
    let reached = connect(cx).and_then(|remote| {
        remote.status()?;
        Ok(remote)
    });
    match reached {
        Ok(remote) => Ok(Box::new(remote)),
        Err(error) if cx.url.is_empty() && is_unreachable(&error) => {
            Ok(Box::new(Local::open(&cx.home, &cx.config()?.store, clock())?))
        }
        Err(error) => Err(error),
    }
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Unreachable>().is_some()
        || matches!(error.downcast_ref(), Some(LfError::NotReachable(_)))
}

/// Hands one finished record in.
pub(crate) fn post(lf: &dyn Lf, record: Record, id: RecordId) -> anyhow::Result<()> {
    let report = lf.post(&[record])?;
    match report.refused.into_iter().next() {
        Some(refused) => anyhow::bail!("{id} was refused: {}", refused.reason),
        None if report.accepted + report.known == 1 => Ok(()),
        None => anyhow::bail!("{id} waits: the clocks of this program and of the node differ"),
    }
}

/// Says what a person can do about a failure of the connection.
pub(crate) fn advise(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(LfError::NotReachable(_)) => Unreachable(format!("{error}; {START}")).into(),
        Some(LfError::Refused(refused)) if refused.status == 401 => {
            error.context("the node wants its token: use its own home (--home DIR)")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_loopback_is_this_machine() {
        for url in ["http://127.0.0.1:9980", "http://localhost:1/", "http://[::1]:9980", "127.0.0.1:9980"] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "http://192.0.2.1:9980",
            "http://127.0.0.1.example.net:1",
            "http://example.net",
            "http://[2001:db8::1]:1",
            "http://127.0.0.1@example.net/",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
