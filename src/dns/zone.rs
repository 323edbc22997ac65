//! Zones: the suffixes this node answers for, the path each stands for, and who may speak there.
//!
//! They come from the network's rules, so that nodes agree, and from `zones/*.toml`, which add to them or
//! override them on one node. DESIGN: a zone's `at` is empty for the network's canonical suffix; under that
//! suffix it is the labels there; elsewhere one selector, the suffix without its last dot. docs/DNS.md "Zones".

use std::sync::Arc;

use serde::Deserialize;

use super::name::{DnsName, NameError};
use super::path::Derived;
use crate::record::{Authority, Name, NetworkId, OwnerKey, PathKey, Rules, RulesError, ZoneRule, hash};

/// Default TTL of a zone, seconds.
const DEFAULT_TTL: u32 = 300;
const DEFAULT_LIFETIME_DAYS: u32 = 400;
/// Top-level names that are reserved for uses like ours, so never refused as a suffix although they are
/// registered with nobody.
const TREE_APART: &str = "alt";

/// One zone, ready to answer.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The suffix, lower-cased.
    pub suffix: DnsName,
    /// The selectors it stands for; empty for the whole network.
    pub at: Vec<Vec<u8>>,
    /// Who may speak there.
    pub authority: Authority,
    /// TTL in seconds of what is synthesised and of raw values.
    pub ttl: u32,
    /// Whether only this node has it.
    pub local: bool,
    /// The zone's selectors, derived; below it paths begin here.
    pub base: Derived,
    /// The apex: its selectors, or one empty name where `at` is empty.
    pub apex: Derived,
    /// The name under which the store keeps the zone's serial: its own, since aliases share an apex.
    pub serial: PathKey,
    /// Where names inside record data are written under another suffix than this: (that one, this one).
    pub alias: Option<(DnsName, DnsName)>,
}

/// All zones of a node, longest suffix first.
#[derive(Clone, Debug)]
pub struct Zones {
    /// The network's canonical suffix.
    pub canonical: DnsName,
    zones: Vec<Arc<Zone>>,
}

/// A zone that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The file is not the expected TOML.
    #[error("{0}")]
    Toml(String),
    /// Not a domain name.
    #[error("suffix '{suffix}': {error}")]
    Suffix {
        /// As written.
        suffix: String,
        /// Why.
        error: NameError,
    },
    /// The root.
    #[error("a zone cannot be the root of the DNS")]
    Root,
    /// A top-level domain that others serve.
    #[error(
        "'{0}' is a top-level domain of the public DNS: a zone there would hide it; set `force = true` in the zone's file to do so all the same"
    )]
    PublicTld(String),
    /// An owner nobody knows.
    #[error(
        "authority '{0}' is neither an owner's key (@…) nor the name of an owner of this node (`lfdns owner list`)"
    )]
    UnknownOwner(String),
    /// Another word.
    #[error("authority \"{0}\" is not known to this version: expected \"key\" or a list of owners")]
    UnknownAuthority(String),
    /// A key out of its range.
    #[error(transparent)]
    Rule(#[from] RulesError),
}

/// A `zones/NAME.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneFile {
    /// The suffix, with or without its last dot.
    pub suffix: String,
    /// The path it stands for; by default what the suffix says.
    pub at: Option<Vec<String>>,
    /// Who may speak there: `"key"` or a list of owners, as keys or by the names this node knows them under.
    pub authority: AuthorityText,
    /// Seconds.
    pub ttl: Option<u32>,
    /// Days.
    pub lifetime_days: Option<u32>,
    /// `shared` or `local`.
    pub trust: Option<String>,
    /// A master file with the zone's records, relative to this file.
    pub file: Option<String>,
    /// Text files whose lines are the numbered raw values of a name.
    #[serde(default)]
    pub lines: Vec<Lines>,
    /// Whether a public top-level domain may be hidden.
    #[serde(default)]
    pub force: bool,
}

/// A text file that is read as the numbered raw values of one name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// The name, relative to the zone.
    pub name: String,
    /// The file, relative to the zone's file.
    pub file: String,
}

/// The `authority` of a zone's file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "authority is \"key\" or a list of owners")]
pub enum AuthorityText {
    /// `"key"`.
    Word(String),
    /// Owners.
    Owners(Vec<String>),
}

