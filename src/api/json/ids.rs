//! Owners and record ids in JSON: the strings `@…` and `=…`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::record::{OwnerKey, RecordId};

/// An owner, as `"@…"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerText(pub OwnerKey);

/// A record id, as `"=…"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashText(pub RecordId);

macro_rules! as_string {
    ($($outer:ident($inner:ident)),*) => {$(
        impl fmt::Display for $outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $outer {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $outer {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse::<$inner>().map($outer).map_err(D::Error::custom)
            }
        }
    )*};
}
as_string!(OwnerText(OwnerKey), HashText(RecordId));
