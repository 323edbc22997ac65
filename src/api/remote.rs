//! [`Lf`] on a node by URL, or on several: each is tried in turn when one cannot be reached, beginning with
//! the one that answered last. Blocking, without TLS: nodes are asked on loopback or through a tunnel.

use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::error::Tried;
use super::explain::Sink;
use super::frames::{self, RECORDS_TYPE};
use super::handlers::{LINK_SETS_MAX, SLOTS_MAX};
use super::json::{
    Blob, ErrorBody, Invitation, LinkJson, NewestRequest, NewestTimes, OwnerText, PeerJson, PeersChange,
    PostReport, Query, QueryResults, Status, ZoneLine,
};
use super::lf::{Lf, Network};
use super::{LfError, Refused, Token};
use crate::record::{Link, Millis, NetworkId, OwnerKey, PathKey, Record, RecordId, Rules};

/// A node on this machine or in its neighbourhood accepts a connection by then.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// It takes the next bytes, and begins to answer, by then: a batch is fsynced before.
const ANSWER_DEADLINE: Duration = Duration::from_mins(2);
/// Bytes of an answer.
const ANSWER_MAX: u64 = 256 << 20;
/// Bytes of a refusal's words.
const REFUSAL_MAX: u64 = 64 << 10;
/// Bytes of one line of a listing.
const LINE_MAX: u64 = 1 << 20;
/// Names of one lesson; each has at most a kilobyte, written as numbers some four times that.
const NAMES_EACH: usize = 512;
/// The status of a node that wants its token (RFC 9110 §15.5.2).
pub const UNAUTHORIZED: u16 = 401;
const JSON: &str = "application/json";

/// Nodes by URL.
pub struct Remote {
    nodes: Vec<At>,
    agent: Agent,
    current: AtomicUsize,
}

/// One node: where it is, and its token, which no other gets to see.
struct At {
    url: String,
    token: Option<Token>,
}

/// A request, before it is known which node it goes to.
struct Ask<'a> {
    path: &'a str,
    params: &'a [(&'a str, &'a str)],
    /// Media type and bytes; none: GET.
    body: Option<(&'a str, &'a [u8])>,
}

impl Remote {
    /// Nodes to ask, in order, that share a token; without it they are only read from.
    pub fn new<S: AsRef<str>>(urls: &[S], token: Option<Token>) -> Result<Remote, LfError> {
        let tokens = std::iter::repeat_n(token, urls.len());
        Remote::with_tokens(urls.iter().map(|url| url.as_ref().to_owned()).zip(tokens))
    }

