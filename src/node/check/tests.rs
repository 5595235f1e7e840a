use super::*;
use crate::node::certificate::testing;

const NODE: &str = "[node]\nname = \"n\"\nhost_name = \"h.example\"\ndata = \"/nowhere/x\"\n";

/// Lines that begin so are reported, and nothing else. `FILE` stands for the file's name.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rialto.toml");
    std::fs::write(&path, text).unwrap();
    let problems = match NodeConfig::read(&path) {
        Ok(config) => config.problems(testing::NOW),
        Err(error) => {
            assert_eq!(expected.len(), 1, "{error}");
            assert!(error.text.contains(expected[0]), "{error} does not tell {expected:?}");
            return;
        }
    };
    let name = path.display().to_string();
    let found: Vec<_> = problems.iter().map(|p| p.to_string().replace(&name, "FILE")).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} instead of {expected}");
    }
}

fn listener(protocol: &str, address: &str, tls: &str) -> String {
    format!(
        "[[listener]]\nname = \"l\"\naddress = \"{address}\"\nprotocol = \"{protocol}\"\n\
         tls = \"{tls}\"\n"
    )
}

#[test]
fn mistakes_are_named_with_file_line_and_key() {
    check(NODE, &[]);
    check(&format!("{NODE}speed = 9\n"), &["line 5"]);
    check("[node]\nname = 1\n", &["line 2"]);
    let implicit = listener("imap", "127.0.0.1:993", "implicit");
    check(
        &format!("{NODE}{implicit}"),
        &["FILE:9: listener[0].tls: listener \"l\" needs a certificate"],
    );
    let plain = listener("smtp", "127.0.0.1:25", "none");
    check(
        &format!("{NODE}{plain}{plain}"),
        &["FILE:12: listener[1].address: listener \"l\" listens on 127.0.0.1:25 already"],
    );
    check(&NODE.replace("h.example", ""), &["FILE:3: node.host_name: "]);
}

#[test]
fn thresholds_of_back_pressure_must_be_in_order() {
    check(&format!("{NODE}[pressure]\nenabled = false\nwait_s = 20\n"), &[]);
    let thresholds = |high: u32| {
        let ends = "high_ends = 90, medium_ends = 80";
        format!("{NODE}[pressure]\ndisk_percent = {{ medium = 95, high = {high}, {ends} }}\n")
    };
    check(&thresholds(98), &[]);
    check(&thresholds(94), &["FILE:5: pressure: disk_percent: "]);
    check(&format!("{NODE}[pressure]\nspeed = 9\n"), &["line 6"]);
}

#[test]
fn passwords_are_taken_in_clear_on_this_machine_only() {
    for protocol in ["submission", "imap", "pop3"] {
        for address in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "[2001:db8::1]:1"] {
            let clear = listener(protocol, address, "none");
            check(&format!("{NODE}{clear}"), &["FILE:9: listener[0].tls: listener \"l\" would"]);
        }
        for address in ["127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            check(&format!("{NODE}{}", listener(protocol, address, "none")), &[]);
        }
    }
    check(&format!("{NODE}{}", listener("smtp", "0.0.0.0:25", "none")), &[]);
}

#[test]
fn proxies_are_ranges_of_addresses() {
    let with = |proxies: &str| {
        let smtp = listener("smtp", "0.0.0.0:25", "none");
        format!("{NODE}{smtp}proxy_protocol = {proxies}\n")
    };
    check(&with("{ from = [\"10.0.0.0/8\", \"127.0.0.1/32\", \"2001:db8::1\"] }"), &[]);
    check(
        &with("{ from = [] }"),
        &["FILE:10: listener[0].proxy_protocol.from: listener \"l\" would believe nobody"],
    );
    let everybody = "FILE:10: listener[0].proxy_protocol.from: listener \"l\" believes everybody";
    check(&with("{ from = [\"0.0.0.0/0\"] }"), &[everybody]);
    check(&with("{ from = [\"10.0.0.1/8\"] }"), &["begins at 10.0.0.0/8"]);
    check(&with("{ from = [\"proxy.example\"] }"), &["is no address or range"]);
    check(&with("true"), &["line 10"]);
    check(&with("{ for = [] }"), &["unknown field `for`"]);
}

#[test]
fn stores_have_their_own_options() {
    check(&format!("{NODE}[store]\nkind = \"embedded\"\n"), &[]);
    check(
        &format!("{NODE}[store]\nkind = \"embedded\"\nkey_prefix = \"x\"\nlibrary = \"y\"\n"),
        &["FILE:7: store.key_prefix: only with", "FILE:8: store.library: only with"],
    );
    check(&format!("{NODE}[store]\nkind = \"foundationdb\"\nkey_prefix = \"x\"\n"), &[]);
    check(
        &format!("{NODE}[store]\nkind = \"foundationdb\"\ncluster_file = \"/no/where\"\n"),
        &["FILE:7: store.cluster_file: /no/where is no file"],
    );
    check(&format!("{NODE}[store]\nkind = \"sqlite\"\n"), &["unknown variant `sqlite`"]);
}

