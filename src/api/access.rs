//! Who may do what: pure decisions on a request's head.
//!
//! A request must call us by a name that is ours (DNS rebinding: a hostile page's own name, made to point to
//! 127.0.0.1, arrives here in its `Host`). Programs on this machine may read. Whoever writes, or comes from
//! elsewhere, shows the token; `trust_loopback` lets local programs write without it, but never a browser.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Uri, header};

use super::{Config, Refused, Token};

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What a caller has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The token.
    Bearer,
    /// That it runs on this machine.
    Local,
    /// That it runs on this machine and is, or speaks for, a web page.
    LocalPage,
    /// Nothing.
    Stranger,
}

/// The rules by which callers are judged.
pub(crate) struct Access {
    token: Token,
    hosts: Vec<String>,
    trust_loopback: bool,
}

impl Access {
    pub(crate) fn new(config: &Config, token: Token) -> Access {
        let hosts = config.hosts.iter().map(|h| canonical_host(h)).collect();
        Access { token, hosts, trust_loopback: config.trust_loopback }
    }

    /// Who calls, if the request is for us at all.
    pub(crate) fn admit(&self, ends: Ends, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Refused> {
        self.check_host(ends, uri, headers)?;
        match headers.get(header::AUTHORIZATION) {
            Some(value) if self.is_bearer(value.as_bytes()) => Ok(Caller::Bearer),
            Some(_) => Err(Refused::new(401, "the bearer token is not this node's: it is in HOME/api.token")),
            None if !is_loopback(ends.peer.ip()) => Ok(Caller::Stranger),
            // Browsers say where a request that could do harm comes from (Fetch standard, "Origin header").
            None if headers.contains_key(header::ORIGIN) => Ok(Caller::LocalPage),
            None => Ok(Caller::Local),
        }
    }

    pub(crate) fn may_read(caller: Caller) -> Result<(), Refused> {
        match caller {
            Caller::Stranger => {
                Err(Refused::new(401, "from another machine every request needs the bearer token"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn may_write(&self, caller: Caller) -> Result<(), Refused> {
        match caller {
            Caller::Bearer => Ok(()),
            Caller::Local if self.trust_loopback => Ok(()),
            _ => Err(Refused::new(
                401,
                "writing needs the bearer token in HOME/api.token (Authorization: Bearer …), or api.trust_loopback",
            )),
        }
    }

    fn is_bearer(&self, value: &[u8]) -> bool {
        // RFC 9110 §11.1: the scheme's case does not matter.
        let scheme_len = "Bearer ".len();
        value.len() > scheme_len
            && value[..scheme_len].eq_ignore_ascii_case(b"Bearer ")
            && self.token.matches(&value[scheme_len..])
    }

    fn check_host(&self, ends: Ends, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let mut named = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            // RFC 9112 §3.2
            return Err(Refused::new(400, "a request has exactly one Host header"));
        };
        let host = host.to_str().unwrap_or_default();
        // In absolute form the target's authority counts (RFC 9112 §3.2.2); neither may be foreign.
        let foreign = |host: &str| !self.is_ours(ends, &canonical_host(without_port(host)));
        match [Some(host), uri.authority().map(axum::http::uri::Authority::as_str)]
            .into_iter()
            .flatten()
            .find(|host| foreign(host))
        {
            None => Ok(()),
            Some(host) => Err(Refused::new(
                403,
                format!(
                    "this node is not called '{}': use a loopback address, or list the name in api.hosts",
                    host.escape_default()
                ),
            )),
        }
    }

    fn is_ours(&self, ends: Ends, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return is_loopback(ip) || ip.to_canonical() == ends.local.ip().to_canonical();
        }
        host == "localhost" || host.ends_with(".localhost") || self.hosts.iter().any(|ours| ours == host)
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn canonical_host(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// `host:port` or `[v6]:port` without the port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((front, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !front.ends_with(':') => {
            // An IPv6 address without brackets has colons of its own.
            if front.contains(':') && !front.starts_with('[') { host } else { front }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const LOOPBACK: Ends = ends([127, 0, 0, 1]);
    const ELSEWHERE: Ends = ends([192, 0, 2, 7]);

    const fn ends(peer: [u8; 4]) -> Ends {
        Ends {
            peer: SocketAddr::new(
                IpAddr::V4(std::net::Ipv4Addr::new(peer[0], peer[1], peer[2], peer[3])),
                40_000,
            ),
            local: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 9980),
        }
    }

    fn access(trust_loopback: bool) -> (Access, Token) {
        let token = Token::random().unwrap();
        let config = Config { trust_loopback, hosts: vec!["LF.example.".into()], ..Config::default() };
        (Access::new(&config, token.clone()), token)
    }

    fn head(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (axum::http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn admit(access: &Access, ends: Ends, pairs: &[(&'static str, &str)]) -> Result<Caller, u16> {
        access.admit(ends, &Uri::from_static("/query"), &head(pairs)).map_err(|r| r.status)
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        let (access, _) = access(false);
        for host in [
            "127.0.0.1:9980",
            "127.8.8.8",
            "localhost",
            "LOCALHOST:1",
            "a.localhost",
            "[::1]:9980",
            "::1",
            "lf.example:9980",
            "lf.example.",
            "192.0.2.1:9980",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(admit(&access, LOOPBACK, &[("host", host)]), Ok(Caller::Local), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "192.0.2.9", "", "lf.example:x"]
        {
            assert_eq!(admit(&access, LOOPBACK, &[("host", host)]), Err(403), "{host}");
        }
        assert_eq!(admit(&access, LOOPBACK, &[]), Err(400));
        assert_eq!(admit(&access, LOOPBACK, &[("host", "localhost"), ("host", "evil.example")]), Err(400));
    }

    #[test]
    fn an_absolute_target_does_not_hide_a_foreign_name() {
        let (access, _) = access(false);
        let uri = Uri::from_static("http://evil.example/query");
        let refused = access.admit(LOOPBACK, &uri, &head(&[("host", "localhost")])).unwrap_err();
        assert_eq!(refused.status, 403);
        assert!(refused.message.contains("evil.example"));
    }

    #[test]
    fn local_programs_read_and_the_token_writes() {
        let (access, token) = access(false);
        let bearer = format!("bearer {}", token.reveal());
        let shown = admit(&access, ELSEWHERE, &[("host", "localhost"), ("authorization", &bearer)]);
        assert_eq!(shown, Ok(Caller::Bearer));
        assert!(access.may_write(Caller::Bearer).is_ok());
        assert!(Access::may_read(Caller::Local).is_ok());
        assert!(access.may_write(Caller::Local).is_err());
        assert_eq!(admit(&access, ELSEWHERE, &[("host", "localhost")]), Ok(Caller::Stranger));
        assert!(Access::may_read(Caller::Stranger).is_err());
    }

    #[test]
    fn a_wrong_token_is_refused_even_where_none_is_needed() {
        let (access, _) = access(true);
        for value in ["Bearer ", "Bearer x", "Basic abc", "Bearer"] {
            assert_eq!(
                admit(&access, LOOPBACK, &[("host", "localhost"), ("authorization", value)]),
                Err(401)
            );
        }
    }

    #[test]
    fn trusting_loopback_does_not_extend_to_web_pages_or_other_machines() {
        let (access, _) = access(true);
        let page = [("host", "localhost"), ("origin", "https://evil.example")];
        assert_eq!(admit(&access, LOOPBACK, &page), Ok(Caller::LocalPage));
        assert!(access.may_write(Caller::LocalPage).is_err());
        assert!(access.may_write(Caller::Local).is_ok());
        assert!(access.may_write(Caller::Stranger).is_err());
    }
}
