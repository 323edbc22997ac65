//! Each path, who may take it, and how the answer looks.

use super::*;
use crate::record::Record;

#[test]
fn health_is_told_to_anybody_and_readiness_with_its_reasons() {
    let bed = Bed::new();
    assert_eq!(bed.get("/healthz").status, 200);
    assert_eq!(bed.get("/readyz").json()["Ready"], true);
    bed.waiting_for.lock().push("DNS sockets".into());
    let answer = bed.get("/readyz");
    assert_eq!((answer.status, answer.json()["WaitingFor"][0].clone()), (503, "DNS sockets".into()));
}

#[test]
fn status_has_lfs_fields_and_ours_and_the_network_only_for_the_token() {
    let bed = Bed::new();
    let answer = bed.get("/status");
    assert_eq!(answer.status, 200);
    let status = answer.json();
    assert_eq!(status["Software"], "lfdns");
    assert_eq!(status["DBRecordCount"], 2);
    assert_eq!(status["Clock"], START / 1000);
    assert_eq!(status["GenesisParameters"]["RecordMinLinks"], 2);
    assert_eq!(status["NetworkRules"]["suffix"], "lf.");
    assert!(status["DBSize"].as_u64().unwrap() > 0);
    assert!(status.get("Network").is_none(), "{status}");
    assert!(answer.head.contains("x-lf-version: "), "{}", answer.head);
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
    let told = bed.request("GET", "/status", &[&bed.bearer()], b"").json();
    assert_eq!(told["Network"], bed.network.reveal());
}

