//! Who may write to whom, and how much.

use crate::courier::Does;
use crate::forwarding::forward;
use crate::outgoing::{is_empty, outside};
use crate::rules::{make, rule};
use crate::world::{DOMAIN, World, address, run};
use base::AccountId;
use bytes::Bytes;
use contract_directory::{
    AccountChange, Actor, Directory, DirectoryAdmin, FlowChange, GroupChange, NewContact, Party,
    Resolved, RestrictionsChange,
};
use contract_transport::authentication::INSIDE_FIELD;
use contract_transport::rule::Action;
use contract_transport::signing::{KeyAlgorithm, NewKey, SigningAdmin};
use contract_transport::{QueueAdmin, Transport};
use service_directory::{DirectoryConfig, DirectoryService};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

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

/// Each group within a group is asked, as if the message had been written to itself.
#[test]
fn groups_within_groups_have_restrictions_of_their_own() {
    run(607, async |world| {
        world.account("erin", None).await;
        world.group("board", &["bob@rialto.test".into()]).await;
        world.group("staff", &["board@rialto.test".into(), "erin@rialto.test".into()]).await;
        world.group("all", &["staff@rialto.test".into(), "board@rialto.test".into()]).await;
        let erin = party(&world, "erin").await;
        restrict(&world, "board", accept(&[erin])).await;
        let (alice, told) = (By::Login("alice"), world.inbox("alice").await.len());
        send(&world, alice, &["all", "staff"], "from alice").await;
        assert_eq!((world.inbox("bob").await.len(), world.inbox("erin").await.len()), (0, 1));
        let reports = &world.inbox("alice").await[told..];
        assert_eq!(reports.len(), 1, "the closed group is told of once");
        for line in ["Final-Recipient: rfc822; board@rialto.test", "Status: 5.7.1"] {
            assert_eq!(reports[0].matches(line).count(), 1, "{line}: {}", reports[0]);
        }
        send(&world, By::Login("erin"), &["all"], "from erin").await;
        assert_eq!((world.inbox("bob").await.len(), world.inbox("erin").await.len()), (1, 2));
    });
}

