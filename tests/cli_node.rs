//! A node's life: first start, restart, clean stop, reload, and the errors by which it does not start.
#![allow(clippy::unwrap_used)]

#[path = "common/node.rs"]
mod node;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use node::Home;

/// Status line and body of a GET.
fn http(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The response code of a question of type A over UDP, and how many answers it has.
fn ask(server: std::net::SocketAddr, name: &str) -> (u8, u16) {
    let mut query = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    let (len, _) = socket.recv_from(&mut answer).expect("an answer");
    assert!(len >= 12);
    (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]]))
}

#[test]
fn an_empty_home_becomes_a_private_network_that_answers_its_own_zones() {
    let home = Home::new();
    home.file("zones/here.toml", "suffix = \"here.lf.\"\nauthority = [\"default\"]\nfile = \"here.zone\"\n[[lines]]\nname = \"poem\"\nfile = \"poem.txt\"\n");
    home.file("zones/here.zone", "$TTL 60\n@ SOA ns hm 1 2 3 4 60\nwww A 192.0.2.1\n");
    home.file("zones/poem.txt", "first\nsecond\n");
    // The node runs beside the zones directory, which is the default.
    let node = home.node();
    assert!(node.ready.starts_with("ready: DNS on "), "{}", node.ready);
    assert!(http(node.http, "/readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(ask(node.dns[0], "www.here.lf."), (0, 1));
    assert_eq!(ask(node.dns[0], "nothing.here.lf."), (3, 0));
    assert_eq!(home.run(["get", "here", "poem#"]).well().out, "first\nsecond\n");
    let rules = home.json(["network", "show"])["rules"].clone();
    let suffixes: Vec<&str> =
        rules["zones"].as_array().unwrap().iter().map(|z| z["suffix"].as_str().unwrap()).collect();
    assert_eq!(suffixes, ["here.lf.", "lf."]);
    let owner = home.json(["owner", "status"])["owner"].clone();
    assert_eq!(rules["zones"][0]["authority"], serde_json::json!([owner]));
    assert_eq!(home.json(["status"])["Ready"], true);
}

#[test]
fn the_zones_of_this_repository_are_published_at_the_first_start() {
    let home = Home::new();
    let node = home.node_with(&["--zones", concat!(env!("CARGO_MANIFEST_DIR"), "/zones")]);
    assert_eq!(ask(node.dns[0], "www.demo.lf."), (0, 1));
    assert_eq!(ask(node.dns[0], "anything.any.demo.lf."), (0, 1));
    assert_eq!(ask(node.dns[0], "deep.demo.lf."), (0, 0));
    let poem = home.run(["get", "demo", "jabberwocky#"]).well().out;
    assert_eq!(poem.lines().count(), 28);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/zones/demo.zone");
    home.run(["zone", "diff", file, "--zone", "demo.lf"]).well();
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_and_after_a_kill() {
    let home = Home::new();
    let node = home.node();
    home.run(["set", "a", "one"]).well();
    assert!(node.stop().success());
    assert!(!home.path().join("node.json").exists(), "a clean stop removes node.json");
    let node = home.node();
    assert_eq!(home.run(["get", "a"]).well().out, "one\n");
    home.run(["set", "b", "two"]).well();
    node.kill();
    let _node = home.node();
    assert_eq!(home.run(["get", "b"]).well().out, "two\n");
    home.run(["check"]).well();
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_chooses_another() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let quic = udp.local_addr().unwrap().to_string();
    for (flag, address) in [("--http", &address), ("--quic", &quic)] {
        let home = Home::new();
        let mut command = home.command();
        command.arg("node");
        for pair in node::FREE_PORTS.chunks(2).filter(|pair| pair[0] != flag) {
            command.args(pair);
        }
        let output = command.args([flag, address]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(address.as_str()) && said.contains(flag), "{said}");
    }
    let home = Home::new();
    let output = home
        .command()
        .args(["node", "--http", "127.0.0.1:0", "--quic", "127.0.0.1:0", "--dns", &address])
        .output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.contains(&address) && said.contains("--dns"), "{said}");
}

#[test]
fn a_second_node_on_a_home_is_refused_with_the_first_ones_process() {
    let home = Home::new();
    let first = home.node();
    home.node_fails(&[] as &[&str]).fails(1, &["in use by another node", &first.pid.to_string()]);
    home.run(["status"]).well();
}

#[test]
fn an_unknown_configuration_key_is_named_with_the_nearest_known_one() {
    let home = Home::new();
    let config = home.file("node.toml", "[dns]\nlissten = [\"127.0.0.1:0\"]\n").display().to_string();
    home.node_fails(&["--config", &config]).fails(1, &["node.toml:2", "'lissten'", "did you mean 'listen'?"]);
    home.node_fails(&["--config", "/nowhere.toml"]).fails(1, &["/nowhere.toml"]);
}

#[test]
fn a_wrong_zone_file_keeps_the_first_start_from_succeeding_and_says_where() {
    let home = Home::new();
    home.file("zones/x.toml", "suffix = \"x.lf.\"\nauthority = [\"default\"]\nfile = \"x.zone\"\n");
    let zone = home.file("zones/x.zone", "$TTL 60\n@ SOA ns hm 1 2 3 4 60\nwww A 192.0.2.999\n");
    home.file("zones/y.toml", "suffix = \"y.lf.\"\nauthority = [\"default\"]\nfile = \"y.zone\"\n");
    home.file("zones/y.zone", "$TTL 60\n@ SOA ns hm 1 2 3 4 60\nwww A 192.0.2.7\n");
    home.node_fails(&[] as &[&str]).fails(1, &["x.zone:3:", "192.0.2.999"]);
    // The network is there: later starts say it, and go on.
    let node = home.node();
    let said = node.awaits("x.zone:3:");
    assert!(said.contains("WARN") && said.contains("again at the next start"), "{said}");
    assert_eq!(ask(node.dns[0], "www.y.lf."), (0, 1), "one faulty file keeps no other back");
    assert!(http(node.http, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(node.stop().success());
    // Mended, the next start goes on where the first one ended.
    std::fs::write(zone, "$TTL 60\n@ SOA ns hm 1 2 3 4 60\nwww A 192.0.2.9\n").unwrap();
    let node = home.node();
    assert_eq!(ask(node.dns[0], "www.x.lf."), (0, 1));
}

#[test]
fn a_hangup_reads_zones_again_and_an_invalid_configuration_changes_nothing() {
    let home = Home::new();
    let node = home.node();
    std::fs::create_dir(home.path().join("zones")).unwrap();
    let zone = home.path().join("zones/extra.toml");
    std::fs::write(&zone, "suffix = \"extra.test.\"\nauthority = [\"default\"]\n").unwrap();
    assert_eq!(ask(node.dns[0], "extra.test.").0, 5, "not ours yet");
    node.signal("HUP");
    node.awaits("read again");
    assert_eq!(ask(node.dns[0], "extra.test.").0, 0, "a zone of this node alone");
    std::fs::write(home.path().join("node.toml"), "[dns]\nnonsense = 1\n").unwrap();
    node.signal("HUP");
    let said = node.awaits("the old configuration stays");
    assert!(said.contains("nonsense"), "{said}");
    assert_eq!(ask(node.dns[0], "extra.test.").0, 0);
}

#[test]
fn ports_in_use_stand_in_node_json_and_json_prints_the_same() {
    let home = Home::new();
    let mut command = home.command();
    command.args(["--json", "node"]).args(node::FREE_PORTS).args(["--dns", "127.0.0.1:0"]);
    let node = node::Node::start(command, &home.path());
    assert_eq!(node.dns.len(), 2);
    assert!(node.dns.iter().all(|address| address.port() != 0) && node.quic.port() != 0);
    let printed: serde_json::Value = serde_json::from_str(&node.ready).unwrap();
    let written = std::fs::read(home.path().join("node.json")).unwrap();
    assert_eq!(printed, serde_json::from_slice::<serde_json::Value>(&written).unwrap());
}
