//! What names answer, over a real store: positive and negative answers, cuts, chains, wildcards, raw values,
//! who may speak.
#![allow(clippy::unwrap_used)]

#[path = "common/bed.rs"]
mod bed;

use bed::{Bed, name};
use lfdns::dns::counters::Counters;
use lfdns::dns::explain::Fate;
use lfdns::dns::rdata::Soa;
use lfdns::dns::reply::{Answer, Rcode};
use lfdns::dns::resolver::Settings;
use lfdns::dns::rrset::{BUNDLE_ORDINAL, Bundle, RrsetValue, rrset_ordinal};
use lfdns::record::{Authority, Owner, Pulse, ZoneRule};

const SOA: &str = "demo.lf. 60 SOA ns.demo.lf. minimum 60";

#[test]
fn an_rrset_answers_with_authority() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www 60 A 192.0.2.1\nwww 60 A 192.0.2.2\n");
    assert_eq!(
        bed.ask("www.demo.lf.", "A"),
        "NoError aa | www.demo.lf. 60 A 192.0.2.1; www.demo.lf. 60 A 192.0.2.2"
    );
}

#[test]
fn a_missing_type_is_nodata_and_a_missing_name_is_nxdomain_each_with_soa() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www A 192.0.2.1\na.b.c A 192.0.2.1\n");
    assert_eq!(bed.ask("www.demo.lf.", "AAAA"), format!("NoError aa |  | {SOA}"));
    assert_eq!(bed.ask("nobody.demo.lf.", "A"), format!("NxDomain aa |  | {SOA}"));
    assert_eq!(bed.ask("b.c.demo.lf.", "A"), format!("NoError aa |  | {SOA}"), "an empty non-terminal");
    assert_eq!(bed.ask("x.www.demo.lf.", "A"), format!("NxDomain aa |  | {SOA}"));
}

#[test]
fn a_foreign_name_is_refused() {
    let reply = Bed::new().reply("www.example.org.", "A");
    assert_eq!((reply.rcode, reply.aa), (Rcode::Refused, false));
    assert_eq!(reply.ede.unwrap().code, 20);
}

#[test]
fn case_does_not_matter() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www 60 A 192.0.2.1\n");
    assert!(bed.ask("wWw.DeMo.lF.", "A").starts_with("NoError aa | www.demo.lf. 60 A"));
}

#[test]
fn an_apex_has_soa_and_ns_although_nobody_published_them() {
    let bed = Bed::new();
    assert_eq!(bed.ask("demo.lf.", "SOA"), "NoError aa | demo.lf. 300 SOA ns.demo.lf. minimum 60");
    assert_eq!(
        bed.ask("demo.lf.", "NS"),
        "NoError aa | demo.lf. 300 NS ns.demo.lf. |  | ns.demo.lf. 300 A 127.0.0.1"
    );
    assert_eq!(bed.ask("ns.demo.lf.", "A"), "NoError aa | ns.demo.lf. 300 A 127.0.0.1");
    assert_eq!(bed.ask("ns.demo.lf.", "AAAA"), format!("NoError aa |  | {SOA}"));
    assert_eq!(bed.ask("lf.", "SOA"), "NoError aa | lf. 300 SOA ns.lf. minimum 60");
    assert_eq!(bed.ask("demo.lf.", "A"), format!("NoError aa |  | {SOA}"));
    assert_eq!(bed.ask("demo.lf.", "DS"), format!("NoError aa |  | {SOA}"));
    assert_eq!(bed.ask("demo.lf.", "DNSKEY"), format!("NoError aa |  | {SOA}"));
}

#[test]
fn a_published_soa_is_served_with_our_serial_and_a_bounded_minimum() {
    let bed = Bed::new();
    bed.publish(
        "demo.lf.",
        "@ 3600 SOA a.demo.lf. b.demo.lf. 7 1 2 3 86400\n@ 3600 NS a.demo.lf.\na A 192.0.2.5\n",
    );
    assert_eq!(bed.ask("demo.lf.", "SOA"), "NoError aa | demo.lf. 3600 SOA a.demo.lf. minimum 60");
    assert_eq!(bed.ask("x.demo.lf.", "A"), "NxDomain aa |  | demo.lf. 60 SOA a.demo.lf. minimum 60");
    assert_eq!(
        bed.ask("demo.lf.", "NS"),
        "NoError aa | demo.lf. 3600 NS a.demo.lf. |  | a.demo.lf. 300 A 192.0.2.5"
    );
}