impl ZoneFile {
    /// Reads a zone's file.
    pub fn parse(text: &str) -> Result<ZoneFile, ZoneError> {
        toml::from_str(text).map_err(|error| ZoneError::Toml(error.to_string()))
    }

    /// The rule it states; `owner` finds the key behind a name of this node's owners.
    pub fn to_rule(
        &self,
        canonical: &DnsName,
        owner: impl Fn(&str) -> Option<OwnerKey>,
    ) -> Result<ZoneRule, ZoneError> {
        let suffix = parse_suffix(&self.suffix)?;
        let top = suffix.labels().next_back().ok_or(ZoneError::Root)?;
        let top = String::from_utf8_lossy(top);
        if !self.force && suffix.label_count() == 1 && top != TREE_APART && tld::exist(&top) {
            return Err(ZoneError::PublicTld(top.into_owned()));
        }
        let at = self.at.clone().unwrap_or_else(|| default_at(&suffix, canonical));
        let rule = ZoneRule {
            suffix: suffix.to_string(),
            at,
            authority: self.authority.resolve(owner)?,
            lifetime_days: self.lifetime_days.unwrap_or(DEFAULT_LIFETIME_DAYS),
            trust: self.trust.clone().unwrap_or_else(|| "shared".into()),
            ttl: self.ttl.unwrap_or(DEFAULT_TTL),
        };
        rule.check()?;
        Ok(rule)
    }

    /// What an operator should know of this zone although it is allowed.
    pub fn warning(&self) -> Option<String> {
        let suffix = parse_suffix(&self.suffix).ok()?;
        let under_alt = suffix.labels().next_back() == Some(TREE_APART.as_bytes());
        under_alt.then(|| {
            format!("{suffix}: some resolvers, systemd-resolved among them, refuse names under alt.")
        })
    }
}

impl AuthorityText {
    fn resolve(&self, owner: impl Fn(&str) -> Option<OwnerKey>) -> Result<Authority, ZoneError> {
        match self {
            AuthorityText::Word(word) if word == "key" => Ok(Authority::Key),
            AuthorityText::Word(word) => Err(ZoneError::UnknownAuthority(word.clone())),
            AuthorityText::Owners(list) => list
                .iter()
                .map(|text| {
                    let key = if text.starts_with('@') { text.parse().ok() } else { owner(text) };
                    key.ok_or_else(|| ZoneError::UnknownOwner(text.clone()))
                })
                .collect::<Result<_, _>>()
                .map(Authority::Owners),
        }
    }
}

fn parse_suffix(text: &str) -> Result<DnsName, ZoneError> {
    DnsName::parse(text, Some(&DnsName::root()))
        .map(|name| name.to_lowercase())
        .map_err(|error| ZoneError::Suffix { suffix: text.to_owned(), error })
}

/// Under the canonical suffix the labels there, outermost first; elsewhere the suffix as one selector.
fn default_at(suffix: &DnsName, canonical: &DnsName) -> Vec<String> {
    match suffix.strip_suffix(canonical) {
        Some(labels) => labels.rev().map(|label| String::from_utf8_lossy(label).into_owned()).collect(),
        None => vec![suffix.to_string().trim_end_matches('.').to_owned()],
    }
}

