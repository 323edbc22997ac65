//! How a command ends: 0 done, 1 failed, 2 usage or a difference found, 3 no node.

use std::fmt;
use std::process::ExitCode;

/// A command that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// And all is well.
    Well,
    /// And found what it was asked to look for: a difference, damage, nothing at all.
    Differs,
}

/// The command makes no sense as it was written.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// No node answered.
#[derive(Debug)]
pub(crate) struct Unreachable(pub(crate) String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// A usage error.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// What a script sees of a command's end.
pub(crate) fn code(result: &anyhow::Result<Done>) -> ExitCode {
    ExitCode::from(match result {
        Ok(Done::Well) => 0,
        Ok(Done::Differs) => 2,
        Err(error) if error.downcast_ref::<Usage>().is_some() => 2,
        Err(error) if error.downcast_ref::<Unreachable>().is_some() => 3,
        Err(_) => 1,
    })
}
