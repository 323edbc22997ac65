//! From text to RRsets: owners, lifetimes, classes, directives.

use std::collections::HashMap;
use std::sync::Arc;

use super::scanner::{Entry, Scanner};
use super::{
    INCLUDE_DEPTH_MAX, Loader, MasterError, MasterFault, Oddity, RECORDS_MAX, RRSET_MAX, Rrset, TEXT_MAX,
    TTL_MAX, WARNINGS_MAX, Warning, Zone, check,
};
use crate::dns::name::DnsName;
use crate::dns::rdata::{
    LexFault, Place, Quotes, Soa, Token, canonicalize, is_meta, names, parse_seconds, parse_text, rtype,
    rtype_from_text, rtype_to_text,
};

/// Reads the master file `text`, called `file` in messages. Relative names lie under `origin`, the zone's apex;
/// `default_ttl` is the lifetime of records that have none and stand above any `$TTL`. `$INCLUDE` is refused.
pub fn parse(
    text: &[u8],
    file: &str,
    origin: &DnsName,
    default_ttl: Option<u32>,
) -> Result<Zone, MasterError> {
    parse_with(text, file, origin, default_ttl, &mut |_, _| {
        Err("no other files are read here; put its lines into this one".to_owned())
    })
}

/// [`parse`], with included files fetched by `load`.
pub fn parse_with(
    text: &[u8],
    file: &str,
    origin: &DnsName,
    default_ttl: Option<u32>,
    load: &mut Loader<'_>,
) -> Result<Zone, MasterError> {
    let mut zone = Draft {
        apex: origin.to_lowercase(),
        rrsets: Vec::new(),
        index: HashMap::new(),
        firsts: Vec::new(),
        warnings: Vec::new(),
        records: 0,
        octets: 0,
    };
    let lifetimes = Lifetimes { default: default_ttl, last: None };
    let mut reader = Reader { zone: &mut zone, load, file: file.into(), lifetimes, depth: 0 };
    reader.read(text, origin.to_lowercase())?;
    zone.index = HashMap::new();
    check::finish(zone)
}

/// Where a record stands.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub file: Arc<str>,
    pub place: Place,
}

impl Spot {
    pub(super) fn fault(&self, what: MasterFault) -> MasterError {
        MasterError { file: Arc::clone(&self.file), place: self.place, what }
    }

    pub(super) fn warning(&self, what: Oddity) -> Warning {
        Warning { file: Arc::clone(&self.file), place: self.place, what }
    }
}

/// A zone being read.
pub(super) struct Draft {
    pub apex: DnsName,
    pub rrsets: Vec<Rrset>,
    /// Where each RRset began, for checks that need them all.
    pub firsts: Vec<Spot>,
    pub warnings: Vec<Warning>,
    index: HashMap<(DnsName, u16), u32>,
    records: usize,
    octets: usize,
}

impl Draft {
    pub(super) fn warn(&mut self, spot: &Spot, what: Oddity) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(spot.warning(what));
        }
    }

    fn add(
        &mut self,
        name: &DnsName,
        rtype: u16,
        ttl: u32,
        rdata: Vec<u8>,
        spot: Spot,
    ) -> Result<(), MasterError> {
        self.records += 1;
        if self.records > RECORDS_MAX {
            return Err(spot.fault(MasterFault::TooManyRecords));
        }
        let next = self.rrsets.len() as u32;
        let index = *self.index.entry((name.clone(), rtype)).or_insert(next);
        if index == next {
            self.rrsets.push(Rrset { name: name.clone(), rtype, ttl, rdatas: vec![rdata] });
            self.firsts.push(spot);
            return Ok(());
        }
        let rrset = &mut self.rrsets[index as usize];
        let single = matches!(rtype, rtype::CNAME | rtype::DNAME | rtype::SOA);
        if single {
            // The same record again is no second one.
            if rrset.rdatas[0] != rdata {
                let what = MasterFault::Second(rtype_to_text(rtype).into_owned(), name.to_string());
                return Err(spot.fault(what));
            }
        } else if rrset.rdatas.len() == RRSET_MAX {
            return Err(spot.fault(MasterFault::RrsetTooLarge(name.to_string())));
        } else {
            rrset.rdatas.push(rdata);
        }
        let other = rrset.ttl;
        if other != ttl {
            rrset.ttl = other.min(ttl);
            self.warn(&spot, Oddity::Ttl { this: ttl, other });
        }
        Ok(())
    }
}

/// What a record without a lifetime gets: the default (`$TTL`, RFC 2308 §4), else the last one (RFC 1035 §5.1).
#[derive(Debug, Clone, Copy)]
struct Lifetimes {
    default: Option<u32>,
    last: Option<u32>,
}

/// Reads one file into a draft, and the files it includes.
struct Reader<'z, 'l, 'f> {
    zone: &'z mut Draft,
    load: &'l mut Loader<'f>,
    file: Arc<str>,
    lifetimes: Lifetimes,
    depth: usize,
}