#[test]
fn clusters_need_a_shared_store_and_an_address() {
    let shared = format!("{NODE}[store]\nkind = \"foundationdb\"\n");
    let cluster = |text: &str| format!("{shared}[cluster]\n{text}\n");
    check(&cluster("listen = \"10.0.0.1:7400\""), &[]);
    check(&cluster("listen = \"0.0.0.0:7400\"\naddress = \"10.0.0.1:7400\""), &[]);
    check(
        &format!("{NODE}[cluster]\nlisten = \"10.0.0.1:7400\"\n"),
        &["FILE:5: cluster: the nodes of a cluster share their store"],
    );
    check(
        &cluster("listen = \"0.0.0.0:7400\""),
        &["FILE:8: cluster.listen: the other nodes cannot reach 0.0.0.0:7400"],
    );
    check(
        &cluster("listen = \"10.0.0.1:7400\"\naddress = \"[::]:7400\"\nweight = 0"),
        &["FILE:9: cluster.address: the other", "FILE:10: cluster.weight: 1 to 10000"],
    );
    let taken = listener("smtp", "10.0.0.1:7400", "none");
    let both = format!("{}{taken}", cluster("listen = \"10.0.0.1:7400\""));
    check(&both, &["FILE:8: cluster.listen: listener \"l\" listens on"]);
    check(&cluster("port = 7400"), &["unknown field `port`"]);
}

#[test]
fn what_dev_writes_is_read_again() {
    let text = format!(
        "{NODE}[store]\nkind = \"foundationdb\"\nkey_prefix = \"x/\"\n{}{}",
        "[limits]\nloopback_exempt = true\nsubmissions_per_minute = 0\n[cluster]\n\
         listen = \"10.0.0.1:7400\"\nweight = 7\n",
        listener("smtp", "127.0.0.1:25", "none") + "proxy_protocol = { from = [\"10.0.0.0/8\"] }\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rialto.toml");
    std::fs::write(&path, &text).unwrap();
    let first = NodeConfig::read(&path).unwrap();
    std::fs::write(&path, first.to_text().unwrap()).unwrap();
    let second = NodeConfig::read(&path).unwrap();
    assert_eq!(first.to_text().unwrap(), second.to_text().unwrap());
    assert_eq!(second.limits.submissions_per_minute, None);
    assert_eq!(second.cluster.unwrap().weight, 7);
    assert_eq!(second.listeners.len(), 1);
    let proxies = second.listeners[0].proxy_protocol.as_ref().unwrap();
    assert!(proxies.from[0].contains("10.1.2.3".parse().unwrap()));
}

#[test]
fn data_directories_have_short_names_and_are_private() {
    let long = format!("/{}", "x".repeat(100));
    check(&NODE.replace("/nowhere/x", &long), &["FILE:4: node.data: the path of the admin"]);
    let dir = tempfile::tempdir().unwrap();
    let text = NODE.replace("/nowhere/x", &dir.path().display().to_string());
    let set_mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(dir.path(), permissions).unwrap();
    };
    set_mode(0o700);
    check(&text, &[]);
    set_mode(0o750);
    check(&text, &["FILE:4: node.data: "]);
}

#[test]
fn certificates_are_read_and_understood() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    testing::write(dir.path(), "good", 0, 90);
    testing::write(dir.path(), "other", 0, 90);
    testing::write(dir.path(), "old", -90, -1);
    testing::write(dir.path(), "early", 1, 90);
    testing::write(dir.path(), "soon", -80, 5);
    std::fs::write(at("text.pem"), "no certificate\n").unwrap();
    let with = |certificate: &str, key: &str| {
        let (certificate, key) = (at(certificate), at(key));
        format!("{NODE}[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
    };
    check(&with("good.pem", "good.key"), &[]);
    check(&with("none.pem", "good.key"), &["FILE:6: tls.certificate: "]);
    check(&with("good.pem", "none.key"), &["FILE:7: tls.key: "]);
    check(&with("text.pem", "good.key"), &["FILE:6: tls.certificate: "]);
    check(&with("good.pem", "text.pem"), &["FILE:7: tls.key: "]);
    check(&with("good.pem", "other.key"), &["FILE:7: tls.key: "]);
    let old = "FILE:6: tls.certificate: it has run out on ";
    check(&with("old.pem", "old.key"), &[old]);
    check(&with("early.pem", "early.key"), &["FILE:6: tls.certificate: it is good from "]);
    check(&with("soon.pem", "soon.key"), &["FILE:6: tls.certificate: it will run out in 5 d"]);
}

/// An old certificate is better than no server; a wrong key serves nobody.
#[test]
fn a_node_starts_with_what_works() {
    let dir = tempfile::tempdir().unwrap();
    testing::write(dir.path(), "old", -90, -1);
    testing::write(dir.path(), "good", 0, 90);
    let config = |certificate: &str, key: &str| {
        let (certificate, key) = (dir.path().join(certificate), dir.path().join(key));
        let tls = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
        let path = dir.path().join("rialto.toml");
        std::fs::write(&path, format!("{NODE}{tls}")).unwrap();
        NodeConfig::read(&path).unwrap()
    };
    config("old.pem", "old.key").check(testing::NOW).unwrap();
    config("good.pem", "old.key").check(testing::NOW).unwrap_err();
}