#[test]
fn the_serial_grows_with_every_change_and_only_in_the_zone_that_changed() {
    let bed = Bed::new();
    let serial = |zone: &str| Soa::parse(&bed.reply(zone, "SOA").answers[0].rdata).unwrap().serial;
    bed.publish("demo.lf.", "www A 192.0.2.1\n");
    let (first, lf) = (serial("demo.lf."), serial("lf."));
    bed.publish("demo.lf.", "www A 192.0.2.2\n");
    bed.publish("demo.lf.", "www A 192.0.2.3\n");
    assert_eq!(serial("demo.lf."), first + 2);
    assert_eq!(serial("lf."), lf);
    bed.put(&bed.stranger, &[(b"demo", 0), (b"spam", 0)], b"spam");
    assert_eq!(serial("demo.lf."), first + 2, "a stranger changes nothing");
}

#[test]
fn cname_chains_are_followed_inside_our_zones() {
    let bed = Bed::new();
    bed.publish(
        "demo.lf.",
        "a 9 CNAME b\nb 9 CNAME c.demo.lf.\nc 9 A 192.0.2.1\nout CNAME www.example.org.\ndead CNAME nobody\n",
    );
    assert_eq!(
        bed.ask("a.demo.lf.", "A"),
        "NoError aa | a.demo.lf. 9 CNAME b.demo.lf.; b.demo.lf. 9 CNAME c.demo.lf.; c.demo.lf. 9 A 192.0.2.1"
    );
    assert_eq!(bed.ask("a.demo.lf.", "CNAME"), "NoError aa | a.demo.lf. 9 CNAME b.demo.lf.");
    assert_eq!(bed.ask("out.demo.lf.", "A"), "NoError aa | out.demo.lf. 300 CNAME www.example.org.");
    // RFC 6604: the code of the last name.
    assert_eq!(
        bed.ask("dead.demo.lf.", "A"),
        format!("NxDomain aa | dead.demo.lf. 300 CNAME nobody.demo.lf. | {SOA}")
    );
}

#[test]
fn a_loop_of_cnames_ends() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "a CNAME b\nb CNAME a\n");
    let reply = bed.reply("a.demo.lf.", "A");
    assert!(reply.answers.len() <= 3, "{} records", reply.answers.len());
    assert!(reply.ede.unwrap().text.contains("loop"));
}

#[test]
fn a_dname_redirects_what_lies_below_it_only() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "old 60 DNAME new\nold A 192.0.2.9\nx.new 60 A 192.0.2.1\n");
    assert_eq!(
        bed.ask("x.old.demo.lf.", "A"),
        "NoError aa | old.demo.lf. 60 DNAME new.demo.lf.; x.old.demo.lf. 60 CNAME x.new.demo.lf.; x.new.demo.lf. 60 A 192.0.2.1"
    );
    assert_eq!(bed.ask("old.demo.lf.", "A"), "NoError aa | old.demo.lf. 300 A 192.0.2.9");
}

#[test]
fn a_dname_target_that_gets_too_long_is_yxdomain() {
    let bed = Bed::new();
    let long = ["a"; 60].join("x");
    bed.publish("demo.lf.", &format!("d DNAME {0}.{0}.example.\n", &long[..60]));
    let deep = format!("{}.{}.d.demo.lf.", "y".repeat(63), "z".repeat(63));
    assert_eq!(bed.reply(&deep, "A").rcode, Rcode::YxDomain);
}

