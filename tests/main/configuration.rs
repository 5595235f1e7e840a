//! `rialto config check`, and what a start does with a configuration.

use crate::node::{Node, rialto, said};
use std::os::unix::fs::PermissionsExt;

#[test]
fn problems_are_told_one_a_line_with_file_and_line() {
    let node = Node::prepared();
    let config = node.config().display().to_string();
    let good = rialto(&["config", "check", &config]);
    assert!(good.status.success(), "{}", said(&good));
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("127.0.0.1", "0.0.0.0").replace("implicit", "none");
    let text = text.replace("cert.key", "missing.key");
    std::fs::write(&config, &text).unwrap();
    let line = |part: &str| 1 + text.lines().position(|line| line.contains(part)).unwrap();
    let bad = rialto(&["config", "check", &config]);
    assert_eq!(bad.status.code(), Some(1));
    let expected = [
        format!("{config}:{}: tls.key: ", line("missing.key")),
        format!("{config}:{}: listener[1].tls: ", line("\"none\"")),
    ];
    for expected in expected {
        assert!(said(&bad).contains(&expected), "{} does not tell {expected}", said(&bad));
    }
    // It does not start with it either, and says the same.
    let start = rialto(&["serve", "--config", &config]);
    assert_eq!(start.status.code(), Some(1));
    assert!(said(&start).contains("listener[1].tls: "));
}

#[test]
fn a_path_too_long_for_a_socket_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("d".repeat(100)).display().to_string();
    let start = rialto(&["dev", "--data", &long, "--ports", "18000"]);
    assert_eq!(start.status.code(), Some(1));
    assert!(said(&start).contains("use a data directory with a shorter name"), "{}", said(&start));
}

#[test]
fn data_belongs_to_its_owner_alone_and_to_one_node() {
    let node = Node::started();
    let mode = std::fs::metadata(node.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let second = rialto(&["serve", "--config", &node.config().display().to_string()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("another node runs"), "{}", said(&second));
    assert_eq!(node.ready(), Some(200), "the first one minds");
}

#[test]
fn a_store_whose_library_is_missing_is_told_plainly() {
    let node = Node::prepared();
    let cluster = node.dir.path().join("fdb.cluster").display().to_string();
    std::fs::write(&cluster, "a:b@127.0.0.1:4500\n").unwrap();
    let text = std::fs::read_to_string(node.config()).unwrap();
    let store = format!(
        "[store]\nkind = \"foundationdb\"\ncluster_file = \"{cluster}\"\n\
         library = \"/nowhere/libfdb_c.so\"\n"
    );
    std::fs::write(node.config(), format!("{store}{text}")).unwrap();
    let start = rialto(&["serve", "--config", &node.config().display().to_string()]);
    assert_eq!(start.status.code(), Some(1));
    let said = said(&start);
    assert!(said.contains("/nowhere/libfdb_c.so") && said.contains("install"), "{said}");
}