impl Zones {
    /// The zones of the rules, with a node's own added; a local zone replaces a rule's of the same suffix.
    /// Rules whose suffix is no name (they were checked when they were written) are left out.
    pub fn assemble(network: &NetworkId, rules: &Rules, local: &[ZoneRule]) -> Zones {
        let canonical = parse_suffix(&rules.suffix).unwrap_or_else(|_| DnsName::root());
        let overridden = |rule: &&ZoneRule| !local.iter().any(|l| l.suffix == rule.suffix);
        let shared = rules.zones.iter().filter(overridden).map(|rule| (rule, false));
        let mut zones: Vec<Zone> = shared
            .chain(local.iter().map(|rule| (rule, true)))
            .filter_map(|(rule, local)| Zone::derive(network, rule, local))
            .collect();
        let rooted: Vec<(DnsName, Vec<Vec<u8>>)> = zones
            .iter()
            .filter(|zone| zone.suffix.is_subdomain_of(&canonical))
            .map(|zone| (zone.suffix.clone(), zone.at.clone()))
            .collect();
        for zone in &mut zones {
            zone.alias = alias(zone, &canonical, &rooted);
        }
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.suffix.label_count()));
        Zones { canonical, zones: zones.into_iter().map(Arc::new).collect() }
    }

    /// The zone with the longest suffix of a name.
    pub fn find(&self, name: &DnsName) -> Option<&Arc<Zone>> {
        self.zones.iter().find(|zone| name.is_subdomain_of(&zone.suffix))
    }

    /// The zone of exactly this suffix.
    pub fn exactly(&self, suffix: &DnsName) -> Option<&Arc<Zone>> {
        self.zones.iter().find(|zone| zone.suffix.eq_ignore_case(suffix))
    }

    /// All zones, longest suffix first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.zones.iter()
    }

    /// The cuts (zones' `serial`, key names' paths) whose answers a record of `owner` with these prefix paths may change. `own`
    /// says, for the path of a zone's base, the path of the owner's key name there.
    pub fn cuts_of(
        &self,
        owner: &OwnerKey,
        paths: &[PathKey],
        own: impl Fn(&Zone) -> PathKey,
    ) -> Vec<PathKey> {
        let mut cuts = vec![];
        for zone in self.zones.iter().filter(|zone| zone.covers(paths)) {
            // A zone cut at a deeper zone under the same suffix takes its names out of this one.
            let deeper = |other: &Arc<Zone>| {
                other.at.len() > zone.at.len()
                    && other.suffix.is_subdomain_of(&zone.suffix)
                    && other.covers(paths)
            };
            if self.zones.iter().any(deeper) {
                continue;
            }
            let key_name = own(zone);
            let cut = if paths.contains(&key_name) {
                Some(key_name)
            } else {
                zone.speaks(owner).then_some(zone.serial)
            };
            cuts.extend(cut.filter(|cut| !cuts.contains(cut)));
        }
        cuts
    }
}

impl Zone {
    fn derive(network: &NetworkId, rule: &ZoneRule, local: bool) -> Option<Zone> {
        let suffix = parse_suffix(&rule.suffix).ok().filter(|suffix| !suffix.is_root())?;
        let at: Vec<Vec<u8>> = rule.at.iter().map(|name| name.to_lowercase().into_bytes()).collect();
        let mut base = Derived::root(network);
        for name in &at {
            base.push(Arc::new(Name::derive(network, name)));
        }
        let mut apex = base.clone();
        if at.is_empty() {
            apex.push(Arc::new(Name::derive(network, b"")));
        }
        let mut serial = PathKey([0; 16]);
        serial.0.copy_from_slice(&hash("lfdns serial v1", network, &[suffix.as_wire()])[..16]);
        let authority = rule.authority.clone();
        Some(Zone { suffix, at, authority, ttl: rule.ttl, local, base, apex, serial, alias: None })
    }

    /// Whether a record with these prefix paths lies in the zone's part of the tree.
    fn covers(&self, paths: &[PathKey]) -> bool {
        self.at.is_empty() || paths.contains(&self.base.key())
    }

    fn speaks(&self, owner: &OwnerKey) -> bool {
        matches!(&self.authority, Authority::Owners(owners) if owners.contains(owner))
    }
}

