//! Verifying and copying the store, with the node and without it.

use crate::certificates::imap;
use crate::node::{Node, is_empty, rialto, said, until};

fn messages(node: &Node) -> usize {
    let mut talk = imap(node);
    let login = talk.tagged("a", "LOGIN alice@one.example \"correct horse\"");
    assert!(login.contains("a OK"), "{login}");
    let status = talk.tagged("b", "STATUS INBOX (MESSAGES)");
    let count = status.split("MESSAGES ").nth(1).and_then(|rest| rest.split(')').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{status}"))
}

/// A node with three messages for alice.
fn filled() -> Node {
    let node = Node::started();
    node.populate();
    for _ in 0..3 {
        assert!(node.send("alice@one.example").starts_with("250"));
    }
    until("the delivery", || messages(&node) == 3);
    node
}

#[test]
fn a_store_is_verified_with_and_without_its_node() {
    let mut node = filled();
    let online = node.done(&["store", "verify"]);
    assert!(online.contains("1 mailboxes with 3 messages, 0 queued; 0 problems"), "{online}");
    assert_eq!(node.stop().0, Some(0));
    let offline = node.done(&["store", "verify"]);
    assert!(offline.contains("all rows, ") && offline.contains("0 problems"), "{offline}");
}

#[test]
fn a_running_node_copies_itself_and_reads_go_on() {
    let mut node = filled();
    let target = node.dir.path().join("elsewhere");
    let to = format!("embedded:{}", target.display());
    let what_if = node.done(&["store", "copy", "--to", &to, "--what-if"]);
    assert!(what_if.contains("stop writing") && is_empty(&target), "{what_if}");
    let own = format!("embedded:{}", node.data().display());
    let same = node.ask(&["store", "copy", "--to", &own]);
    assert!(said(&same).contains("the same store"), "{}", said(&same));

    let copied = node.done(&["store", "copy", "--to", &to]);
    assert!(copied.contains("verified by count and hash"), "{copied}");
    // Reading goes on, writing does not, and says that it is for a while only.
    assert_eq!(messages(&node), 3);
    let refused = node.send("alice@one.example");
    assert!(refused.starts_with("451"), "{refused}");
    let mut talk = imap(&node);
    talk.tagged("a", "LOGIN alice@one.example \"correct horse\"");
    let refused = talk.tagged("b", "CREATE Folder");
    assert!(refused.contains("b NO [UNAVAILABLE]"), "{refused}");
    // Nobody has been told of the mail yet, which cannot be noted now.
    let selected = talk.tagged("c", "SELECT INBOX");
    assert!(selected.contains("c OK") && selected.contains("* 3 RECENT"), "{selected}");
    assert_eq!(node.ready(), Some(503));
    // It is over: another order changes nothing, whatever would come of it.
    let third = format!("embedded:{}", node.dir.path().join("third").display());
    for to in [&to, &third, &"embedded:/dev/null/x".to_owned()] {
        let again = node.ask(&["store", "copy", "--to", to]);
        assert_eq!(again.status.code(), Some(1));
        assert!(said(&again).contains("has moved to embedded:"), "{}", said(&again));
        assert!(node.send("alice@one.example").starts_with("451"), "the gate is open again");
    }
    assert_eq!(node.stop().0, Some(0), "{}", node.log());

    // Without a new configuration it does not start: mail would be in the old store only.
    let refused = rialto(&["serve", "--config", &node.config().display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("has moved to embedded:"), "{}", said(&refused));

    // The node starts with the new store and has everything, and what is changed is audited after
    // what was changed before.
    let moved = std::fs::read_to_string(node.config()).unwrap();
    let moved = moved.replace(&node.data().display().to_string(), &target.display().to_string());
    std::fs::write(node.config(), moved).unwrap();
    std::fs::rename(node.data(), node.dir.path().join("old")).unwrap();
    std::os::unix::fs::symlink(&target, node.data()).unwrap();
    node.start();
    assert_eq!(messages(&node), 3);
    assert!(node.send("alice@one.example").starts_with("250"));
    until("the delivery", || messages(&node) == 4);
    node.done(&["domain", "new", "three.example"]);
    let audit = node.done(&["audit", "--output", "csv"]);
    let newest = audit.lines().nth(1).unwrap_or_default();
    assert!(newest.contains("three.example"), "the newest change is not first:\n{audit}");
    assert!(node.done(&["store", "verify"]).contains("0 problems"));
    // What was just made is seen, not what a cache of the old store would know.
    assert!(node.send("nobody@three.example").starts_with("550"));
}

#[test]
fn a_copy_without_a_node_may_be_asked_for_again_but_not_over_other_data() {
    let mut node = filled();
    assert_eq!(node.stop().0, Some(0));
    let target = node.dir.path().join("elsewhere");
    let (from, to) =
        (format!("embedded:{}", node.data().display()), format!("embedded:{}", target.display()));
    let copied = rialto(&["store", "copy", "--from", &from, "--to", &to]);
    assert!(copied.status.success(), "{}", said(&copied));
    let again = rialto(&["store", "copy", "--from", &from, "--to", &to]);
    assert!(again.status.success(), "nothing has used it yet: {}", said(&again));
    let back = rialto(&["store", "copy", "--from", &to, "--to", &from]);
    assert!(said(&back).contains("holds data already"), "{}", said(&back));
    let nothing = rialto(&["store", "copy", "--from", "embedded:/nowhere/x", "--to", &to]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said(&nothing).contains("/nowhere/x/store"), "{}", said(&nothing));
}

#[test]
fn a_copy_that_fails_lets_writing_go_on() {
    let (node, other) = (filled(), Node::prepared());
    let target = node.dir.path().join("elsewhere");
    let to = format!("embedded:{}", target.display());
    // There is a store with data of its own already.
    std::fs::write(
        other.config(),
        std::fs::read_to_string(other.config())
            .unwrap()
            .replace(&other.data().display().to_string(), &target.display().to_string()),
    )
    .unwrap();
    let mut other = other;
    other.start();
    assert_eq!(other.stop().0, Some(0));
    for _ in 0..2 {
        let failed = node.ask(&["store", "copy", "--to", &to]);
        assert_eq!(failed.status.code(), Some(1));
        let text = said(&failed);
        assert!(text.contains("holds data already") && text.contains("writing goes on"), "{text}");
        assert!(node.send("alice@one.example").starts_with("250"));
    }
    assert_eq!(node.ready(), Some(200));
}

#[test]
fn an_old_store_is_served_again_only_when_it_is_told_to() {
    let mut node = filled();
    assert_eq!(node.stop().0, Some(0));
    let none = node.ask(&["store", "use"]);
    assert_eq!(none.status.code(), Some(1), "there is no mark: {}", said(&none));
    let to = format!("embedded:{}", node.dir.path().join("elsewhere").display());
    node.done(&["store", "copy", "--to", &to]);
    let verified = node.ask(&["store", "verify"]);
    assert!(said(&verified).contains("has moved to embedded:"), "{}", said(&verified));
    assert!(node.done(&["store", "use", "--what-if"]).contains("would"));
    let refused = rialto(&["serve", "--config", &node.config().display().to_string()]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    node.done(&["store", "use"]);
    node.start();
    assert_eq!(messages(&node), 3);
    let running = node.ask(&["store", "use"]);
    assert!(said(&running).contains("stop it first"), "{}", said(&running));
}

/// To FoundationDB (the stand-in for it) while the node runs, and back without it.
#[test]
fn a_node_moves_to_foundationdb_and_back() {
    let server = fdb_standin::server::spawn(Default::default()).unwrap();
    let mut node = filled();
    let cluster = node.dir.path().join("fdb.cluster");
    server.write_cluster_file(&cluster).unwrap();
    let library = fdb_standin::library_path().unwrap();
    let (cluster, library) = (cluster.display(), library.display());
    let place = format!("foundationdb:{cluster}?prefix=rialto/&library={library}");
    node.done(&["store", "copy", "--to", &place]);
    assert_eq!(node.stop().0, Some(0), "{}", node.log());
    let old = std::fs::read_to_string(node.config()).unwrap();
    let section = format!(
        "{old}[store]\nkind = \"foundationdb\"\ncluster_file = \"{cluster}\"\n\
         key_prefix = \"rialto/\"\nlibrary = \"{library}\"\n"
    );
    std::fs::write(node.config(), section).unwrap();
    node.start();
    assert_eq!(messages(&node), 3);
    assert!(node.send("alice@one.example").starts_with("250"));
    until("the delivery", || messages(&node) == 4);

    // A copy by somebody else: the node, which knows nothing of it, stops writing all the same.
    let back = format!("embedded:{}", node.dir.path().join("back").display());
    let copied = rialto(&["store", "copy", "--from", &place, "--to", &back]);
    assert!(copied.status.success(), "{}", said(&copied));
    let refused = node.send("alice@one.example");
    assert!(refused.starts_with("451"), "{refused}");
    let changed = node.ask(&["domain", "new", "three.example"]);
    assert_eq!(changed.status.code(), Some(1), "{}", said(&changed));
    assert_eq!((messages(&node), node.ready()), (4, Some(503)));
    assert_eq!(node.stop().0, Some(0), "{}", node.log());

    let data = node.data().display().to_string();
    let moved = old.replace(&data, &node.dir.path().join("back").display().to_string());
    std::fs::write(node.config(), moved).unwrap();
    node.start();
    assert_eq!(messages(&node), 4);
    // Keys of one within those of the other.
    let all = format!("foundationdb:{cluster}?library={library}");
    let nested = format!("foundationdb:{cluster}?prefix=rialto/in/&library={library}");
    rialto(&["store", "use", "--store", &place]);
    for (from, to) in [(&place, &nested), (&place, &all)] {
        let refused = rialto(&["store", "copy", "--from", from, "--to", to]);
        assert!(said(&refused).contains("the same database"), "{}", said(&refused));
    }
}

/// A byte of a stored body is turned over, wherever the table file has it.
#[test]
fn damage_is_found_and_told() {
    const TOKEN: &[u8] = b"q7Zk0vXw3LmB9sTy5RfN";
    let mut node = filled();
    assert!(
        node.send_text("alice@one.example", std::str::from_utf8(TOKEN).unwrap()).starts_with("250")
    );
    until("the delivery", || messages(&node) == 4);
    assert_eq!(node.stop().0, Some(0));
    let table = node.data().join("store/table.redb");
    let mut bytes = std::fs::read(&table).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - TOKEN.len()).filter(|at| bytes[*at..].starts_with(TOKEN)).collect();
    assert!(!places.is_empty(), "the body is not where it was looked for");
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(&table, bytes).unwrap();
    let found = node.ask(&["store", "verify"]);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    assert!(said(&found).contains("checksum"), "{}", said(&found));
}