#[test]
fn wildcards_stand_for_names_that_do_not_exist() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "*.w 60 A 192.0.2.1\nthere.w 60 TXT here\ndeep.ent.w 60 TXT x\n");
    assert_eq!(bed.ask("x.w.demo.lf.", "A"), "NoError aa | x.w.demo.lf. 60 A 192.0.2.1");
    assert_eq!(bed.ask("y.x.w.demo.lf.", "A"), "NoError aa | y.x.w.demo.lf. 60 A 192.0.2.1");
    assert_eq!(bed.ask("x.w.demo.lf.", "AAAA"), format!("NoError aa |  | {SOA}"));
    assert_eq!(bed.ask("there.w.demo.lf.", "A"), format!("NoError aa |  | {SOA}"));
    assert_eq!(
        bed.ask("ent.w.demo.lf.", "A"),
        format!("NoError aa |  | {SOA}"),
        "an empty non-terminal exists"
    );
    assert_eq!(
        bed.ask("x.ent.w.demo.lf.", "A"),
        format!("NxDomain aa |  | {SOA}"),
        "its own closest encloser"
    );
    assert_eq!(bed.ask("*.w.demo.lf.", "A"), "NoError aa | *.w.demo.lf. 60 A 192.0.2.1");
}

#[test]
fn ns_below_an_apex_is_a_cut_with_glue() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "sub 60 NS ns.sub\nsub 60 DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000\nns.sub 60 A 192.0.2.53\nhidden.sub 60 A 192.0.2.1\n");
    let referral = "NoError |  | sub.demo.lf. 60 NS ns.sub.demo.lf. | ns.sub.demo.lf. 60 A 192.0.2.53";
    for qname in ["sub.demo.lf.", "hidden.sub.demo.lf.", "ns.sub.demo.lf.", "x.y.sub.demo.lf."] {
        assert_eq!(bed.ask(qname, "A"), referral, "{qname}");
    }
    assert!(bed.ask("sub.demo.lf.", "DS").starts_with("NoError aa | sub.demo.lf. 60 DS 1 8 2"));
}

#[test]
fn mx_and_srv_bring_the_addresses_of_their_hosts() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "@ MX 10 mail\nmail A 192.0.2.25\nmail AAAA 2001:db8::25\n");
    assert_eq!(
        bed.ask("demo.lf.", "MX"),
        "NoError aa | demo.lf. 300 MX 10 mail.demo.lf. |  | mail.demo.lf. 300 A 192.0.2.25; mail.demo.lf. 300 AAAA 2001:db8::25"
    );
}

#[test]
fn any_gives_one_rrset() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www A 192.0.2.1\nwww TXT x\n");
    assert_eq!(bed.ask("www.demo.lf.", "ANY"), "NoError aa | www.demo.lf. 300 A 192.0.2.1");
    bed.put(&bed.owner, &[(b"demo", 0), (b"raw", 0)], b"value");
    assert!(bed.ask("raw.demo.lf.", "ANY").contains("HINFO \"RFC8482\""));
}

#[test]
fn raw_values_are_txt_by_number() {
    let bed = Bed::new();
    for (ordinal, line) in [(1, "It was"), (2, "the best"), (30, "of times")] {
        bed.put(&bed.owner, &[(b"bad", 0), (b"horse", ordinal)], line.as_bytes());
    }
    assert_eq!(bed.ask("_o2.horse.bad.lf.", "TXT"), "NoError aa | _o2.horse.bad.lf. 300 TXT \"the best\"");
    assert_eq!(
        bed.ask("_o2-30.horse.bad.lf.", "TXT"),
        "NoError aa | _o2-30.horse.bad.lf. 300 TXT \"2 the best\"; _o2-30.horse.bad.lf. 300 TXT \"30 of times\""
    );
    assert!(bed.ask("_list.horse.bad.lf.", "TXT").contains("TXT \"1 It was\""));
    assert_eq!(bed.reply("_o7.horse.bad.lf.", "TXT").rcode, Rcode::NoError, "it exists where its path does");
    assert_eq!(bed.reply("_o7.mule.bad.lf.", "TXT").rcode, Rcode::NxDomain);
    assert_eq!(bed.reply("horse.bad.lf.", "TXT").answers.len(), 0, "nothing at ordinal 0");
    bed.put(&bed.owner, &[(b"bad", 0), (b"horse", 0)], b"neigh");
    assert_eq!(bed.ask("horse.bad.lf.", "TXT"), "NoError aa | horse.bad.lf. 300 TXT \"neigh\"");
}