#[test]
fn requests_under_a_foreign_name_are_refused_in_words() {
    let bed = Bed::new();
    let answer = bed.send(b"GET /status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 403);
    assert!(answer.message().contains("not called 'evil.example'"));
    let named = Config { hosts: vec!["lf.example".into()], ..Config::default() };
    let bed = Bed::with(named, |_| {});
    let answer = bed.send(b"GET /status HTTP/1.1\r\nHost: lf.example:9980\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 200);
}

#[test]
fn writing_needs_the_token_unless_loopback_is_trusted() {
    let bed = Bed::new();
    for path in ["/post", "/names"] {
        let answer = bed.request("POST", path, &[], b"[]");
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.message().contains("api.token"));
        assert!(answer.head.contains("www-authenticate: bearer"));
        let wrong = format!("Authorization: Bearer {}", "0".repeat(64));
        assert_eq!(bed.request("POST", path, &[&wrong], b"[]").status, 401);
    }
    assert_eq!(bed.post("/names", "application/json", br#"["bad"]"#).status, 200);
    let bed = Bed::with(Config { trust_loopback: true, ..Config::default() }, |_| {});
    assert_eq!(bed.request("POST", "/names", &[], br#"["bad"]"#).status, 200);
    let page = bed.request("POST", "/names", &["Origin: http://evil.example"], br#"["bad"]"#);
    assert_eq!(page.status, 401);
}

#[test]
fn names_told_are_in_the_stores_book() {
    let bed = Bed::new();
    bed.remote().teach(&[b"bad".to_vec(), vec![0xFF, 0]]).unwrap();
    bed.store.flush();
    let names = bed.store.snapshot().unwrap().names().unwrap();
    assert!(names.contains(&b"bad".to_vec()) && names.contains(&vec![0xFF, 0]), "{names:?}");
    let long = format!("[\"{}\"]", "x".repeat(1025));
    assert_eq!(bed.post("/names", "application/json", long.as_bytes()).status, 400);
}

#[test]
fn links_are_raw_hashes_for_lf_and_sets_for_us() {
    let bed = Bed::new();
    let raw = bed.get("/links");
    assert_eq!((raw.status, raw.body.len()), (200, 64));
    assert_eq!(bed.get("/links?count=1").body.len(), 32);
    let one = bed.request("GET", "/links", &["Accept: application/json"], b"").json();
    assert_eq!(one[0].as_array().unwrap().len(), 2);
    let sets = bed.get("/links?n=5").json();
    assert_eq!(sets.as_array().unwrap().len(), 5);
    assert!(sets[4][0]["Hash"].as_str().unwrap().starts_with('='));
    assert!(sets[4][0]["TimestampMillis"].as_u64().unwrap() < START);
    assert_eq!(bed.get("/links?n=4097").status, 400);
    assert_eq!(bed.get("/links?n=x").status, 400);
}

#[test]
fn a_record_is_shown_in_json_and_raw_and_missing_in_words() {
    let bed = Bed::new();
    let made = bed.local().set(&owner(1), &[(b"bad", 0), (b"horse", 2)], b"neigh").unwrap();
    let shown = bed.get(&format!("/record/{}", made.id)).json();
    assert_eq!(shown["Owner"], owner(1).key().to_string());
    assert_eq!(shown["Timestamp"], START / 1000);
    assert_eq!(shown["TimestampMillis"], made.time.0);
    assert_eq!(shown["Selectors"].as_array().unwrap().len(), 2);
    let raw = bed.get(&format!("/record/raw/{}", made.id));
    assert_eq!(Record::decode(&raw.body).unwrap().id(&bed.network), made.id);
    assert_eq!(bed.get(&format!("/record/{}", RecordId([9; 32]))).status, 404);
    assert!(bed.get("/record/nonsense").message().contains("not a record id"));
    assert_eq!(bed.get("/record/%FF").status, 400);
}

#[test]
fn the_founding_record_is_shown_only_for_the_token_since_it_tells_the_network() {
    let bed = Bed::new();
    // The second genesis record links to the first, which founds the network.
    let second = bed.store.newest_genesis().id;
    let shown = bed.get(&format!("/record/{second}")).json();
    let first = shown["Links"][0].as_str().unwrap();
    for path in [format!("/record/{first}"), format!("/record/raw/{first}")] {
        assert_eq!(bed.get(&path).status, 401, "{path}");
        assert_eq!(bed.request("GET", &path, &[&bed.bearer()], b"").status, 200, "{path}");
    }
}

#[test]
fn the_time_of_an_owners_newest_record_is_told_for_each_slot() {
    let bed = Bed::new();
    let made = bed.local().set(&owner(1), &[(b"bad", 7)], b"v").unwrap();
    let slot = crate::record::PathKey::root(&bed.network)
        .child(&crate::record::Name::derive(&bed.network, b"bad").public());
    let other = crate::record::PathKey([9; 16]);
    let times = bed.remote().newest(&owner(1).key(), &[slot, other, slot]).unwrap();
    assert_eq!(times, [Some(made.time), None, Some(made.time)]);
    let short = format!(r#"{{"Owner":"{}","Slots":["abc"]}}"#, owner(1).key());
    let answer = bed.request("POST", "/newest", &[], short.as_bytes());
    assert!(answer.message().contains("16 bytes"));
}

#[test]
fn explaining_and_listing_are_asked_of_the_part_that_answers_dns() {
    let bed = Bed::new();
    assert_eq!(bed.get("/explain?name=www.demo.lf.&type=A").json()["Type"], "A");
    assert!(bed.get("/explain").message().contains("name"));
    assert!(bed.get("/explain?name=a.&typ=A").message().contains("typ"));
    let listed = bed.get("/zone?suffix=demo.lf.");
    assert_eq!(String::from_utf8(listed.body).unwrap().lines().count(), 3);
    assert_eq!(bed.get("/zone?suffix=none.").message(), "no zone none.");
    assert_eq!(bed.get("/zone?suffix=demo.lf.&owner=x").status, 400);
    let other = owner(5).key().to_string();
    assert!(bed.get(&format!("/zone?suffix=demo.lf.&owner={other}")).body.is_empty());
}

#[test]
fn unknown_paths_and_methods_are_refused_in_json() {
    let bed = Bed::new();
    assert_eq!(bed.get("/makerecord").message(), "/makerecord not found");
    let answer = bed.get("/query");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.message(), "GET not supported for this path");
}

#[test]
fn a_failure_inside_the_node_is_one_requests_loss() {
    let bed = Bed::new();
    assert_eq!(bed.get("/explain?name=panic.lf.").status, 500);
    bed.assert_alive();
}

#[test]
fn a_port_that_is_taken_is_said_in_words() {
    let bed = Bed::new();
    let parts = Parts {
        store: bed.store.clone(),
        clock: Arc::new(|| Millis(START)),
        explain: Arc::new(Oracle),
        facts: Arc::new(Facts::default),
        peers: Arc::new(crate::sync::face::Alone),
        token: bed.token.clone(),
    };
    let config = Config { listen: bed.addr, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Server::bind(&config, parts)).err().expect("the port is taken");
    assert!(error.to_string().contains("--http"), "{error}");
}
