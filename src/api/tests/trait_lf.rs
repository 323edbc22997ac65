//! The trait: the same through a store in the process and through a node by URL.

use super::*;
use crate::api::json::Query;

/// A port nobody listens on: it was free a moment ago.
fn closed_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn entries(count: u64) -> impl Iterator<Item = Entry> {
    (0..count).map(|n| Entry::new(&[(b"bulk", 0), (format!("n{n}").as_bytes(), n)], b"value"))
}

#[test]
fn what_one_writes_the_other_reads() {
    let bed = Bed::new();
    let (local, remote) = (bed.local(), bed.remote());
    let made = remote.set(&owner(1), &[(b"bad", 0), (b"horse", 2)], b"neigh").unwrap();
    assert_eq!(local.get(&[(b"bad", 0), (b"horse", 2)], None).unwrap(), Some(b"neigh".to_vec()));
    let there = remote.record(&made.id).unwrap().unwrap();
    assert_eq!(Some(there), local.record(&made.id).unwrap());
    assert_eq!(remote.record(&RecordId([9; 32])).unwrap(), None);
    assert_eq!(local.status().unwrap().db_record_count, remote.status().unwrap().db_record_count);
    let query = Query::exactly(&[(b"bad", 0), (b"horse", 2)], None);
    assert_eq!(local.query(&query).unwrap(), remote.query(&query).unwrap());
}

#[test]
fn bulk_making_stores_every_entry_and_tells_its_progress() {
    for remote in [false, true] {
        let bed = Bed::new();
        let lf: Box<dyn Lf> = if remote { Box::new(bed.remote()) } else { Box::new(bed.local()) };
        let mut heard = Vec::new();
        let report =
            lf.make_all(&owner(1), &mut entries(2_500), &mut |p: &Progress| heard.push(p.stored)).unwrap();
        assert_eq!((report.accepted, report.total()), (2_500, 2_500), "{report:?}");
        assert!(heard.is_sorted() && heard.len() == 3, "{heard:?}");
        assert_eq!(heard.last(), Some(&2_500));
        assert_eq!(lf.get(&[(b"bulk", 0), (b"n2499", 2_499)], None).unwrap(), Some(b"value".to_vec()));
    }
}

#[test]
fn of_two_entries_for_one_key_in_one_batch_the_later_is_its_value() {
    let bed = Bed::new();
    let lf = bed.remote();
    let mut twice = ["one", "two", "three"].into_iter().map(|v| Entry::new(&[(b"a", 0)], v.as_bytes()));
    lf.make_all(&owner(1), &mut twice, &mut |_| {}).unwrap();
    assert_eq!(lf.get(&[(b"a", 0)], None).unwrap(), Some(b"three".to_vec()));
    // And one that comes in the same millisecond as the last.
    lf.set(&owner(1), &[(b"a", 0)], b"four").unwrap();
    assert_eq!(lf.get(&[(b"a", 0)], None).unwrap(), Some(b"four".to_vec()));
}

#[test]
fn an_entry_that_cannot_be_made_is_named_by_its_place() {
    let bed = Bed::with(Config::default(), |rules| rules.limits.value_max = 1_000);
    let large =
        Entry { compression: crate::record::Compression::Off, ..Entry::new(&[(b"a", 0)], &[7; 2_000]) };
    let mut some = entries(3).chain([large.clone()]);
    let error = bed.local().make_all(&owner(1), &mut some, &mut |_| {}).unwrap_err();
    assert!(matches!(error, LfError::MintAt { index: 3, .. }), "{error}");
    let error = bed.remote().make(&owner(1), large).unwrap_err();
    assert!(error.to_string().contains("limit is 1000"), "{error}");
}

#[test]
fn a_full_disk_ends_a_bulk_making_instead_of_refusing_every_entry() {
    let bed = Bed::full();
    let report = bed.remote().make_all(&owner(1), &mut entries(50_000), &mut |_| {}).unwrap();
    assert_eq!(report.accepted, 0);
    assert!(report.total() <= 4 * 1_024, "{}", report.total());
    assert!(report.broken_off.as_ref().is_some_and(|why| why.contains("disk")), "{report:?}");
    let error = bed.remote().set(&owner(1), &[(b"a", 0)], b"v").unwrap_err();
    assert!(error.to_string().contains("min_free"), "{error}");
}

