//! Peers that mean harm, each with a bound on what it may cost, and an honest peer beside it that is served all the
//! while. The hostile ones speak the protocol by their own hand over real QUIC.
#![allow(clippy::unwrap_used)]

#[path = "common/wirepeer.rs"]
mod wirepeer;

use std::time::{Duration, Instant};

use lfdns::record::{Link, Millis, NetworkId, Record, RecordId};
use lfdns::store::FIRST;
use lfdns::sync::face::Peers;
use lfdns::sync::limits::{
    ANSWERS_MAX, ANSWERS_PER_PEER, BIDI_STREAMS_MAX, COMPARE_WINDOW, CONTROL_RATE, CONTROL_WINDOW,
    STREAMS_MAX,
};
use lfdns::sync::wire::{FRAME_MAX, Message, Root};
use quinn::{RecvStream, SendStream};
use wirepeer::*;

#[tokio::test(flavor = "multi_thread")]
async fn records_an_hour_ahead_are_deferred_and_nobody_is_blamed() {
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut gossip = evil.gossip().await;
    let links = beside.network.links();
    for n in 0..50 {
        let ahead = beside.network.record(n, now().plus(3_000_000 + n), &links);
        gossip.write_all(&record_frame(&ahead)).await.unwrap();
    }
    until("they are put aside", || beside.target.store.stats().unwrap().deferred == 50).await;
    beside.is_served(1).await;
    assert!(beside.keeps(66), "a clock that differs is nobody's fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_network_learns_nothing() {
    let beside = Beside::new().await;
    let elsewhere = Network::new(2);
    let endpoint = caller(66);
    let connection = endpoint.connect(beside.target.service.address(), "lfdns").unwrap().await.unwrap();
    let mut control = connection.open_bi().await.unwrap();
    say(&mut control.0, &Message::Proof(proof(&connection, &elsewhere.id))).await;
    assert_eq!(hear(&mut control.1).await, None, "not a byte");
    let quinn::ConnectionError::ApplicationClosed(closed) = connection.closed().await else {
        panic!("the connection is closed in words of QUIC")
    };
    assert_eq!((closed.error_code.into_inner(), closed.reason.len()), (0, 0), "no reason either");
    assert!(!beside.keeps(66));

    // Nor does an honest node of the other network, which dials.
    let stranger = Honest::start(&elsewhere, 67, &[&beside.target]);
    until("it has tried", || stranger.service.peers().unwrap().iter().any(|peer| peer.failures > 0)).await;
    assert!(stranger.connected().is_empty() && !beside.keeps(67));
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_after_the_handshake_is_let_go() {
    let beside = Beside::new().await;
    let endpoint = caller(66);
    let connection = endpoint.connect(beside.target.service.address(), "lfdns").unwrap().await.unwrap();
    let begun = Instant::now();
    let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
    assert!(closed.is_ok() && begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_too_long_or_out_of_place_end_the_connection() {
    let beside = Beside::new().await;
    let oversized = [&(FRAME_MAX as u32 + 1).to_be_bytes()[..], &[16]].concat();
    let senseless = [0, 0, 0, 2, 99, 1];
    let misplaced = frame(&Message::Turn(vec![1, 2, 3]));
    let second_hello = frame(&Message::Done);
    for (key, bytes) in [(66, &oversized[..]), (67, &senseless), (68, &misplaced), (69, &second_hello)] {
        let mut evil = Evil::enter(&beside.target, &beside.network.id, key).await;
        let _ = evil.control.0.write_all(bytes).await;
        evil.thrown_out().await;
    }
    // What costs nothing to say would be heard at no cost to whoever says it.
    let empty = frame(&Message::Announce(Vec::new()));
    for (key, bytes) in [(70, &oversized[..]), (71, &misplaced), (74, &empty)] {
        let evil = Evil::enter(&beside.target, &beside.network.id, key).await;
        let _ = evil.gossip().await.write_all(bytes).await;
        evil.thrown_out().await;
    }
    for (key, bytes) in [(72, &oversized[..]), (73, &misplaced)] {
        let evil = Evil::enter(&beside.target, &beside.network.id, key).await;
        let mut stream = evil.connection.open_bi().await.unwrap();
        let _ = stream.0.write_all(bytes).await;
        evil.thrown_out().await;
    }
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_list_nobody_sent_ends_the_connection() {
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut stream = evil.connection.open_bi().await.unwrap();
    say(&mut stream.0, &Message::Compare { salt: [1; 16], until: now() }).await;
    // A range up to time 5 answered with "I lack none, and have nothing more".
    say(&mut stream.0, &Message::Turn(vec![5, 0, 3, 0, 0])).await;
    evil.thrown_out().await;
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_replayed_ten_thousand_times_is_known() {
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut gossip = evil.gossip().await;
    let id = beside.other.write(&beside.network, 5);
    until("the record is here", || beside.target.holds(&id)).await;
    let sent = beside.target.store.snapshot().unwrap().sent(&id).unwrap().unwrap();
    let bytes = frame(&Message::Record { whole: true, bytes: sent.bytes });
    let records = beside.target.store.stats().unwrap().records;
    for _ in 0..10_000 {
        gossip.write_all(&bytes).await.unwrap();
    }
    beside.is_served(1).await;
    assert!(beside.target.store.stats().unwrap().records <= records + 1);
    assert_eq!(beside.target.progress().missing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_hold_up_nobody() {
    /// Several times as many as have a place, in each way of asking.
    const SLOW: u8 = (ANSWERS_MAX / ANSWERS_PER_PEER + 2 * STREAMS_MAX) as u8;
    // No other honest node is told of, so the target is who serves.
    let network = Network::new(1);
    let target = Honest::start(&network, 10, &[]);
    let links = network.links();
    let begun = now().0 - 30_000;
    let records: Vec<_> = (0..5_000).map(|n| network.record(n, Millis(begun + n), &links)).collect();
    let ids: Vec<RecordId> = records.iter().map(|record| record.id(&network.id)).collect();
    target.store.ingest(records.clone(), lfdns::store::Source::Import);
    // Each asks in all the ways there are, reads none of it or says no more, and once it is given up asks again.
    let mut held = Vec::new();
    for key in 66..66 + SLOW {
        let evil = Evil::enter_by(narrow_caller(key), &target, &network.id, key).await;
        for n in 0..BIDI_STREAMS_MAX - 1 {
            let ask = match n {
                0 => Message::Since(FIRST),
                1 | 3 => Message::Compare { salt: [1; 16], until: now() },
                _ => Message::Want(ids[..1_024].to_vec()),
            };
            let connection = evil.connection.clone();
            tokio::spawn(async move {
                while let Ok((mut send, _unread)) = connection.open_bi().await {
                    say(&mut send, &ask).await;
                    let _ = send.stopped().await;
                }
            });
        }
        held.push(evil);
    }
    let wanted = target.store.stats().unwrap().records;
    // One that comes now streams everything.
    let late = Honest::start(&network, 12, &[&target]);
    until("a newcomer has everything", || late.store.stats().unwrap().records >= wanted).await;
    late.service.stop().await;
    // One that has most of it compares and fetches the rest.
    let (store, home) = Honest::empty(&network);
    store.ingest(records[..4_000].to_vec(), lfdns::store::Source::Import);
    let near = Honest::on(store, home, 13, vec![target.address()]);
    until("another has the rest", || near.store.stats().unwrap().records >= wanted).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_control_messages_ends_the_connection() {
    let beside = Beside::new().await;
    let mut evil = beside.evil().await;
    let flood = frame(&Message::Peers(Vec::new())).repeat(5_000);
    let _ = evil.control.0.write_all(&flood).await;
    evil.thrown_out().await;
    beside.is_served(1).await;
}

/// Asks for a comparison; its answer is heard on the stream that comes back.
async fn ask_to_compare(evil: &Evil) -> (SendStream, RecvStream) {
    let (mut send, receive) = evil.connection.open_bi().await.unwrap();
    say(&mut send, &Message::Compare { salt: [0; 16], until: now() }).await;
    say(&mut send, &Message::Turn(vec![5, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])).await;
    (send, receive)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_comparisons_is_answered_slowly() {
    /// An answer takes milliseconds.
    const NO_ANSWER: Duration = Duration::from_secs(2);
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    for n in 0..lfdns::sync::limits::COMPARE_RATE {
        let (_send, mut receive) = ask_to_compare(&evil).await;
        assert!(hear(&mut receive).await.is_some(), "number {n} is answered");
    }
    // Neither at once nor, the next minute being far, ever.
    let answered = async |(_send, mut receive): (SendStream, RecvStream)| {
        tokio::time::timeout(NO_ANSWER, hear(&mut receive)).await.is_ok_and(|heard| heard.is_some())
    };
    assert!(!answered(ask_to_compare(&evil).await).await, "one more is not");
    beside.is_served(1).await;
    assert!(beside.keeps(66), "to compare often is no crime");

    // Whoever comes again does not begin anew, and leaves nothing behind.
    let runtime = tokio::runtime::Handle::current();
    let tasks = || runtime.metrics().num_alive_tasks();
    evil.connection.close(0_u32.into(), b"");
    until("it has gone", || !beside.keeps(66)).await;
    let before = tasks();
    for _ in 0..5 {
        let again = beside.evil().await;
        let mut asked = Vec::new();
        for _ in 0..ANSWERS_PER_PEER {
            asked.push(ask_to_compare(&again).await);
        }
        assert!(!answered(asked.remove(0)).await, "it is remembered");
        again.connection.close(0_u32.into(), b"");
        until("it has gone again", || !beside.keeps(66)).await;
    }
    let begun = Instant::now();
    // Its own endpoints have tasks too, one each.
    until("nothing waits for it any more", || tasks() <= before + 5).await;
    assert!(begun.elapsed() < COMPARE_WINDOW / 3, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_control_messages_goes_on_where_it_ended() {
    let beside = Beside::new().await;
    let some = frame(&Message::Peers(Vec::new())).repeat(CONTROL_RATE as usize * 3 / 4);
    let mut evil = beside.evil().await;
    evil.control.0.write_all(&some).await.unwrap();
    // An answer shows that all of it was heard.
    let root = Root { until: now(), count: 1, fingerprint: [0; 16], synchronised: true };
    say(&mut evil.control.0, &Message::Root(root)).await;
    while !matches!(hear(&mut evil.control.1).await.unwrap(), Message::RootIs(_)) {}
    evil.connection.close(0_u32.into(), b"");
    until("it has gone", || !beside.keeps(66)).await;
    let mut again = beside.evil().await;
    let _ = again.control.0.write_all(&some).await;
    assert!(again.thrown_out().await < CONTROL_WINDOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_copy_does_not_hide_the_record() {
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let links = beside.network.links();
    let good = beside.network.record(77, now(), &links);
    let id = good.id(&beside.network.id);
    let mut forged = good.clone();
    forged.signature[9] ^= 1;
    let _ = evil.gossip().await.write_all(&record_frame(&forged)).await;
    evil.thrown_out().await;
    beside.other.store.ingest(vec![good], lfdns::store::Source::Api);
    let begun = Instant::now();
    until("the true one arrives", || beside.target.holds(&id)).await;
    assert!(begun.elapsed() < SERVED, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_address_changes_stays_connected() {
    let beside = Beside::new().await;
    let mut evil = beside.evil().await;
    let before = evil.endpoint.local_addr().unwrap();
    evil.endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    assert_ne!(evil.endpoint.local_addr().unwrap(), before);
    let root = Root { until: now(), count: 1, fingerprint: [0; 16], synchronised: true };
    say(&mut evil.control.0, &Message::Root(root)).await;
    loop {
        match hear(&mut evil.control.1).await {
            Some(Message::RootIs(_)) => break,
            other => assert!(other.is_some(), "the connection moved along"),
        }
    }
    assert!(beside.keeps(66));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_not_asked_for_ends_the_connection() {
    let beside = Beside::new().await;
    let links = beside.network.links();
    let (asked, other) = (beside.network.record(1, now(), &links), beside.network.record(2, now(), &links));
    let evil = beside.evil().await;
    let id = asked.id(&beside.network.id);
    let mut gossip = evil.gossip().await;
    gossip.write_all(&frame(&Message::Announce(vec![id]))).await.unwrap();
    let (mut send, _receive, question) = evil.asked().await;
    assert_eq!(question, Message::Want(vec![id]));
    let _ = send.write_all(&record_frame(&other)).await;
    evil.thrown_out().await;
    assert!(!beside.target.holds(&other.id(&beside.network.id)));
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_brought_is_kept_and_who_streams_out_of_order_goes() {
    let beside = Beside::new().await;
    let links = beside.network.links();
    let begun = now().0 - 30_000;
    let records: Vec<_> = (0..20).map(|n| beside.network.record(n, Millis(begun + n), &links)).collect();
    let holds = |n: usize| beside.target.holds(&records[n].id(&beside.network.id));

    let mut evil = Evil::enter(&beside.target, &beside.network.id, 67).await;
    evil.claim(100_000).await;
    let (mut send, _receive, question) = evil.asked().await;
    assert!(matches!(question, Message::Since(_)));
    for record in &records[..10] {
        send.write_all(&record_frame(record)).await.unwrap();
    }
    send.finish().unwrap();
    until("what came before the end is here", || (0..10).all(holds)).await;
    assert!(beside.keeps(67), "to end early is no crime");
    evil.connection.close(0_u32.into(), b"");

    let mut evil = beside.evil().await;
    evil.claim(100_000).await;
    let (mut send, _receive, _) = evil.asked().await;
    for n in [10, 12, 11] {
        let _ = send.write_all(&record_frame(&records[n])).await;
    }
    evil.thrown_out().await;
    until("what was in order is here", || holds(10) && holds(12)).await;
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_version_is_not_to_blame() {
    let beside = Beside::new().await;
    let mut later = Evil::prove(caller(66), &beside.target, &beside.network.id).await;
    let hello = lfdns::sync::wire::Hello { instance: 1, clock: now(), port: 0, synchronised: true };
    let mut bytes = frame(&Message::Hello(hello));
    bytes[VERSION_AT] += 1;
    later.control.0.write_all(&bytes).await.unwrap();
    later.thrown_out().await;
    assert!(!beside.keeps(66));
    let _updated = beside.evil().await;
    until("it is let in once it speaks ours", || beside.keeps(66)).await;

    let mut wrong = Evil::prove(caller(67), &beside.target, &beside.network.id).await;
    say(&mut wrong.control.0, &Message::Done).await;
    wrong.thrown_out().await;
    let again = Evil::enter(&beside.target, &beside.network.id, 67).await;
    again.thrown_out().await;
}

/// Carries packets between two sockets; a handful at a time, last first.
fn shuffle(target: std::net::SocketAddr) -> std::net::SocketAddr {
    let inside = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = inside.local_addr().unwrap();
    let outside = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    outside.connect(target).unwrap();
    let client = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (back, known) = (inside.try_clone().unwrap(), std::sync::Arc::clone(&client));
    let forth = outside.try_clone().unwrap();
    // Both threads end with the test's process.
    std::thread::spawn(move || {
        let mut packet = [0; 2_048];
        while let Ok((len, from)) = inside.recv_from(&mut packet) {
            *known.lock().unwrap() = Some(from);
            let _ = forth.send(&packet[..len]);
        }
    });
    std::thread::spawn(move || {
        outside.set_read_timeout(Some(Duration::from_millis(3))).unwrap();
        let (mut held, mut packet) = (Vec::new(), [0; 2_048]);
        loop {
            match outside.recv(&mut packet) {
                Ok(len) if held.len() < 24 => held.push(packet[..len].to_vec()),
                received => {
                    let to: Option<std::net::SocketAddr> = *client.lock().unwrap();
                    for packet in held.drain(..).rev() {
                        let _ = to.map(|to| back.send_to(&packet, to));
                    }
                    held.extend(received.ok().map(|len| packet[..len].to_vec()));
                }
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_data_out_of_order_is_put_in_order() {
    let network = Network::new(1);
    let target = Honest::start(&network, 10, &[]);
    let links = network.links();
    let begun = now().0 - 30_000;
    let records = (0..6_000).map(|n| network.record(n, Millis(begun + n), &links)).collect();
    target.store.ingest(records, lfdns::store::Source::Import);
    let (store, home) = Honest::empty(&network);
    let through = lfdns::sync::PeerAddress::of(shuffle(target.service.address()), Some(target.service.key()));
    let late = Honest::on(store, home, 12, vec![through]);
    let wanted = target.store.stats().unwrap().records;
    until("everything came", || late.store.stats().unwrap().records >= wanted).await;
    let orphans = late.store.stats().unwrap().orphans;
    assert_eq!(orphans, 0, "the stream is in order whatever its packets were");
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_of_what_does_not_exist_are_bounded_and_forgotten() {
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut gossip = evil.gossip().await;
    for n in 0..60_u64 {
        let ids = (0..1_000_u64).map(|m| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(n * 1_000 + m + 1).to_be_bytes());
            RecordId(id)
        });
        gossip.write_all(&frame(&Message::Announce(ids.collect()))).await.unwrap();
    }
    // Whatever is asked for is answered with nothing.
    let nothing = evil.connection.clone();
    let answering = tokio::spawn(async move {
        while let Ok((mut send, _)) = nothing.accept_bi().await {
            say(&mut send, &Message::Done).await;
            let _ = send.finish();
        }
    });
    until("some are wanted", || beside.target.progress().missing > 0).await;
    let wanted = beside.target.progress().missing;
    assert!(wanted <= 16_384, "{wanted} ids are wanted from one peer");
    beside.is_served(1).await;
    until("they are forgotten", || beside.target.progress().missing == 0).await;
    answering.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_does_not_lock_others_out() {
    let beside = Beside::new().await;
    let target = beside.target.service.address();
    // All from one address, and each for as long as it takes: it waits at the door, or holds its place without a word
    // until it is let go.
    let callers: Vec<_> = (100..108).map(|key| caller_from([127, 0, 0, 2], key)).collect();
    let flooding: Vec<_> = (0..64)
        .map(|n| {
            let from = callers[n % callers.len()].clone();
            tokio::spawn(async move {
                loop {
                    let Ok(connection) = from.connect(target, "lfdns").unwrap().await else { continue };
                    connection.closed().await;
                }
            })
        })
        .collect();
    beside.is_served(1).await;
    let late = Honest::start(&beside.network, 12, &[&beside.target]);
    until("a newcomer gets in", || late.connected().contains(&beside.target.service.key())).await;
    assert!(flooding.iter().all(|flood| !flood.is_finished()), "the flood went on");
    flooding.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_are_no_quic_are_ignored() {
    let beside = Beside::new().await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut seed = 1_u64;
    for n in 0..2_000_usize {
        let mut packet = vec![0_u8; n % 1_400 + 1];
        for byte in &mut packet {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 56) as u8;
        }
        // The receiver's buffer may be full, which is as good.
        let _ = socket.send_to(&packet, beside.target.service.address());
    }
    beside.is_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_whose_links_never_come_are_bounded() {
    let beside = Beside::new().await;
    let evil = beside.evil().await;
    let mut gossip = evil.gossip().await;
    for n in 0..2_000_u64 {
        let lost = Link { id: RecordId([n as u8; 32]), time: Millis(1) };
        let other = Link { id: RecordId([(n >> 8) as u8 | 0x80; 32]), time: Millis(1) };
        let links =
            if lost.id == other.id { vec![lost, beside.network.links()[0]] } else { vec![lost, other] };
        let orphan = beside.network.record(n, Millis(now().0 - 5_000), &links);
        if gossip.write_all(&record_frame(&orphan)).await.is_err() {
            break;
        }
    }
    beside.is_served(1).await;
    assert!(beside.keeps(66), "what we do not have yet is nobody's fault");
    until("its missing links are given up", || beside.target.progress().missing <= 64).await;
}

/// Gives everything bare: says that it has much more, streams all without the values, and then agrees with whatever it is
/// told.
async fn give_bare(evil: Evil, network: NetworkId, records: Vec<Record>) {
    let Evil { endpoint: _endpoint, connection, mut control } = evil;
    let bare = |record: &Record| frame(&Message::Record { whole: false, bytes: record.encode_body() });
    let all = records.len() as u64;
    let talking = async {
        while let Some(message) = hear(&mut control.1).await {
            if let Message::Root(root) = message {
                let more = Root { count: 10 * all, fingerprint: [1; 16], synchronised: true, ..root };
                let same = Root { synchronised: true, ..root };
                let said = if root.count < all { more } else { same };
                say(&mut control.0, &Message::RootIs(said)).await;
            }
        }
    };
    let answering = async {
        while let Ok((mut send, mut receive)) = connection.accept_bi().await {
            let given: Vec<u8> = match hear(&mut receive).await {
                Some(Message::Since(_)) => records.iter().flat_map(bare).collect(),
                Some(Message::Want(ids)) => {
                    let wanted = records.iter().filter(|record| ids.contains(&record.id(&network)));
                    wanted.flat_map(bare).collect()
                }
                _ => continue,
            };
            let _ = send.write_all(&given).await;
            say(&mut send, &Message::Done).await;
            let _ = send.finish();
        }
    };
    tokio::join!(talking, answering);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_everything_without_its_values_leaves_no_node_without_them() {
    let network = Network::new(1);
    let honest = Honest::start(&network, 10, &[]);
    let begun = now().0 - 50_000;
    let links = network.links();
    let records: Vec<_> = (0..5_000).map(|n| network.record(n, Millis(begun + n), &links)).collect();
    honest.store.ingest(records.clone(), lfdns::store::Source::Import);

    let home = tempfile::tempdir().unwrap();
    let config = lfdns::store::Config { min_free: 0, ..lfdns::store::Config::default() };
    let store = lfdns::store::Store::create(home.path(), &network.genesis, &config, clock()).unwrap();
    let joining = Honest::joining(store, home, 12, vec![], false);
    let evil = tokio::spawn(give_bare(Evil::enter(&joining, &network.id, 66).await, network.id, records));
    let lacking = || joining.store.snapshot().unwrap().count_without_value(10_000).unwrap();
    until("it has everything bare", || lacking() == 5_000).await;
    until("it counts them", || joining.progress().missing >= 5_000).await;
    joining.service.add(honest.address()).unwrap();
    until("the values come", || lacking() == 0).await;
    until("it agrees with its network", || joining.progress().synchronised).await;
    evil.abort();
}

/// Says that it has much more than anybody, whenever it is asked.
async fn boast(mut control: (SendStream, RecvStream)) {
    while let Some(message) = hear(&mut control.1).await {
        if let Message::Root(root) = message {
            let count = root.count + 1_000_000;
            let more = Root { count, fingerprint: [1; 16], synchronised: true, ..root };
            say(&mut control.0, &Message::RootIs(more)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_streams_nothing_new_is_stopped_and_not_blamed() {
    let beside = Beside::new().await;
    let Evil { endpoint: _endpoint, connection, control } = beside.evil().await;
    let boasting = tokio::spawn(boast(control));
    let mut stream = loop {
        let (send, mut receive) = connection.accept_bi().await.unwrap();
        if let Some(Message::Since(_)) = hear(&mut receive).await {
            break send;
        }
    };
    // For ever, in order, and not too slowly: what can never be let in.
    let lost = [1, 2].map(|n| Link { id: RecordId([n; 32]), time: Millis(1) });
    let from = now().0 - 50_000;
    let begun = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for n in 0_u64.. {
        if n % 16 == 0 {
            pace.tick().await;
        }
        let orphan = beside.network.record(n, Millis(from + n), &lost);
        if stream.write_all(&record_frame(&orphan)).await.is_err() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on");
    }
    assert!(beside.target.progress().catching_up.is_none());
    assert!(beside.keeps(66), "to be slow is no crime");
    beside.is_served(1).await;
    boasting.abort();
}
