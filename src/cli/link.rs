//! How a command reaches a node: by URL, or through the home; and what to say if none is there.

use std::path::Path;

use super::Cx;
use super::fail::Unreachable;
use crate::api::{Lf, LfError, Local, Remote, Token, UNAUTHORIZED, is_local};
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

/// The nodes to ask, in turn: those named, else the one on this home, else those of its configuration.
pub(crate) fn connect(cx: &Cx) -> anyhow::Result<Remote> {
    let mut nodes = named(&cx.url, cx)?;
    if nodes.is_empty() {
        let running = Running::read(&cx.home);
        if let Some(running) = &running {
            // Where a node was killed somebody else may listen by now.
            let token = if running.is_alive() { Token::load(&cx.home)? } else { None };
            nodes.push((running.url(), token));
        }
        // What a node that was killed left behind is no reason not to ask others.
        if !running.is_some_and(|running| running.is_alive()) {
            nodes.extend(named(&cx.config()?.client.url, cx)?);
        }
    }
    if nodes.is_empty() {
        return Err(Unreachable(format!("no node runs on {}; {START}", cx.home.display())).into());
    }
    Ok(Remote::with_tokens(nodes)?)
}

/// Nodes by URL, each with what it may be told: the token given for them, else the home's to those on this
/// machine. Elsewhere the home's secret would only be read along the way.
fn named(urls: &[String], cx: &Cx) -> anyhow::Result<Vec<(String, Option<Token>)>> {
    let given = cx.token()?;
    let token = |url: &String| match &given {
        Some(given) => Ok(Some(given.clone())),
        None if is_local(url) => Token::load(&cx.home),
        None => Ok(None),
    };
    urls.iter().map(|url| Ok((url.clone(), token(url)?))).collect()
}

/// The node that runs on a home.
pub(crate) fn running(home: &Path) -> Option<Remote> {
    let running = Running::read(home).filter(Running::is_alive)?;
    Remote::new(&[running.url()], Token::load(home).ok()?).ok()
}

const START: &str = "start one with `lfdns node`, or name one with --url";

const TOKEN: &str = "the node wants its token: --token FILE names a copy of that node's HOME/api.token";

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
        Some(LfError::Refused(refused)) if refused.status == UNAUTHORIZED => error.context(TOKEN),
        Some(LfError::NoToken(_)) => error.context(TOKEN),
        _ => error,
    }
}