#[test]
fn ordinals_in_the_middle_of_a_path_are_other_keys_of_the_same_path() {
    let bed = Bed::new();
    bed.put(&bed.owner, &[(b"net", 5), (b"member", 9)], b"five-nine");
    assert_eq!(
        bed.ask("_o9.member._o5.net.lf.", "TXT"),
        "NoError aa | _o9.member._o5.net.lf. 300 TXT \"five-nine\""
    );
    assert_eq!(bed.reply("_o9.member.net.lf.", "TXT").rcode, Rcode::NoError);
    assert!(bed.reply("_o9.member.net.lf.", "TXT").answers.is_empty());
}

#[test]
fn a_txt_rrset_comes_before_a_raw_value() {
    let bed = Bed::new();
    bed.put(&bed.owner, &[(b"demo", 0), (b"both", 0)], b"raw");
    bed.publish("demo.lf.", "both TXT \"an rrset\"\n");
    assert_eq!(bed.ask("both.demo.lf.", "TXT"), "NoError aa | both.demo.lf. 300 TXT \"an rrset\"");
}

#[test]
fn a_strangers_records_change_no_answer() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www A 192.0.2.1\n");
    let questions = [
        ("www.demo.lf.", "A"),
        ("www.demo.lf.", "TXT"),
        ("x.demo.lf.", "A"),
        ("demo.lf.", "NS"),
        ("y.x.demo.lf.", "A"),
    ];
    let before: Vec<String> = questions.iter().map(|(n, t)| bed.ask(n, t)).collect();
    bed.publish_as(&bed.stranger, "demo.lf.", "www A 203.0.113.9\nwww TXT x\nx A 203.0.113.9\n@ NS evil.example.\n* A 203.0.113.9\ny NS evil.example.\n");
    bed.put(&bed.stranger, &[(b"", 0)], b"apex");
    let after: Vec<String> = questions.iter().map(|(n, t)| bed.ask(n, t)).collect();
    assert_eq!(before, after);
}

#[test]
fn below_a_key_only_its_owner_speaks_in_every_zone() {
    let bed = Bed::new();
    let (key, label) = (bed.stranger.key(), bed.stranger.key().label());
    bed.put(&bed.owner, &[(label.as_bytes(), 0), (b"www", 0)], b"squatted");
    assert_eq!(bed.reply(&format!("www.{label}.lf."), "TXT").rcode, Rcode::NxDomain);
    bed.put(&bed.stranger, &[(label.as_bytes(), 0), (b"www", 0)], b"mine");
    let text = bed.ask(&format!("www.{label}.lf."), "TXT");
    assert_eq!(text, format!("NoError aa | www.{label}.lf. 300 TXT \"mine\""));
    // The key name with data is a zone cut of its own.
    let cut = format!("{label}.lf. 60 SOA ns.{label}.lf. minimum 60");
    assert_eq!(bed.ask(&format!("x.{label}.lf."), "A"), format!("NxDomain aa |  | {cut}"));
    assert!(bed.ask(&format!("{label}.lf."), "NS").contains("NS ns."));
    assert_eq!(bed.explain(&format!("www.{label}.lf."), "A").1.speakers, [key]);
    bed.put(&bed.stranger, &[(b"demo", 0), (label.as_bytes(), 0)], b"here too");
    assert!(bed.ask(&format!("{label}.demo.lf."), "TXT").contains("here too"));
}

#[test]
fn in_a_key_zone_there_is_nothing_but_keys() {
    let bed = Bed::with_zones(vec![ZoneRule::new("lf.", &[], Authority::Key)]);
    bed.put(&bed.owner, &[(b"www", 0)], b"x");
    assert_eq!(bed.reply("www.lf.", "TXT").rcode, Rcode::NxDomain);
    assert_eq!(bed.reply("lf.", "SOA").answers.len(), 1);
}