/// Also in a message that takes several pieces, the closed group is told of once, and stays closed.
#[test]
fn a_closed_group_is_told_of_once_in_all_pieces() {
    outside(608, async |world, outside| {
        let members: Vec<String> = (0..1_200).map(|number| format!("m{number}@far.test")).collect();
        world.group("some", &members[..900]).await;
        world.group("closed", &members[600..]).await;
        let both = ["some@rialto.test".into(), "closed@rialto.test".into()];
        world.group("all", &both).await;
        restrict(&world, "closed", reject(&[party(&world, "alice").await])).await;
        send(&world, By::Login("alice"), &["all"], "much").await;
        is_empty(&world).await;
        let taken: usize = outside.taken().iter().map(|taken| taken.recipients.len()).sum();
        assert_eq!(taken, 900);
        let reports = world.inbox("alice").await;
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains("closed@rialto.test"), "{}", reports[0]);
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

#[test]
fn limits_of_senders_are_for_what_they_hand_in() {
    outside(605, async |world, outside| {
        world.account("carol", None).await;
        let limit = async |recipients_max, send_bytes_max| {
            let limits = FlowChange {
                recipients_max: Some(recipients_max),
                send_bytes_max: Some(send_bytes_max),
                ..FlowChange::default()
            };
            change(&world, "alice", limits).await;
        };
        // Two at once, and then only one may be.
        outside.set("far.test", Does::Away);
        send_to_two(&world).await;
        limit(Some(1), None).await;
        let transport = &world.node.transport;
        let waiting = transport.list(None, 1).await.unwrap();
        transport.resubmit(waiting[0].queue).await.unwrap();
        outside.set("far.test", Does::Take { dsn: true });
        is_empty(&world).await;
        assert_eq!((outside.copies("a@far.test"), outside.copies("b@far.test")), (1, 1));
        // Rules add a recipient, and text.
        let sender = address("alice").to_string();
        let size = world.submission(&sender, &["bob"], "text").await.content.size_bytes();
        limit(Some(1), Some(size)).await;
        let actions = vec![
            Action::BlindCopyTo(vec![address("carol").to_string()]),
            Action::PrependSubject("[longer] ".into()),
        ];
        make(&world, rule("copy", vec![], actions)).await;
        check(&world, By::Login("alice"), "bob", "bob", None).await;
        assert_eq!(world.inbox("carol").await.len(), 1);
        limit(Some(1), Some(size - 1)).await;
        check(&world, By::Login("alice"), "bob", "bob", Some("5.2.3")).await;
        assert_eq!(world.inbox("carol").await.len(), 1, "no rule has seen it");
    });
}

/// Alice writes to two people elsewhere, whose server is away.
async fn send_to_two(world: &World) {
    let to = ["a@far.test", "b@far.test"];
    let mut submission = world.submission("alice@rialto.test", &to, "two").await;
    submission.envelope.authenticated = Some(account(world, "alice").await);
    world.node.transport.accept(submission).await.unwrap();
    world.env.clock.sleep(Duration::from_secs(30)).await;
}

#[test]
fn a_device_stays_one_of_us_when_its_signed_mail_goes_another_way() {
    outside(606, async |world, outside| {
        let transport = &world.node.transport;
        let (selector, algorithm) = (Some("s1".to_owned()), KeyAlgorithm::Ed25519);
        let new = NewKey { domain: DOMAIN.into(), selector, algorithm };
        transport.create_signing_key(&Actor::Operator, new).await.unwrap();
        transport.activate_signing_key(&Actor::Operator, DOMAIN, "s1").await.unwrap();
        let new = NewContact {
            address: address("p@far.test"),
            display_name: String::new(),
            external: address("p@far.test"),
        };
        world.directory.create_contact(&Actor::System, new).await.unwrap();
        let only = FlowChange { authenticated_only: Some(true), ..FlowChange::default() };
        change(&world, "p@far.test", only).await;
        outside.set("far.test", Does::Away);
        let mut submission = world.submission("alice@rialto.test", &["p@far.test"], "scan").await;
        submission.envelope.source.ip = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        submission.content = submission.content.with_prefix(Bytes::from(INSIDE_FIELD));
        transport.accept(submission).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(30)).await;
        let waiting = transport.list(None, 1).await.unwrap();
        transport.resubmit(waiting[0].queue).await.unwrap();
        outside.set("far.test", Does::Take { dsn: true });
        is_empty(&world).await;
        assert_eq!(outside.copies("p@far.test"), 1);
        assert!(world.inbox("alice").await.is_empty(), "nothing is refused");
    });
}

#[test]
fn contacts_in_groups_are_known_by_their_address_elsewhere() {
    outside(607, async |world, _outside| {
        let new = NewContact {
            address: address("supplier"),
            display_name: String::new(),
            external: address("S@far.test"),
        };
        world.directory.create_contact(&Actor::System, new).await.unwrap();
        let members = ["supplier@rialto.test", "erin@far.test"].map(String::from);
        world.group("suppliers", &members).await;
        let suppliers = party(&world, "suppliers").await;
        restrict(&world, "bob", accept(&[suppliers])).await;
        check(&world, By::Stranger("s@far.test"), "bob", "bob", None).await;
        check(&world, By::Stranger("erin@far.test"), "bob", "bob", None).await;
        check(&world, By::Stranger("t@far.test"), "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Login("alice"), "bob", "bob", Some("5.7.1")).await;
        restrict(&world, "bob", accept(&[])).await;
        restrict(&world, "bob", reject(&[suppliers])).await;
        check(&world, By::Stranger("s@far.test"), "bob", "bob", Some("5.7.1")).await;
        check(&world, By::Stranger("t@far.test"), "bob", "bob", None).await;
    });
}

/// A member whose restrictions cannot be told fails alone, and whoever forwards there keeps a copy.
#[test]
fn one_bad_member_is_no_harm_to_the_others() {
    run(608, async |world| {
        world.account("erin", None).await;
        world.account("dora", None).await;
        let name = |number: usize| format!("deep{number}");
        world.group(&name(0), &["dora@rialto.test".into()]).await;
        for number in 1..25 {
            world.group(&name(number), &[format!("{}@rialto.test", name(number - 1))]).await;
        }
        restrict(&world, "erin", accept(&[party(&world, &name(24)).await])).await;
        forward(&world, "dora", "erin", true).await;
        let members = ["bob", "erin", "dora"].map(|one| format!("{one}@rialto.test"));
        world.group("staff", &members).await;
        check(&world, By::Login("alice"), "staff", "bob", None).await;
        check(&world, By::Login("alice"), "dora", "dora", None).await;
        assert_eq!(world.inbox("dora").await.len(), 2);
        assert!(world.inbox("erin").await.is_empty());
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 2, "{told:?}");
        for report in &told {
            assert!(report.contains("Status: 5.4.6"), "{report}");
            assert!(report.contains("erin@rialto.test") && !report.contains("bob@"), "{report}");
        }
    });
}

/// Another node has removed the group that a member forwards to; this one has not heard of it.
#[test]
fn a_group_that_has_just_gone_is_nobody() {
    run(609, async |world| {
        world.account("erin", None).await;
        world.group("gone", &["erin@rialto.test".into()]).await;
        forward(&world, "erin", "gone", true).await;
        world.group("staff", &["erin@rialto.test".into(), "bob@rialto.test".into()]).await;
        let Party::Group(gone) = party(&world, "gone").await else { panic!("a group") };
        let store = world.dynamic.clone();
        let other = DirectoryService::start(DirectoryConfig::default(), store, world.env.clone());
        other.remove_group(&Actor::System, gone).await.unwrap();
        send(&world, By::Login("alice"), &["staff"], "text").await;
        assert_eq!((world.inbox("bob").await.len(), world.inbox("erin").await.len()), (1, 1));
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("Status: 5.1.1") && told[0].contains("gone@"), "{}", told[0]);
    });
}
