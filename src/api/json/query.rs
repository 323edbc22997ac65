//! `/query`: what is asked and what is found.

use serde::{Deserialize, Serialize};

use super::{Blob, HashText, OwnerText, RecordJson, null_is_default};
use crate::record::OwnerKey;

/// One selector, or a range of its ordinals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct QueryRange {
    /// The selector's name in the clear.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Blob::is_empty")]
    pub name: Blob,
    /// One ordinal, or the first and the last of a range; none: ordinal 0.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<u64>,
    /// Instead of name and range: one key or the first and the last of a range, 48 bytes each: the
    /// selector's public key and a masked ordinal. So the node does not learn the name.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub key_range: Vec<Blob>,
}

/// A query: the newest value of every key that all ranges match, from every owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Query {
    /// One for each selector, in order.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<QueryRange>,
    /// Unix seconds: from the first on, until the second at the latest. Of each key the newest record not
    /// later than the second counts, and is shown if it is not earlier than the first.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub time_range: Vec<u64>,
    /// Opens the values; without it the first range's name does.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Blob::is_empty")]
    pub masking_key: Blob,
    /// Only these owners' records, and in this order.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OwnerText>,
    /// The most records of each key; 0 or none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// `timestamp`: newest first. Without it owners come as the query lists them, else by age.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub sort_order: String,
    /// Also records with selectors beyond those asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Not known to this version; refused unless empty.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub oracles: Vec<OwnerText>,
}

/// One record found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct QueryResult {
    /// Its id.
    pub hash: HashText,
    /// Bytes of the record, its value included.
    pub size: usize,
    /// The record; its value is the masked one.
    pub record: RecordJson,
    /// The value in the clear, if it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Blob>,
    /// The value did not open with the masking key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmasking_failed: Option<bool>,
    /// The ordinals in the clear, `null` where the query does not tell the selector's name.
    #[serde(default)]
    pub ordinals: Vec<Option<u64>>,
}

/// One list for each key, sorted by ordinals; in each the best first.
pub type QueryResults = Vec<Vec<QueryResult>>;

impl Query {
    /// Exactly one key, its best or one owner's value.
    pub fn exactly(selectors: &[(&[u8], u64)], owner: Option<&OwnerKey>) -> Query {
        Query {
            ranges: selectors.iter().map(|(name, ordinal)| QueryRange::one(name, *ordinal)).collect(),
            owners: owner.map(|owner| OwnerText(*owner)).into_iter().collect(),
            limit: Some(1),
            ..Query::default()
        }
    }
}

impl QueryRange {
    /// One ordinal of a name.
    pub fn one(name: &[u8], ordinal: u64) -> QueryRange {
        QueryRange { name: name.into(), range: vec![ordinal], key_range: vec![] }
    }

    /// All ordinals of a name from `first` to `last`.
    pub fn span(name: &[u8], first: u64, last: u64) -> QueryRange {
        QueryRange { name: name.into(), range: vec![first, last], key_range: vec![] }
    }
}

impl QueryResult {
    /// The value as text, if it was opened and is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value.as_ref()?.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controllers_query_is_read_with_all_of_its_numbers() {
        let owner = OwnerKey([7; 32]);
        let json = format!(
            r#"{{"Ranges":[{{"Name":"com.zerotier.controller.lfdb:8056c2e21c/network","Range":[0,18446744073709551615]}}],
                "TimeRange":[1575000000,9223372036854775807],"MaskingKey":"secret","Owners":["{owner}"]}}"#
        );
        let query: Query = serde_json::from_str(&json).unwrap();
        assert_eq!(query.ranges[0].range, [0, u64::MAX]);
        assert_eq!(query.time_range, [1_575_000_000, i64::MAX as u64]);
        assert_eq!(query.owners, [OwnerText(owner)]);
    }

    #[test]
    fn an_unknown_field_and_a_number_beyond_u64_are_refused() {
        let refused = |json: &str| serde_json::from_str::<Query>(json).unwrap_err().to_string();
        assert!(refused(r#"{"Range":[]}"#).contains("unknown field"));
        assert!(refused(r#"{"Ranges":[{"Name":"a","Range":[18446744073709551616]}]}"#).contains("u64"));
        assert!(refused(r#"{"Ranges":[{"Name":"a","Range":[-1]}]}"#).contains("u64"));
    }

    #[test]
    fn nulls_count_as_absent() {
        let query: Query = serde_json::from_str(
            r#"{"Ranges":null,"MaskingKey":null,"Limit":null,"Open":null,"Oracles":null}"#,
        )
        .unwrap();
        assert_eq!(query, Query::default());
        assert_eq!(serde_json::to_string(&query).unwrap(), "{}");
    }
}