#[test]
fn nodes_are_tried_in_turn_and_all_are_named_when_none_answers() {
    let bed = Bed::new();
    let remote = Remote::new(&[closed_url(), bed.url()], Some(bed.token.clone())).unwrap();
    assert_eq!(remote.status().unwrap().software, "lfdns");
    remote.set(&owner(1), &[(b"a", 0)], b"v").unwrap();
    let (first, second) = (closed_url(), closed_url());
    let error = Remote::new(&[&first, &second], None).unwrap().status().unwrap_err();
    let LfError::NotReachable(tried) = &error else { panic!("{error}") };
    assert_eq!(tried.iter().map(|t| &t.url).collect::<Vec<_>>(), [&first, &second]);
    assert!(error.to_string().contains(&first));
}

#[test]
fn without_the_token_reading_works_and_writing_says_what_is_missing() {
    let bed = Bed::new();
    let remote = Remote::new(&[bed.url()], None).unwrap();
    assert!(remote.get(&[(b"a", 0)], None).unwrap().is_none());
    let error = remote.set(&owner(1), &[(b"a", 0)], b"v").unwrap_err();
    assert!(matches!(error, LfError::NoToken(_)), "{error}");
    let error = remote.teach(&[b"a".to_vec()]).unwrap_err();
    let LfError::Refused(refused) = error else { panic!("{error}") };
    assert_eq!(refused.status, 401);
}

#[test]
fn each_node_gets_its_own_token_and_one_that_wants_another_is_passed_over() {
    let (one, two) = (Bed::new(), Bed::new());
    let other = Some(Token::random().unwrap());
    let of = |first, second| Remote::with_tokens([(one.url(), first), (two.url(), second)]).unwrap();
    let own = |bed: &Bed| Some(bed.token.clone());
    of(other.clone(), own(&two)).set(&owner(1), &[(b"a", 0)], b"two").unwrap();
    // Without a token the first one reads, and only the second can be written to.
    of(None, own(&two)).set(&owner(1), &[(b"b", 0)], b"two").unwrap();
    of(own(&one), own(&two)).set(&owner(1), &[(b"a", 0)], b"one").unwrap();
    let value = |bed: &Bed| bed.remote().get(&[(b"a", 0)], None).unwrap();
    assert_eq!((value(&one), value(&two)), (Some(b"one".to_vec()), Some(b"two".to_vec())));
    let error = of(other.clone(), other).status().unwrap_err();
    let LfError::Refused(refused) = &error else { panic!("{error}") };
    assert_eq!(refused.status, UNAUTHORIZED);
    assert!(refused.message.contains(&one.url()) && refused.message.contains(&two.url()), "{error}");
    let error = of(None, None).set(&owner(1), &[(b"a", 0)], b"v").unwrap_err();
    assert!(matches!(&error, LfError::NoToken(urls) if urls.contains(&two.url())), "{error}");
}

#[test]
fn zones_are_listed_line_by_line_and_a_broken_listing_is_an_error() {
    let bed = Bed::new();
    let lf = bed.remote();
    let mut names = Vec::new();
    lf.list_zone("large.lf.", None, &mut |entry| {
        names.push(entry.name);
        true
    })
    .unwrap();
    assert_eq!((names.len(), names[4_999].as_str()), (5_000, "n4999.demo.lf."));
    let mut count = 0;
    let first_two = &mut |_| {
        count += 1;
        count < 2
    };
    lf.list_zone("large.lf.", None, first_two).unwrap();
    assert_eq!(count, 2);
    let error = lf.list_zone("broken.lf.", None, &mut |_| true).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    assert!(lf.list_zone("none.", None, &mut |_| true).unwrap_err().to_string().contains("no zone"));
    assert_eq!(lf.explain("a b.lf.", Some("TXT")).unwrap()["Name"], "a b.lf.");
    assert!(bed.local().explain("a.", None).is_err());
}

#[test]
fn urls_that_cannot_be_nodes_are_refused_with_the_reason() {
    for (url, why) in [
        ("https://127.0.0.1:9980", "TLS"),
        ("127.0.0.1:9980", "http://"),
        ("http://", "URL"),
        ("http://127.0.0.1:80@example.net/", "user"),
        ("http://a b", "URL"),
        ("ftp://a", "http://"),
    ] {
        let error = Remote::new(&[url], None).err().expect(url);
        assert!(error.to_string().contains(why), "{url}: {error}");
    }
    assert!(Remote::new(&["http://localhost:9980/"], None).is_ok());
}

#[test]
fn what_is_no_node_of_ours_is_said_to_be_none() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
    });
    let error = Remote::new(&[&url], None).unwrap().status().unwrap_err();
    assert!(matches!(&error, LfError::Answer { .. }), "{error}");
    assert!(error.to_string().contains(&url));
    other.join().unwrap();
}
