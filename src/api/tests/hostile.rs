//! Requests nobody means well: refused in words, without a panic, and the next one is answered.

use std::net::Shutdown;

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[test]
fn garbage_json_is_refused_in_words() {
    let bed = Bed::new();
    let deep = "[".repeat(100_000);
    for body in
        ["", "{", "null", "[]", "17", "\"x\"", r#"{"Ranges":7}"#, r#"{"Ranges":[{"Name":{}}]}"#, &deep]
    {
        let answer = bed.query(body);
        assert_eq!(answer.status, 400, "{body:.20}");
        assert!(!answer.message().is_empty());
    }
    bed.assert_alive();
}

#[test]
fn oversized_bodies_are_refused_with_the_limit() {
    let bed = Bed::new();
    let answer = bed.query(&" ".repeat(200 << 10));
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("131072"), "{}", answer.message());
    // Without a length it is noticed as it comes.
    let mut request = format!(
        "POST /query HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        bed.addr
    )
    .into_bytes();
    for _ in 0..40 {
        request.extend_from_slice(b"2000\r\n");
        request.extend_from_slice(&[b' '; 0x2000]);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(bed.send(&request).status, 413);
    bed.assert_alive();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_harms_nobody() {
    let bed = Bed::new();
    for path in ["/query", "/post"] {
        let mut stream = TcpStream::connect(bed.addr).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let bearer = bed.bearer();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{bearer}\r\nContent-Length: 100\r\n\r\n{{\"Ran",
            bed.addr
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    bed.assert_alive();
}

#[test]
fn idle_connections_up_to_the_limit_do_not_keep_others_out() {
    let bed = Bed::new();
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(bed.addr).unwrap()).collect();
    bed.assert_alive();
    drop(idle);
}

#[test]
fn what_is_not_http_is_answered_with_an_error_or_nothing() {
    let bed = Bed::new();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", &[0xFF; 100], b"\r\n\r\n\r\n\r\n"] {
        let mut stream = TcpStream::connect(bed.addr).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(100_000), bed.addr);
    assert!([400, 414, 431].contains(&bed.send(long.as_bytes()).status));
    bed.assert_alive();
}

#[test]
fn random_bodies_on_every_path_never_kill_the_node() {
    let bed = Bed::new();
    let paths = ["/query", "/post", "/names", "/newest", "/links?n=2", "/zone?suffix=%00", "/record/%FF"];
    let mut runner = TestRunner::new(ProptestConfig::with_cases(60));
    let json = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        r#"\{"Ranges":\[\{"Name":("\\b[0-9A-Za-z!]{0,9}"|\[[0-9, -]{0,9}\]|null),"Range":\[[0-9]{0,21}(,[0-9]{0,21})?\]\}\]\}"#
            .prop_map(String::into_bytes),
    ];
    let cases = (0..paths.len(), json, any::<bool>());
    runner
        .run(&cases, |(path, body, many)| {
            let media = if many { "application/vnd.lfdns.records" } else { "application/octet-stream" };
            let answer = bed.post(paths[path], media, &body);
            prop_assert!(answer.status < 500, "{}", String::from_utf8_lossy(&answer.body));
            if answer.status >= 400 {
                answer.message();
            }
            Ok(())
        })
        .unwrap();
    bed.assert_alive();
}
