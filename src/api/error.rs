//! What can go wrong between a program and a node.

use crate::record::MintError;
use crate::store::{Refusal, StoreError};

use super::TokenError;

/// A request that was answered with a refusal: its HTTP status and the reason, for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// Why.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refused {
        Refused { status, message: message.into() }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        let status = match &error {
            StoreError::NoRange | StoreError::TooBroad(_) => 400,
            StoreError::ReadOnly | StoreError::Busy(_) | StoreError::Closed => 503,
            _ => 500,
        };
        Refused::new(status, error.to_string())
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Refused {
        let status = match refusal {
            Refusal::DiskFull { .. } => 507,
            Refusal::Storage(_) => 500,
            Refusal::ReadOnly | Refusal::Closed => 503,
            _ => 400,
        };
        Refused::new(status, refusal.to_string())
    }
}

/// Why a call on [`super::Lf`] failed.
#[derive(Debug, thiserror::Error)]
pub enum LfError {
    /// No node answered.
    #[error("no node reachable: {}", tried(.0))]
    NotReachable(Vec<Tried>),
    /// A node answered that it will not.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The record cannot be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// One of many records cannot be made.
    #[error("entry {index}: {error}")]
    MintAt {
        /// Which, from 0. Earlier batches are stored.
        index: u64,
        /// Why.
        error: MintError,
    },
    /// What answered is no node of ours, or of a later version.
    #[error("{url} answered with something this program does not understand: {what}")]
    Answer {
        /// Which.
        url: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// Not a URL of a node.
    #[error("'{url}' is not a node's URL: {why}; expected one such as http://127.0.0.1:9980")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The call needs what the node tells only to the holder of its token.
    #[error("{0} does not tell the network id without its token, which writing needs: HOME/api.token")]
    NoToken(String),
    /// The token in the home.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store in this process.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for LfError {
    fn from(error: StoreError) -> LfError {
        match error {
            StoreError::NoRange | StoreError::TooBroad(_) => LfError::Refused(error.into()),
            other => LfError::Store(other),
        }
    }
}

/// A node that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub url: String,
    /// What happened.
    pub why: String,
}

fn tried(all: &[Tried]) -> String {
    all.iter().map(|t| format!("{} ({})", t.url, t.why)).collect::<Vec<_>>().join(", ")
}