#[test]
fn of_several_owners_the_first_in_the_list_who_has_something_at_a_path_is_believed() {
    let (first, second) = (Owner::from_seed(&[1; 32]), Owner::from_seed(&[2; 32]));
    let owners = Authority::Owners(vec![first.key(), second.key()]);
    let bed = Bed::with_zones(vec![ZoneRule::new("demo.lf.", &["demo"], owners)]);
    bed.publish_as(&second, "demo.lf.", "a 60 A 192.0.2.2\nb 60 A 192.0.2.2\n");
    assert_eq!(bed.ask("a.demo.lf.", "A"), "NoError aa | a.demo.lf. 60 A 192.0.2.2");
    bed.publish_as(&first, "demo.lf.", "a 60 A 192.0.2.1\n");
    assert_eq!(bed.ask("a.demo.lf.", "A"), "NoError aa | a.demo.lf. 60 A 192.0.2.1");
    assert_eq!(bed.ask("b.demo.lf.", "A"), "NoError aa | b.demo.lf. 60 A 192.0.2.2");
}

#[test]
fn an_alias_shows_names_inside_data_under_its_own_suffix() {
    let bed = Bed::new();
    bed.publish("lf.", "www 60 CNAME host\nhost 60 A 192.0.2.1\n");
    assert_eq!(
        bed.ask("www.mesh.", "A"),
        "NoError aa | www.mesh. 60 CNAME host.mesh.; host.mesh. 60 A 192.0.2.1"
    );
}

#[test]
fn deleting_gives_the_name_back() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www A 192.0.2.1\nother A 192.0.2.1\n");
    assert_eq!(bed.publish("demo.lf.", "other A 192.0.2.1\n"), 1);
    assert_eq!(bed.ask("www.demo.lf.", "A"), format!("NxDomain aa |  | {SOA}"));
    let (_, notes) = bed.explain("www.demo.lf.", "A");
    assert!(notes.records.is_empty(), "what does not exist is not looked at");
}

#[test]
fn a_bundle_hides_older_rrsets_and_newer_ones_override_it() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "b 60 A 192.0.2.1\nb 60 TXT old\n");
    let sets = vec![(1, 60, vec![vec![192, 0, 2, 7]]), (28, 60, vec![vec![0; 16]])];
    let bundle = Bundle { path: vec![b"demo".to_vec(), b"b".to_vec()], sets, max_silence: 0 };
    let key: [(&[u8], u64); 2] = [(b"demo", 0), (b"b", BUNDLE_ORDINAL)];
    bed.put(&bed.owner, &key, &bundle.encode());
    assert_eq!(bed.ask("b.demo.lf.", "A"), "NoError aa | b.demo.lf. 60 A 192.0.2.7");
    assert_eq!(bed.ask("b.demo.lf.", "TXT"), format!("NoError aa |  | {SOA}"));
    assert!(bed.explain("b.demo.lf.", "TXT").1.records.iter().any(|r| r.fate == Fate::HiddenByBundle));
    assert_eq!(bed.list("demo.lf.", &bed.owner.key()).len(), 2, "listed as served");
    let newer =
        RrsetValue { ttl: 60, rdatas: vec![vec![192, 0, 2, 8]], path: bundle.path.clone(), max_silence: 0 };
    bed.put(&bed.owner, &[(b"demo", 0), (b"b", rrset_ordinal(1))], &newer.encode());
    assert_eq!(bed.ask("b.demo.lf.", "A"), "NoError aa | b.demo.lf. 60 A 192.0.2.8");
    assert_eq!(bed.list("demo.lf.", &bed.owner.key()).len(), 2);
    bed.put(&bed.owner, &key, b"");
    assert_eq!(bed.ask("b.demo.lf.", "AAAA"), format!("NoError aa |  | {SOA}"));
    assert_eq!(bed.ask("b.demo.lf.", "TXT"), format!("NoError aa |  | {SOA}"), "deleted with the bundle");
}