/// Where record data of this zone is written under the canonical suffix.
fn alias(zone: &Zone, canonical: &DnsName, rooted: &[(DnsName, Vec<Vec<u8>>)]) -> Option<(DnsName, DnsName)> {
    if zone.suffix.is_subdomain_of(canonical) {
        return None;
    }
    let original = if zone.at.is_empty() {
        canonical.clone()
    } else {
        rooted.iter().find(|(_, at)| *at == zone.at).map(|(suffix, _)| suffix.clone())?
    };
    Some((original, zone.suffix.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: NetworkId = NetworkId([3; 32]);

    fn name(text: &str) -> DnsName {
        DnsName::parse(text, None).unwrap()
    }

    fn rules(zones: Vec<ZoneRule>) -> Rules {
        Rules { zones, ..Rules::private(&[0; 32], "test") }
    }

    fn rule(text: &str) -> Result<ZoneRule, ZoneError> {
        ZoneFile::parse(text)?
            .to_rule(&name("lf."), |known| (known == "default").then_some(OwnerKey([1; 32])))
    }

    #[test]
    fn what_a_suffix_stands_for_follows_from_where_it_lies() {
        let at = |text: &str| rule(&format!("suffix = \"{text}\"\nauthority = \"key\"")).unwrap().at;
        assert_eq!(at("lf."), Vec::<String>::new());
        assert_eq!(at("www.Demo.lf"), ["demo", "www"]);
        assert_eq!(at("corp.example.internal"), ["corp.example.internal"]);
    }

    #[test]
    fn owners_are_named_or_given_and_strangers_are_refused() {
        let key = OwnerKey([9; 32]);
        let text = format!("suffix = \"demo.lf\"\nauthority = [\"default\", \"{key}\"]");
        assert_eq!(rule(&text).unwrap().authority, Authority::Owners(vec![OwnerKey([1; 32]), key]));
        assert!(matches!(rule("suffix = \"demo.lf\"\nauthority = []"), Err(ZoneError::Rule(_))));
        let error = rule("suffix = \"demo.lf\"\nauthority = [\"nobody\"]").unwrap_err();
        assert_eq!(error, ZoneError::UnknownOwner("nobody".into()));
    }

    #[test]
    fn a_live_top_level_domain_is_refused_unless_forced() {
        assert_eq!(rule("suffix = \"org\"\nauthority = \"key\""), Err(ZoneError::PublicTld("org".into())));
        assert!(rule("suffix = \"org\"\nauthority = \"key\"\nforce = true").is_ok());
        assert!(
            rule("suffix = \"corp.example.com\"\nauthority = \"key\"").is_ok(),
            "below one is the owner's affair"
        );
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = ZoneFile::parse("suffix = \"lf\"\nauthority = \"key\"\ntll = 3").unwrap_err();
        assert!(error.to_string().contains("tll"), "{error}");
    }

    #[test]
    fn the_longest_suffix_wins_and_a_local_zone_overrides() {
        let shared = rules(vec![
            ZoneRule::new("lf.", &[], Authority::Key),
            ZoneRule::new("demo.lf.", &["demo"], Authority::Key),
        ]);
        let local = ZoneRule { ttl: 7, ..ZoneRule::new("lf.", &[], Authority::Key) };
        let zones = Zones::assemble(&NET, &shared, &[local]);
        assert_eq!(zones.find(&name("www.DEMO.lf.")).unwrap().suffix, name("demo.lf."));
        let lf = zones.find(&name("other.lf.")).unwrap();
        assert_eq!((lf.ttl, lf.local), (7, true));
        assert!(zones.find(&name("example.org.")).is_none());
    }

    #[test]
    fn aliases_know_where_their_record_data_is_written() {
        let shared = rules(vec![
            ZoneRule::new("lf.", &[], Authority::Key),
            ZoneRule::new("demo.lf.", &["demo"], Authority::Key),
            ZoneRule::new("mesh.", &[], Authority::Key),
            ZoneRule::new("demo.example.", &["demo"], Authority::Key),
            ZoneRule::new("corp.example.", &["corp.example"], Authority::Key),
        ]);
        let zones = Zones::assemble(&NET, &shared, &[]);
        let alias = |suffix: &str| zones.exactly(&name(suffix)).unwrap().alias.clone();
        assert_eq!(alias("lf."), None);
        assert_eq!(alias("mesh."), Some((name("lf."), name("mesh."))));
        assert_eq!(alias("demo.example."), Some((name("demo.lf."), name("demo.example."))));
        assert_eq!(alias("corp.example."), None);
    }

    #[test]
    fn a_record_changes_the_deepest_zone_its_owner_speaks_in() {
        let (speaker, stranger) = (OwnerKey([1; 32]), OwnerKey([2; 32]));
        let owners = || Authority::Owners(vec![speaker]);
        let shared =
            rules(vec![ZoneRule::new("lf.", &[], owners()), ZoneRule::new("demo.lf.", &["demo"], owners())]);
        let zones = Zones::assemble(&NET, &shared, &[]);
        let (lf, demo) = (zones.exactly(&name("lf.")).unwrap(), zones.exactly(&name("demo.lf.")).unwrap());
        let nowhere = |_: &Zone| PathKey([0; 16]);
        let www = demo.base.key().child(&Name::derive(&NET, b"www").public());
        let paths = [demo.base.key(), www];
        assert_eq!(zones.cuts_of(&speaker, &paths, nowhere), [demo.serial]);
        assert_eq!(zones.cuts_of(&stranger, &paths, nowhere), []);
        assert_eq!(zones.cuts_of(&stranger, &paths, |_| www), [www]);
        let elsewhere = [lf.base.key().child(&Name::derive(&NET, b"x").public())];
        assert_eq!(zones.cuts_of(&speaker, &elsewhere, nowhere), [lf.serial]);
    }
}
