//! How a command reaches a node.

use super::Cx;
use super::fail::Done;

pub(crate) fn owner_status(_who: Option<&str>, _cx: &Cx) -> anyhow::Result<Done> {
    Ok(Done::Well)
}