/// A record's words in front of its data.
struct Head {
    ttl: Option<u32>,
    rtype: u16,
    /// The index of the first word of data.
    data: usize,
}

impl Reader<'_, '_, '_> {
    fn read(&mut self, text: &[u8], mut origin: DnsName) -> Result<(), MasterError> {
        self.zone.octets = self.zone.octets.saturating_add(text.len());
        if self.zone.octets > TEXT_MAX {
            return Err(self.fault(Place { line: 1, column: 1 }, MasterFault::TextTooLong));
        }
        let mut scanner = Scanner::new(text);
        let mut tokens = Vec::new();
        let mut owner: Option<DnsName> = None;
        loop {
            let entry = scanner.entry(&mut tokens).map_err(|(place, what)| self.fault(place, what))?;
            let Some(entry) = entry else { return Ok(()) };
            let directive =
                !entry.blank && tokens[0].quotes == Quotes::None && tokens[0].raw.starts_with(b"$");
            if directive {
                self.directive(&tokens, &mut origin)?;
            } else {
                self.record(entry, &tokens, &origin, &mut owner)?;
            }
        }
    }

    fn fault(&self, place: Place, what: MasterFault) -> MasterError {
        MasterError { file: Arc::clone(&self.file), place, what }
    }

    fn name(&self, token: &Token<'_>, origin: &DnsName) -> Result<DnsName, MasterError> {
        if token.quotes == Quotes::Value {
            return Err(self.fault(token.place, LexFault::StrayQuote.into()));
        }
        let name = DnsName::parse_bytes(token.raw, Some(origin));
        let mut name = name.map_err(|error| self.fault(token.place, error.into()))?;
        name.make_lowercase();
        Ok(name)
    }

    fn directive(&mut self, tokens: &[Token<'_>], origin: &mut DnsName) -> Result<(), MasterError> {
        let (word, arguments) = (&tokens[0], &tokens[1..]);
        let usage = |reader: &Self, usage| reader.fault(word.place, MasterFault::Usage(usage));
        if word.is("$ORIGIN") {
            let [name] = arguments else { return Err(usage(self, "`$ORIGIN NAME`, with one name")) };
            *origin = self.name(name, origin)?;
            Ok(())
        } else if word.is("$TTL") {
            let [ttl] = arguments else { return Err(usage(self, "`$TTL 300` or `$TTL 1h30m`")) };
            self.lifetimes.default = Some(self.ttl(ttl)?);
            Ok(())
        } else if word.is("$INCLUDE") {
            let (path, origin) = match arguments {
                [path] => (path, origin.clone()),
                [path, name] => (path, self.name(name, origin)?),
                _ => return Err(usage(self, "`$INCLUDE FILE` or `$INCLUDE FILE ORIGIN`")),
            };
            self.include(path, origin)
        } else if word.is("$GENERATE") {
            Err(self.fault(word.place, MasterFault::Generate))
        } else {
            Err(self.fault(word.place, MasterFault::Directive(shown(word))))
        }
    }

    fn include(&mut self, path: &Token<'_>, origin: DnsName) -> Result<(), MasterError> {
        if self.depth == INCLUDE_DEPTH_MAX {
            return Err(self.fault(path.place, MasterFault::IncludeDepth));
        }
        let asked = path.octets().and_then(|octets| String::from_utf8(octets).ok());
        let asked =
            asked.ok_or_else(|| self.fault(path.place, MasterFault::Usage("a file name in UTF-8")))?;
        let included = (self.load)(&asked, &self.file);
        let included = included.map_err(|why| self.fault(path.place, MasterFault::Include(asked, why)))?;
        let mut reader = Reader {
            zone: &mut *self.zone,
            load: &mut *self.load,
            file: included.file.into(),
            lifetimes: self.lifetimes,
            depth: self.depth + 1,
        };
        reader.read(&included.text, origin)?;
        // As in BIND: a $TTL inside holds on outside; the origin does not (RFC 1035 §5.1).
        self.lifetimes = reader.lifetimes;
        Ok(())
    }

    fn record(
        &mut self,
        entry: Entry,
        tokens: &[Token<'_>],
        origin: &DnsName,
        owner: &mut Option<DnsName>,
    ) -> Result<(), MasterError> {
        if !entry.blank {
            *owner = Some(self.owner(&tokens[0], origin)?);
        }
        let Some(owner) = owner else { return Err(self.fault(entry.place, MasterFault::NoOwner)) };
        let head = self.head(tokens, usize::from(!entry.blank))?;
        let (kind, data) = (tokens[head.data - 1], &tokens[head.data..]);
        let mut rdata = parse_text(head.rtype, data, Some(origin)).map_err(|error| {
            // A fault without a word is that words are missing: point at the last one.
            let place = error.place.unwrap_or(tokens[tokens.len() - 1].place);
            self.fault(place, MasterFault::Rdata(rtype_to_text(head.rtype).into_owned(), error.what))
        })?;
        canonicalize(head.rtype, &mut rdata);
        let spot = Spot { file: Arc::clone(&self.file), place: entry.place };
        let first = Spot { file: Arc::clone(&self.file), place: data.first().unwrap_or(&kind).place };
        for (_, name, _) in names(head.rtype, &rdata) {
            self.warn_twice(&first, &name);
        }
        let ttl = self.lifetime(&head, &rdata, &spot)?;
        self.zone.add(owner, head.rtype, ttl, rdata, spot)
    }

    fn owner(&mut self, token: &Token<'_>, origin: &DnsName) -> Result<DnsName, MasterError> {
        let name = self.name(token, origin)?;
        let spot = Spot { file: Arc::clone(&self.file), place: token.place };
        if !name.is_subdomain_of(&self.zone.apex) {
            let (name, origin) = (name.to_string(), self.zone.apex.to_string());
            return Err(spot.fault(MasterFault::OutOfZone { name, origin }));
        }
        self.warn_twice(&spot, &name);
        Ok(name)
    }

    /// `www.demo.lf` without its last dot is `www.demo.lf.demo.lf.`: the commonest slip in a zone file.
    fn warn_twice(&mut self, spot: &Spot, name: &DnsName) {
        let apex = &self.zone.apex;
        if apex.is_root() || name.as_wire().len() + 1 < 2 * apex.as_wire().len() {
            return;
        }
        let above = name.strip_suffix(apex).and_then(|above| DnsName::from_labels(above).ok());
        if above.is_some_and(|above| above.is_subdomain_of(apex)) {
            self.zone.warn(spot, Oddity::Twice(name.to_string()));
        }
    }

    /// Reads `[TTL] [CLASS] TYPE`, lifetime and class in either order.
    fn head(&self, tokens: &[Token<'_>], start: usize) -> Result<Head, MasterError> {
        let mut ttl = None;
        let mut class = false;
        for (index, token) in tokens.iter().enumerate().skip(start) {
            if let Some(known) = class_of(token) {
                if known != "IN" {
                    return Err(self.fault(token.place, MasterFault::Class(known)));
                }
                if class {
                    return Err(self.fault(token.place, MasterFault::Twice("class")));
                }
                class = true;
            } else if token.raw.first().is_some_and(u8::is_ascii_digit) {
                if ttl.replace(self.ttl(token)?).is_some() {
                    return Err(self.fault(token.place, MasterFault::Twice("TTL")));
                }
            } else {
                let rtype = token.word().and_then(rtype_from_text);
                let rtype =
                    rtype.ok_or_else(|| self.fault(token.place, MasterFault::UnknownType(shown(token))))?;
                if is_meta(rtype) {
                    let what = MasterFault::MetaType(rtype_to_text(rtype).into_owned());
                    return Err(self.fault(token.place, what));
                }
                return Ok(Head { ttl, rtype, data: index + 1 });
            }
        }
        Err(self.fault(tokens[tokens.len() - 1].place, MasterFault::NoType))
    }

    fn ttl(&self, token: &Token<'_>) -> Result<u32, MasterError> {
        let ttl = token.word().and_then(parse_seconds).filter(|&ttl| ttl <= TTL_MAX);
        ttl.ok_or_else(|| self.fault(token.place, MasterFault::Ttl(shown(token))))
    }

    fn lifetime(&mut self, head: &Head, rdata: &[u8], spot: &Spot) -> Result<u32, MasterError> {
        if let Some(ttl) = head.ttl {
            self.lifetimes.last = Some(ttl);
            return Ok(ttl);
        }
        if let Some(ttl) = self.lifetimes.default.or(self.lifetimes.last) {
            return Ok(ttl);
        }
        match Soa::parse(rdata) {
            Ok(soa) if head.rtype == rtype::SOA => {
                let ttl = soa.minimum.min(TTL_MAX);
                self.zone.warn(spot, Oddity::NoTtl(ttl));
                self.lifetimes.last = Some(ttl);
                Ok(ttl)
            }
            _ => Err(spot.fault(MasterFault::NoTtl)),
        }
    }
}

/// The class a word names, in capitals; `CLASS1` is IN (RFC 3597 §5).
fn class_of(token: &Token<'_>) -> Option<String> {
    let word = token.word()?;
    for class in ["IN", "CH", "HS", "CS", "CHAOS", "HESIOD"] {
        if word.eq_ignore_ascii_case(class) {
            return Some(class.to_owned());
        }
    }
    let (prefix, number) = word.split_at_checked(5)?;
    let number: u16 = number.parse().ok().filter(|_| prefix.eq_ignore_ascii_case("CLASS"))?;
    Some(if number == 1 { "IN".to_owned() } else { format!("CLASS{number}") })
}

/// A word for a message.
fn shown(token: &Token<'_>) -> String {
    const SHOWN_MAX: usize = 40;
    String::from_utf8_lossy(token.raw).chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect()
}