    /// Nodes to ask, in order, each with its own token, if it shall be written to.
    pub fn with_tokens(nodes: impl IntoIterator<Item = (String, Option<Token>)>) -> Result<Remote, LfError> {
        let at = |(url, token): (String, _)| Ok(At { url: node_url(&url)?, token });
        let nodes: Vec<At> = nodes.into_iter().map(at).collect::<Result<_, LfError>>()?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A proxy for the world is none for this machine.
            .proxy(None)
            .user_agent(concat!("lfdns/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_DEADLINE))
            .timeout_per_read(Some(ANSWER_DEADLINE))
            .timeout_per_write(Some(ANSWER_DEADLINE))
            .build()
            .new_agent();
        Ok(Remote { nodes, agent, current: AtomicUsize::new(0) })
    }

    /// Asks the nodes in turn until one answers; its URL and its answer, if that is not a refusal. Who only
    /// misses a token is passed over: nothing was done there.
    fn ask(&self, ask: &Ask<'_>) -> Result<(&str, Response<Body>), LfError> {
        let (mut tried, mut closed) = (Vec::new(), Vec::new());
        let first = self.current.load(Ordering::Relaxed);
        for turn in 0..self.nodes.len() {
            let at = (first + turn) % self.nodes.len();
            let node = &self.nodes[at];
            match self.send(node, ask).map(refusal_or) {
                Ok(Err(refused)) if refused.status == UNAUTHORIZED => {
                    closed.push(format!("{}: {}", node.url, refused.message));
                }
                Ok(answered) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok((&node.url, answered?));
                }
                Err(error) => tried.push(Tried { url: node.url.clone(), why: error.to_string() }),
            }
        }
        if closed.is_empty() {
            return Err(LfError::NotReachable(tried));
        }
        Err(Refused::new(UNAUTHORIZED, closed.join("; ")).into())
    }

    fn send(&self, node: &At, ask: &Ask<'_>) -> Result<Response<Body>, ureq::Error> {
        let target = format!("{}{}", node.url, ask.path);
        let bearer = node.token.as_ref().map(|t| format!("Bearer {}", t.reveal()));
        let params = || ask.params.iter().copied();
        match ask.body {
            None => {
                let request = self.agent.get(&target).query_pairs(params()).header("accept", JSON);
                bearer.into_iter().fold(request, |r, b| r.header("authorization", b)).call()
            }
            Some((media, body)) => {
                let request = self.agent.post(&target).query_pairs(params()).content_type(media);
                bearer.into_iter().fold(request, |r, b| r.header("authorization", b)).send(body)
            }
        }
    }

    fn bytes(&self, ask: &Ask<'_>) -> Result<(&str, Vec<u8>), LfError> {
        let (url, mut response) = self.ask(ask)?;
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        // A node that goes away while it answers is not reachable either.
        let lost =
            |e: ureq::Error| LfError::NotReachable(vec![Tried { url: url.into(), why: e.to_string() }]);
        Ok((url, body.map_err(lost)?))
    }

    fn json<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Result<T, LfError> {
        let (url, body) = self.bytes(ask)?;
        serde_json::from_slice(&body).map_err(|e| LfError::Answer { url: url.into(), what: e.to_string() })
    }

    fn get<T: DeserializeOwned>(&self, path: &str, params: &[(&str, &str)]) -> Result<T, LfError> {
        self.json(&Ask { path, params, body: None })
    }

    fn tell<T: DeserializeOwned>(&self, path: &str, what: &impl Serialize) -> Result<T, LfError> {
        let body = serde_json::to_vec(what).expect("requests have string keys");
        self.json(&Ask { path, params: &[], body: Some((JSON, &body)) })
    }

    /// The peers of the node.
    pub fn peers(&self) -> Result<Vec<PeerJson>, LfError> {
        self.get("/peers", &[])
    }

    /// Adds a peer to the node's, or removes one; returns those it has now.
    pub fn change_peers(&self, change: &PeersChange) -> Result<Vec<PeerJson>, LfError> {
        self.tell("/peers", change)
    }

    /// What the node hands to one that wants to join its network.
    pub fn invitation(&self) -> Result<Invitation, LfError> {
        self.get("/invitation", &[])
    }

    /// All of the node's records, as an export that is read while it arrives.
    pub fn dump(&self) -> Result<Box<dyn Read>, LfError> {
        let (_, response) = self.ask(&Ask { path: "/dumprecords", params: &[], body: None })?;
        Ok(Box::new(response.into_body().into_with_config().limit(u64::MAX).reader()))
    }

    fn nonsense(&self, what: impl Into<String>) -> LfError {
        LfError::Answer { url: self.node().url.clone(), what: what.into() }
    }

    /// The node that answered last.
    fn node(&self) -> &At {
        &self.nodes[self.current.load(Ordering::Relaxed)]
    }
}

/// `http://host[:port]`, without a slash at its end.
fn node_url(text: &str) -> Result<String, LfError> {
    let wrong = |why| LfError::Url { url: text.to_owned(), why };
    let uri: Uri = text.parse().map_err(|_| wrong("it is no URL"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(wrong("TLS is not built in; use a tunnel such as ssh -L")),
        _ => return Err(wrong("it does not begin with http://")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    if has_user(&uri) {
        return Err(wrong("it names a user, which no node asks for"));
    }
    if uri.query().is_some() {
        return Err(wrong("it has a query part"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `user@` before the host (RFC 3986 §3.2.1), which makes a URL seem to lead elsewhere than it does.
fn has_user(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

/// Whether a URL leads to this machine.
pub fn is_local(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().filter(|_| !has_user(&uri)).unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Turns an answer with an error status into what it says.
fn refusal_or(mut response: Response<Body>) -> Result<Response<Body>, Refused> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.body_mut().with_config().limit(REFUSAL_MAX).read_to_vec().unwrap_or_default();
    let message = match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(error) => error.message,
        Err(_) => format!("HTTP status {status}"),
    };
    Err(Refused::new(status.as_u16(), message))
}

impl Lf for Remote {
    fn status(&self) -> Result<Status, LfError> {
        self.get("/status", &[])
    }

    fn network(&self) -> Result<Network, LfError> {
        let mut silent = Vec::new();
        let (status, id) = loop {
            let status = self.status()?;
            if let Some(id) = status.network.clone() {
                break (status, id);
            }
            silent.push(self.node().url.clone());
            if silent.len() >= self.nodes.len() {
                silent.dedup();
                return Err(LfError::NoToken(silent.join(", ")));
            }
            // Another may know us better.
            let next = (self.current.load(Ordering::Relaxed) + 1) % self.nodes.len();
            self.current.store(next, Ordering::Relaxed);
        };
        let id = NetworkId::from_hex(&id).map_err(|e| self.nonsense(e.to_string()))?;
        let rules = serde_json::to_vec(&status.network_rules).expect("a JSON value serializes");
        let rules = Rules::parse(&rules).map_err(|e| self.nonsense(e.to_string()))?;
        Ok(Network { id, rules })
    }

    fn query(&self, query: &Query) -> Result<QueryResults, LfError> {
        self.tell("/query", query)
    }

    fn record(&self, id: &RecordId) -> Result<Option<Record>, LfError> {
        let path = format!("/record/raw/{id}");
        match self.bytes(&Ask { path: &path, params: &[], body: None }) {
            Ok((url, body)) => Record::decode(&body)
                .map(Some)
                .map_err(|e| LfError::Answer { url: url.into(), what: e.to_string() }),
            Err(LfError::Refused(refused)) if refused.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn post(&self, records: &[Record]) -> Result<PostReport, LfError> {
        let mut stream = Vec::with_capacity(records.len() * 400);
        for record in records {
            frames::write(&record.encode(), &mut stream);
        }
        self.json(&Ask { path: "/post", params: &[], body: Some((RECORDS_TYPE, &stream)) })
    }

    fn links(&self, count: usize) -> Result<Vec<Vec<Link>>, LfError> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let n = (count - all.len()).min(LINK_SETS_MAX);
            let sets: Vec<Vec<LinkJson>> = self.get("/links", &[("n", &n.to_string())])?;
            if sets.len() != n {
                return Err(self.nonsense(format!("{} sets of links instead of {n}", sets.len())));
            }
            all.extend(sets.into_iter().map(|set| set.into_iter().map(Link::from).collect()));
        }
        Ok(all)
    }

    fn newest(&self, owner: &OwnerKey, slots: &[PathKey]) -> Result<Vec<Option<Millis>>, LfError> {
        let mut all = Vec::with_capacity(slots.len());
        for part in slots.chunks(SLOTS_MAX) {
            let slots = part.iter().map(|slot| Blob::from(&slot.0)).collect();
            let times: NewestTimes =
                self.tell("/newest", &NewestRequest { owner: OwnerText(*owner), slots })?;
            if times.times_millis.len() != part.len() {
                return Err(self.nonsense("a different number of times than of slots"));
            }
            all.extend(times.times_millis.into_iter().map(|t| t.map(Millis)));
        }
        Ok(all)
    }

    fn teach(&self, names: &[Vec<u8>]) -> Result<(), LfError> {
        for part in names.chunks(NAMES_EACH) {
            let part: Vec<Blob> = part.iter().map(Blob::from).collect();
            self.tell::<serde_json::Value>("/names", &part)?;
        }
        Ok(())
    }

    fn explain(&self, name: &str, rtype: Option<&str>) -> Result<serde_json::Value, LfError> {
        let mut params = vec![("name", name)];
        params.extend(rtype.map(|rtype| ("type", rtype)));
        self.get("/explain", &params)
    }

    fn list_zone(&self, suffix: &str, owner: Option<&OwnerKey>, sink: Sink<'_>) -> Result<(), LfError> {
        let owner = owner.map(ToString::to_string);
        let mut params = vec![("suffix", suffix)];
        params.extend(owner.as_deref().map(|owner| ("owner", owner)));
        let (url, response) = self.ask(&Ask { path: "/zone", params: &params, body: None })?;
        let answer = |what: String| LfError::Answer { url: url.to_owned(), what };
        let mut reader = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        let mut line = Vec::new();
        loop {
            line.clear();
            let lost = |e: std::io::Error| {
                LfError::NotReachable(vec![Tried { url: url.into(), why: e.to_string() }])
            };
            let len = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).map_err(lost)?;
            if len == 0 {
                return Ok(());
            }
            match serde_json::from_slice(&line).map_err(|e| answer(e.to_string()))? {
                ZoneLine::Entry(entry) => {
                    if !sink(entry) {
                        return Ok(());
                    }
                }
                ZoneLine::Failed(failed) => {
                    let status = u16::try_from(failed.code).unwrap_or(500);
                    return Err(Refused::new(status, failed.message).into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for url in ["http://127.0.0.1:9980", "http://localhost:1/", "http://[::1]:9980", "127.9.9.9"] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "http://192.0.2.1:9980",
            "http://127.0.0.1.example.net:1",
            "http://example.net",
            "http://[2001:db8::1]:1",
            "http://127.0.0.1@example.net/",
            "http://127.0.0.1:80@example.net/",
            "http://[::1]:80@example.net/",
            "http://a@127.0.0.1/",
            "http://example.net/@127.0.0.1",
            "",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[test]
    fn a_url_with_a_user_is_refused() {
        for url in ["http://127.0.0.1:80@example.net/", "http://me@localhost:9980"] {
            let error = node_url(url).unwrap_err().to_string();
            assert!(error.contains("names a user"), "{error}");
        }
    }
}
