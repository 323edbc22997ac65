//! What `lfdns network show` prints for a friend: the network's founding and who has its records.

use super::{Cx, link};
use crate::api::json::{Invitation, Status};
use crate::api::{Lf, Remote, reachable};
use crate::node::peers;
use crate::store::Store;
use crate::sync::{NodeKey, PeerAddress};

/// An invitation to the home's network: this node if it runs, then the peers that its operator and the rules
/// name.
pub(crate) fn invitation(store: &Store, cx: &Cx) -> anyhow::Result<Invitation> {
    let rules = store.rules();
    let mut named = Vec::new();
    if let Some((node, status)) = running(cx) {
        named.extend(own(&status));
        let wanted = |origin: &str| origin == "operator" || origin == "rules";
        let known = node.peers().unwrap_or_default().into_iter().filter(|peer| wanted(&peer.origin));
        named.extend(known.filter_map(|peer| peer.address?.parse().ok()));
    } else {
        named.extend(cx.config()?.sync.peers);
        named.extend(peers::load(&cx.home).unwrap_or_default().peers);
    }
    named.extend(PeerAddress::list(&rules.seed_peers));
    Ok(Invitation::new(&rules.name, &store.founding()?, &named))
}

/// The node of this home, if it answers.
fn running(cx: &Cx) -> Option<(Remote, Status)> {
    let node = link::running(&cx.home)?;
    let status = node.status().ok()?;
    Some((node, status))
}

fn own(status: &Status) -> Vec<PeerAddress> {
    let key: Option<NodeKey> = status.key.as_deref().and_then(|key| key.parse().ok());
    let bound: Vec<_> = status.quic.iter().filter_map(|at| at.parse().ok()).collect();
    let mut ours = peers::own_addresses();
    if ours.is_empty() {
        ours.push([127, 0, 0, 1].into());
    }
    reachable(&bound, &ours).into_iter().map(|at| PeerAddress::of(at, key)).collect()
}

/// The invitation and what to do with it.
pub(crate) fn text(invitation: &Invitation, cx: &Cx) -> String {
    let line = serde_json::to_string(invitation).expect("an invitation has string keys");
    let far = |peer: &String| {
        let address: Option<PeerAddress> = peer.parse().ok();
        address.is_some_and(|address| address.socket().is_none_or(|at| !at.ip().is_loopback()))
    };
    let remark = match &invitation.peers[..] {
        [] => "it names no peer: start this node first, or name peers in the rules or the configuration",
        peers if !peers.iter().any(far) => {
            "it names this machine only: from elsewhere this node is reached with `lfdns node --quic ADDR`"
        }
        _ => "whoever has it is a member",
    };
    let head = "an invitation; save the next line and hand it over: lfdns network join FILE";
    format!("{}\n{}\n{line}\n", cx.out.bold(head), cx.out.dim(&format!("({remark})")))
}