#[test]
fn silence_hides_an_rrset_until_the_next_pulse() {
    let bed = Bed::new();
    let value = RrsetValue {
        ttl: 3600,
        max_silence: 2,
        path: vec![b"demo".to_vec(), b"alive".to_vec()],
        rdatas: vec![vec![192, 0, 2, 1]],
    };
    let pulse_key = Owner::from_seed(&[9; 32]).key().0;
    let key: [(&[u8], u64); 2] = [(b"demo", 0), (b"alive", rrset_ordinal(1))];
    let record = bed.put_with(&bed.owner, &key, &value.encode(), Some(pulse_key));
    assert_eq!(
        bed.ask("alive.demo.lf.", "A"),
        "NoError aa | alive.demo.lf. 120 A 192.0.2.1",
        "never beyond the end"
    );
    bed.pass(60_000);
    assert_eq!(bed.ask("alive.demo.lf.", "A"), "NoError aa | alive.demo.lf. 60 A 192.0.2.1");
    bed.pass(60_000);
    assert_eq!(bed.ask("alive.demo.lf.", "A"), format!("NoError aa |  | {SOA}"), "silent, not absent");
    assert!(bed.explain("alive.demo.lf.", "A").1.records.iter().any(|r| r.fate == Fate::Silent));
    let pulse = Pulse::mint(&bed.network, record.id(&bed.network), 2, &[9; 32]);
    bed.store.ingest_pulses(vec![pulse]);
    assert_eq!(bed.ask("alive.demo.lf.", "A"), "NoError aa | alive.demo.lf. 120 A 192.0.2.1");
}

#[test]
fn names_of_thirty_four_labels_answer_and_their_neighbours_are_nodata() {
    let owner = Owner::from_seed(&[1; 32]);
    let suffix = "8.b.d.0.1.0.0.2.ip6.arpa.";
    let zone = ZoneRule::new(suffix, &["8.b.d.0.1.0.0.2.ip6.arpa"], Authority::Owners(vec![owner.key()]));
    let bed = Bed::with_zones(vec![zone]);
    let host = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
    bed.publish(suffix, &format!("{host} 60 PTR host.example.\n"));
    assert_eq!(
        bed.ask(&format!("{host}.{suffix}"), "PTR"),
        format!("NoError aa | {host}.{suffix} 60 PTR host.example.")
    );
    assert_eq!(bed.reply(&format!("2{}.{suffix}", &host[1..]), "PTR").rcode, Rcode::NoError);
    assert_eq!(
        bed.reply(&format!("1.{suffix}"), "PTR").rcode,
        Rcode::NxDomain,
        "within fifteen, absence is known"
    );
}

#[test]
fn what_an_answer_depends_on_is_what_was_read() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www A 192.0.2.1\n");
    let counters: &Counters = bed.resolver.counters();
    let ask = |qname: &str, qtype: &str| bed.reply(qname, qtype).deps;
    let (www, absent, soa) = (ask("www.demo.lf.", "A"), ask("new.demo.lf.", "A"), ask("demo.lf.", "SOA"));
    let held = || [&www, &absent, &soa].map(|deps| counters.hold(deps));
    assert_eq!(held(), [true; 3]);
    bed.put(&bed.stranger, &[(b"elsewhere", 0)], b"x");
    assert_eq!(held(), [true; 3]);
    bed.publish("demo.lf.", "www A 192.0.2.1\nnew A 192.0.2.1\n");
    assert_eq!(held(), [true, false, false], "the new name and the serial");
    bed.publish("demo.lf.", "www A 192.0.2.2\nnew A 192.0.2.1\n");
    assert_eq!(held(), [false, false, false]);
}

#[test]
fn a_published_zone_lists_as_it_was_and_publishing_it_again_changes_nothing() {
    let bed = Bed::new();
    let text = "@ SOA a b 1 2 3 4 50\n@ NS a\nwww A 192.0.2.1\nwww AAAA 2001:db8::1\n*.w TXT \"x y\"\nesc\\.aped TXT z\nx TYPE65400 \\# 2 abcd\n";
    assert_eq!(bed.publish("demo.lf.", text), 7);
    assert_eq!(bed.publish("demo.lf.", text), 0);
    let names: Vec<String> =
        bed.list("demo.lf.", &bed.owner.key()).iter().map(|r| r.name.to_string()).collect();
    assert!(names.contains(&name("esc\\.aped.demo.lf.").to_string()), "{names:?}");
    assert_eq!(names.len(), 7);
}

#[test]
fn other_spellings_of_a_key_do_not_exist_and_the_answer_says_why() {
    let bed = Bed::new();
    bed.put(&bed.owner, &[(b"plain", 0)], b"x");
    let reply = bed.reply("_o0.plain.lf.", "TXT");
    assert_eq!(reply.rcode, Rcode::NxDomain);
    assert!(reply.ede.unwrap().text.contains("_o0"));
}

