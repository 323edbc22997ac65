//! What `lfdns network show` prints for a friend: the network's founding and who has its records.

use super::{Cx, link};
use crate::api::json::{Invitation, PeerJson, Status};
use crate::api::{Lf, Reader, Remote, invited, reachable};
use crate::node::peers;
use crate::store::Store;
use crate::sync::{NodeKey, PeerAddress};

/// An invitation to the home's network: this node if it runs, then the peers that its operator and the rules
/// name.
pub(crate) fn invitation(store: &Store, cx: &Cx) -> anyhow::Result<Invitation> {
    let rules = store.rules();
    let (own, named) = if let Some((node, status)) = running(cx) {
        let known = node.peers().unwrap_or_default();
        (own(&status), known.iter().filter_map(PeerJson::named).collect())
    } else {
        let mut named = cx.config()?.sync.peers;
        named.extend(peers::load(&cx.home).unwrap_or_default().peers);
        (Vec::new(), named)
    };
    // A friend may sit at this machine.
    let peers = invited(own, named, PeerAddress::list(&rules.seed_peers), Reader::Here);
    Ok(Invitation::new(&rules.name, &store.founding()?, &peers))
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
