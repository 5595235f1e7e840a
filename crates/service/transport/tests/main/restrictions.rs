//! Who may write to whom, and how much.

use crate::outgoing::{is_empty, outside};
use crate::world::{World, address, run};
use base::AccountId;
use contract_directory::{
    AccountChange, Actor, Directory, DirectoryAdmin, FlowChange, GroupChange, NewContact, Party,
    Resolved, RestrictionsChange,
};
use contract_transport::Transport;
use std::net::{IpAddr, Ipv4Addr};

/// Whom a message is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By<'a> {
    /// Somebody of ours who has signed in.
    Login(&'a str),
    /// A server somewhere, with whatever sender.
    Stranger(&'a str),
    /// Ourselves, with a report.
    Report,
}

async fn party(world: &World, name: &str) -> Party {
    match world.directory.resolve(&address(name)).await.unwrap() {
        Resolved::Account(account) | Resolved::Contact(account) => Party::Account(account.id),
        Resolved::Group(group) => Party::Group(group.id),
        other => panic!("{name} is {other:?}"),
    }
}

async fn account(world: &World, name: &str) -> AccountId {
    match party(world, name).await {
        Party::Account(id) => id,
        Party::Group(_) => panic!("{name} is a group"),
    }
}

async fn change(world: &World, name: &str, flow: FlowChange) {
    let id = account(world, name).await;
    let change = AccountChange { flow, ..AccountChange::default() };
    world.directory.update_account(&Actor::System, id, change).await.unwrap();
}

async fn restrict(world: &World, name: &str, restrictions: RestrictionsChange) {
    match party(world, name).await {
        Party::Account(_) => {
            change(world, name, FlowChange { restrictions, ..FlowChange::default() }).await;
        }
        Party::Group(id) => {
            let change = GroupChange { restrictions, ..GroupChange::default() };
            world.directory.update_group(&Actor::System, id, change).await.unwrap();
        }
    }
}

fn accept(from: &[Party]) -> RestrictionsChange {
    RestrictionsChange { accept_from: Some(from.to_vec()), ..RestrictionsChange::default() }
}

fn reject(from: &[Party]) -> RestrictionsChange {
    RestrictionsChange { reject_from: Some(from.to_vec()), ..RestrictionsChange::default() }
}

async fn send(world: &World, by: By<'_>, to: &[&str], text: &str) {
    let sender = match by {
        By::Login(name) => address(name).to_string(),
        By::Stranger(sender) => sender.to_owned(),
        By::Report => String::new(),
    };
    let mut submission = world.submission(&sender, to, text).await;
    let envelope = &mut submission.envelope;
    match by {
        By::Login(name) => envelope.authenticated = Some(account(world, name).await),
        By::Stranger(_) => envelope.source.ip = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        By::Report => {}
    }
    world.node.transport.accept(submission).await.unwrap();
    world.settle().await;
}

/// Sends to `to` and looks what comes: a copy for each of `mailboxes`, in that order, and the status
/// that alice is told.
async fn check(world: &World, by: By<'_>, to: &str, mailbox: &str, expect: Option<&str>) {
    let (had, told) = (world.inbox(mailbox).await.len(), world.inbox("alice").await.len());
    send(world, by, &[to], "text").await;
    let came = world.inbox(mailbox).await.len() - had;
    assert_eq!(came, usize::from(expect.is_none()), "{by:?} to {to}");
    let reports = world.inbox("alice").await;
    if let Some(status) = expect.filter(|_| by == By::Login("alice")) {
        let report = &reports[told..];
        assert_eq!(report.len(), 1, "{by:?} to {to}");
        assert!(report[0].contains(&format!("Status: {status}")), "{}", report[0]);
    }
}

#[test]
fn lists_say_who_may_write() {
    run(601, async |world| {
        world.account("erin", None).await;
        world.group("friends", &["alice@rialto.test".into()]).await;
        world.group("circle", &["friends@rialto.test".into()]).await;
        let (alice, circle) = (By::Login("alice"), party(&world, "circle").await);
        check(&world, alice, "bob", "bob", None).await;
        restrict(&world, "bob", accept(&[party(&world, "erin").await])).await;
        check(&world, alice, "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Login("erin"), "bob", "bob", None).await;
        // Whoever only uses an address has not signed in.
        check(&world, By::Stranger("erin@rialto.test"), "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Report, "bob", "bob", None).await;
        restrict(&world, "bob", accept(&[circle])).await;
        check(&world, alice, "bob", "bob", None).await;
        check(&world, By::Login("erin"), "bob", "bob", Some("5.7.1")).await;
        // To be among those who may not is stronger.
        restrict(&world, "bob", reject(&[party(&world, "alice").await])).await;
        check(&world, alice, "bob", "bob", Some("5.7.1")).await;
        restrict(&world, "bob", accept(&[])).await;
        check(&world, alice, "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Login("erin"), "bob", "bob", None).await;
        restrict(&world, "bob", reject(&[circle])).await;
        check(&world, alice, "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Stranger("x@peer.test"), "bob", "bob", None).await;
    });
}

#[test]
fn groups_and_their_members_have_restrictions() {
    run(602, async |world| {
        world.group("team", &["bob@rialto.test".into()]).await;
        let alice = party(&world, "alice").await;
        restrict(&world, "team", reject(&[alice])).await;
        check(&world, By::Login("alice"), "team", "bob", Some("5.7.1")).await;
        check(&world, By::Stranger("x@peer.test"), "team", "bob", None).await;
        restrict(&world, "team", reject(&[])).await;
        check(&world, By::Login("alice"), "team", "bob", None).await;
        restrict(&world, "bob", reject(&[alice])).await;
        check(&world, By::Login("alice"), "team", "bob", Some("5.7.1")).await;
        let only = FlowChange { authenticated_only: Some(true), ..FlowChange::default() };
        change(&world, "bob", only).await;
        restrict(&world, "bob", reject(&[])).await;
        check(&world, By::Stranger("x@peer.test"), "team", "bob", Some("5.7.1")).await;
        check(&world, By::Login("alice"), "team", "bob", None).await;
    });
}

#[test]
fn contacts_are_known_by_their_address_elsewhere() {
    outside(603, async |world, outside| {
        let new = NewContact {
            address: address("supplier"),
            display_name: String::new(),
            external: address("s@far.test"),
        };
        world.directory.create_contact(&Actor::System, new).await.unwrap();
        restrict(&world, "bob", accept(&[party(&world, "supplier").await])).await;
        check(&world, By::Stranger("s@far.test"), "bob", "bob", None).await;
        check(&world, By::Stranger("supplier@rialto.test"), "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Stranger("t@far.test"), "bob", "bob", Some("5.7.1")).await;
        restrict(&world, "supplier", reject(&[party(&world, "alice").await])).await;
        send(&world, By::Login("alice"), &["supplier"], "no").await;
        send(&world, By::Login("bob"), &["supplier"], "yes").await;
        is_empty(&world).await;
        assert_eq!(outside.copies("s@far.test"), 2, "bob's, and the refusal of the first");
    });
}

#[test]
fn limits_of_senders_and_recipients() {
    run(604, async |world| {
        let alice = By::Login("alice");
        let size = |bytes| RestrictionsChange {
            receive_bytes_max: Some(bytes),
            ..RestrictionsChange::default()
        };
        restrict(&world, "bob", size(Some(50))).await;
        check(&world, alice, "bob", "bob", Some("5.2.3")).await;
        restrict(&world, "bob", size(Some(100_000))).await;
        check(&world, alice, "bob", "bob", None).await;
        let send_max = |send_bytes_max| FlowChange {
            send_bytes_max: Some(send_bytes_max),
            ..FlowChange::default()
        };
        change(&world, "alice", send_max(Some(50))).await;
        check(&world, alice, "bob", "bob", Some("5.2.3")).await;
        check(&world, By::Stranger("alice@rialto.test"), "bob", "bob", None).await;
        change(&world, "alice", send_max(None)).await;
        let one = FlowChange { recipients_max: Some(Some(1)), ..FlowChange::default() };
        change(&world, "alice", one).await;
        check(&world, alice, "bob", "bob", None).await;
        let (had, told) = (world.inbox("bob").await.len(), world.inbox("alice").await.len());
        send(&world, alice, &["bob", "nobody"], "two").await;
        assert_eq!(world.inbox("bob").await.len(), had);
        let reports = world.inbox("alice").await;
        assert_eq!(reports.len(), told + 1);
        assert_eq!(reports[told].matches("Status: 5.5.3").count(), 2, "{}", reports[told]);
    });
}