#[test]
fn what_a_deeper_zone_answers_is_no_part_of_the_zone_above() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "www A 192.0.2.1\n");
    bed.store.learn_names(&[b"demo", b"top"]);
    bed.store.flush();
    bed.publish("lf.", "top A 192.0.2.2\n");
    let names: Vec<String> = bed.list("lf.", &bed.owner.key()).iter().map(|r| r.name.to_string()).collect();
    assert_eq!(names, ["top.lf."]);
    bed.publish("lf.", "top A 192.0.2.3\n");
    assert!(bed.ask("www.demo.lf.", "A").contains("192.0.2.1"), "not deleted by publishing the zone above");
}

#[test]
fn a_list_that_is_longer_than_an_answer_says_how_to_go_on() {
    let bed = Bed::new();
    // Four different letters, so that nothing is compressed away to less than an answer.
    for ordinal in 1..=3 {
        let value: Vec<u8> =
            (0..30_000_u32).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
        bed.put(&bed.owner, &[(b"long", ordinal)], &value);
    }
    let reply = bed.reply("_list.long.lf.", "TXT");
    assert_eq!(reply.answers.len(), 2);
    assert!(reply.ede.unwrap().text.ends_with("_o3-18446744073709551615"));
    assert_eq!(bed.reply("_o3-18446744073709551615.long.lf.", "TXT").answers.len(), 1);
}

#[test]
fn every_value_is_found_however_many_lie_beside_it_at_other_ordinals() {
    let bed = Bed::new();
    let value = |n: u64| format!("value {n}");
    let ordinals = 1..=1_100;
    let mint = |n| bed.mint(&bed.owner, &[(b"sensor", n), (b"value", 0)], value(n).as_bytes(), None);
    bed.put_all(ordinals.clone().map(mint).collect());
    for n in ordinals {
        let at = format!("value._o{n}.sensor.lf.");
        let expected = format!("NoError aa | {at} 300 TXT \"{}\"", value(n));
        assert_eq!(bed.ask(&at, "TXT"), expected);
        let listed = bed.reply(&format!("_list.{at}"), "TXT");
        assert_eq!((listed.answers.len(), listed.ede), (1, None), "{n}");
    }
}

#[test]
fn a_list_without_values_among_the_first_keys_says_where_to_look_further() {
    let bed = Bed::new();
    let mint =
        |n| bed.mint(&bed.owner, &[(b"gone", n)], if n > 1_030 { b"here" } else { b"" as &[u8] }, None);
    bed.put_all((1..=1_031).map(mint).collect());
    let reply = bed.reply("_list.gone.lf.", "TXT");
    assert!(reply.answers.is_empty());
    let advised = reply.ede.unwrap().text.rsplit_once(' ').unwrap().1.to_owned();
    assert!(advised.starts_with("_o1025-"), "{advised}");
    let rest = bed.reply(&format!("{advised}.gone.lf."), "TXT");
    assert_eq!((rest.answers.len(), rest.ede), (1, None));
}

#[test]
fn what_lies_at_other_ordinals_of_a_path_hides_nothing_in_a_listing() {
    let bed = Bed::new();
    bed.publish("demo.lf.", "x.host A 192.0.2.1\n");
    for n in 1..=20 {
        let at: [(&[u8], u64); 3] = [(b"demo", n), (b"host", 0), (b"x", BUNDLE_ORDINAL)];
        bed.put(&bed.owner, &at, b"not here");
    }
    assert_eq!(bed.list("demo.lf.", &bed.owner.key()).len(), 1);
}

#[test]
fn a_node_that_joins_denies_nothing_from_its_first_answer_on() {
    let owner = Owner::from_seed(&[1; 32]);
    let zones = vec![ZoneRule::new("lf.", &[], Authority::Owners(vec![owner.key()]))];
    let bed = Bed::with_settings(zones, Settings { joining: true, ..Settings::default() });
    let reply = bed.reply("nobody.lf.", "A");
    assert_eq!((reply.rcode, reply.ede.unwrap().code), (Rcode::ServFail, 14));
    bed.resolver.set_ready();
    assert_eq!(bed.reply("nobody.lf.", "A").rcode, Rcode::NxDomain);
}
