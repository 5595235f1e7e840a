//! Receive connectors: who may send what, by listener and address.

use crate::doubles::Connectors;
use crate::world::{PASSWORD, World, config, plain, run};
use access_listener::transcript::{Player, Transcript};
use access_listener::{Listener, ListenerConfig, ProxyProtocol, TlsMode};
use access_smtp::{Config, Role};
use base::Deadline;
use contract_transport::authentication::{INSIDE_FIELD, is_from_inside};
use contract_transport::receive::{
    Binding, Limit, ListenerPlace, Mechanism, Permissions, ReceiveConnector, ReceiveTable,
    TlsDemand,
};
use std::sync::Arc;
use std::time::Duration;

fn limit(one: &mut ReceiveConnector, limit: Limit, value: u64) {
    one.limits.insert(limit, value);
}

/// A connector for clients of a range at port 25.
fn of(range: &str, change: impl FnOnce(&mut ReceiveConnector)) -> ReceiveConnector {
    let name = range.replace(['/', ':'], "-");
    let (bindings, ranges) = (vec![Binding::Port(25)], vec![range.parse().unwrap()]);
    let mut connector =
        ReceiveConnector { name, bindings, ranges, ..ReceiveConnector::of_role(Role::Server) };
    change(&mut connector);
    connector.check().unwrap();
    connector
}

fn may(permissions: Permissions) -> impl FnOnce(&mut ReceiveConnector) {
    move |one| one.permissions = permissions
}

fn table(connectors: impl IntoIterator<Item = ReceiveConnector>) -> Arc<ReceiveTable> {
    Arc::new(ReceiveTable::new(connectors))
}

/// Sessions of a listener at port 25 go by these connectors.
fn with(mut world: World, connectors: &Arc<Connectors>) -> World {
    let listener = ListenerPlace { role: Role::Server, address: "0.0.0.0:25".parse().unwrap() };
    world.service = world.service.with_connectors(connectors.clone()).at(listener);
    world
}

/// Plays dialogues with clients at addresses, by these connectors.
fn check_with(config: Config, connectors: Vec<ReceiveConnector>, dialogues: &[(&str, &str)]) {
    let dialogues: Vec<(String, String)> =
        dialogues.iter().map(|(ip, text)| ((*ip).to_owned(), (*text).to_owned())).collect();
    run(config, async move |world| {
        let mut world = with(world, &Connectors::new(table(connectors)));
        for (ip, text) in dialogues {
            world.peer = (ip.parse::<std::net::IpAddr>().unwrap(), 40_000).into();
            if let Err(error) = world.play(&text).await {
                panic!("{ip}: {error}");
            }
        }
    });
}

fn check(connectors: Vec<ReceiveConnector>, dialogues: &[(&str, &str)]) {
    check_with(config(Role::Server), connectors, dialogues);
}

const HELLO: &str = "S: 220 *\nC: EHLO client.example\nS? 250 STARTTLS\n";
const TLS: &str = "C: STARTTLS\nS: 220 *\n! tls\nC: EHLO client.example\nS? 250-*\n";
const MAIL: &str = "C: MAIL FROM:<scan@printer.example>\nS? 250 2.1.0 *\n";

fn recipient(address: &str, reply: &str) -> String {
    format!("C: RCPT TO:<{address}>\nS: {reply}\n")
}

#[test]
fn attack_12_a_printer_may_relay_and_others_may_not() {
    let relay = Permissions { relay: true, ..Permissions::NONE };
    let far = recipient("a@routed.example", "250 *");
    let nowhere = recipient("a@nowhere.example", "550 5.4.4 *");
    let ours =
        recipient("alice@rialto.test", "250 *") + &recipient("nobody@rialto.test", "550 5.1.1 *");
    let staff = recipient("staff@rialto.test", "550 5.7.1 only authenticated senders *");
    let sent = "C: DATA\nS: 354 *\nC: Subject: scan\nC:\nC: .\nS: 250 2.6.0 *\n";
    let printer = format!("{HELLO}{MAIL}{ours}{far}{nowhere}{staff}{sent}");
    let refused = recipient("a@routed.example", "550 5.7.1 Unable to relay")
        + &recipient("a%routed.example@rialto.test", "550 5.1.1 *")
        + &recipient("alice@rialto.test", "250 *");
    let other = format!("{HELLO}{MAIL}{refused}");
    check(
        vec![of("10.1.2.3", may(relay)), of("2001:db8::/64", may(relay))],
        &[
            ("10.1.2.3", &printer),
            ("::ffff:10.1.2.3", &printer),
            ("2001:db8::9", &printer),
            ("10.1.2.4", &other),
            ("192.0.2.7", &other),
            ("2001:db8:0:1::9", &other),
        ],
    );
}

/// Everybody may write to a contact with an address of ours. One that is known by its address
/// elsewhere is no way out for those who may not relay.
#[test]
fn attack_12_a_contact_is_no_way_out() {
    let relay = Permissions { relay: true, ..Permissions::NONE };
    let ours = recipient("supplier@rialto.test", "250 *");
    let far = recipient("known@routed.example", "250 *");
    let refused = recipient("known@routed.example", "550 5.7.1 Unable to relay");
    let (printer, stranger) =
        (format!("{HELLO}{MAIL}{ours}{far}"), format!("{HELLO}{MAIL}{refused}{ours}"));
    check(vec![of("10.1.2.3", may(relay))], &[("10.1.2.3", &printer), ("192.0.2.7", &stranger)]);
}

/// What waits for a connector waits for people of ours, not for strangers.
#[test]
fn attack_12_strangers_cannot_fill_the_queue_of_a_relayed_domain() {
    let relay = Permissions { relay: true, ..Permissions::NONE };
    let routed = recipient("a@partner.example", "250 *");
    let taken = recipient("a@waiting.example", "250 *");
    let put_off = recipient("a@waiting.example", "451 4.4.4 there is no route *");
    let printer = format!("{HELLO}{MAIL}{routed}{taken}");
    let stranger = format!("{HELLO}{MAIL}{put_off}{routed}");
    let connectors = vec![of("10.1.2.3", may(relay))];
    check(connectors, &[("10.1.2.3", &printer), ("192.0.2.7", &stranger)]);
}

#[test]
fn each_permission_group_is_what_it_says() {
    let relayed = recipient("a@routed.example", "250 *");
    let not_relayed = recipient("a@routed.example", "550 5.7.1 Unable to relay");
    let ours = recipient("alice@rialto.test", "250 *");
    let partner = Permissions { partners: true, ..Permissions::NONE };
    let servers = Permissions { servers: true, ..Permissions::NONE };
    let users = |one: &mut ReceiveConnector| {
        one.permissions = Permissions { users: true, ..Permissions::NONE };
        one.auth = vec![Mechanism::Plain];
    };
    let sign_in = format!("C: AUTH PLAIN {}\nS: 235 *\n", plain("alice@rialto.test", PASSWORD));
    let clear = "C: MAIL FROM:<a@b.example>\nS: 530 5.7.0 must issue a STARTTLS command first\n";
    let staff = recipient("staff@rialto.test", "250 *");
    let partners = format!("{HELLO}{clear}{TLS}{MAIL}{ours}{not_relayed}");
    let own = format!("{HELLO}{MAIL}{ours}{relayed}{staff}");
    let people = format!(
        "{HELLO}{clear}C: STARTTLS\nS: 220 *\n! tls\nC: EHLO c.example\nS? 250 AUTH PLAIN\n\
         C: MAIL FROM:<a@b.example>\nS: 530 5.7.0 authentication required\n\
         C: AUTH LOGIN\nS: 504 *\n{sign_in}C: MAIL FROM:<bob@rialto.test>\nS: 550 5.7.60 *\n\
         C: MAIL FROM:<alice@rialto.test>\nS: 250 *\n{ours}{relayed}{staff}"
    );
    let anybody = format!("{HELLO}{TLS}C: AUTH PLAIN\nS? 502 *\n{MAIL}{ours}{not_relayed}");
    check(
        vec![
            of("10.3.0.0/16", may(partner)),
            of("10.4.0.0/16", may(servers)),
            of("10.5.0.0/16", users),
        ],
        &[
            ("10.3.0.1", &partners),
            ("10.4.0.1", &own),
            ("10.5.0.1", &people),
            ("10.6.0.1", &anybody),
        ],
    );
}

#[test]
fn a_message_of_somebody_who_signed_in_is_completed_at_any_port() {
    let users = |one: &mut ReceiveConnector| {
        one.permissions.users = true;
        one.auth = vec![Mechanism::Plain];
    };
    run(config(Role::Server), async move |world| {
        let world = with(world, &Connectors::new(table([of("192.0.2.0/24", users)])));
        let text = format!(
            "{HELLO}{TLS}C: AUTH PLAIN {}\nS? 235 *\nC: MAIL FROM:<alice@rialto.test>\nS: 250 *\n\
             C: RCPT TO:<bob@rialto.test>\nS: 250 *\nC: DATA\nS: 354 *\nC: Subject: x\nC:\nC: .\n\
             S: 250 *",
            plain("alice@rialto.test", PASSWORD)
        );
        world.play(&text).await.unwrap();
        let (taken, message) = world.only();
        assert!(taken.mailbox.is_some() && message.contains("Message-ID: "), "{message}");
        assert!(!message.contains("for <bob@rialto.test>"), "{message}");
    });
}

#[test]
fn encryption_names_and_words_are_the_connectors() {
    let none = |one: &mut ReceiveConnector| one.tls = TlsDemand::None;
    let required = |one: &mut ReceiveConnector| {
        one.tls = TlsDemand::Required;
        one.helo = Some("in.example.org".into());
        one.banner = Some("mail for members only".into());
    };
    let clear = "S: 220 mail.rialto.test ESMTP Rialto\nC: EHLO c\nS* 8 250-*\nS: 250 SMTPUTF8\n\
        C: STARTTLS\nS: 502 *\nC: MAIL FROM:<a@b.example>\nS: 250 *";
    let encrypted = format!(
        "S: 220 in.example.org mail for members only\nC: EHLO c\nS: 250-in.example.org Hello *\n\
         S? 250 STARTTLS\nC: MAIL FROM:<a@b.example>\nS: 530 5.7.0 must *\n{TLS}{MAIL}\
         C: QUIT\nS: 221 *\n! closed"
    );
    let off = |one: &mut ReceiveConnector| one.enabled = false;
    let nobody = ReceiveConnector { enabled: false, ..ReceiveConnector::of_role(Role::Server) };
    check(
        vec![of("10.1.0.0/16", none), of("10.2.0.0/16", required), of("10.3.0.0/16", off), nobody],
        &[
            ("10.1.0.1", clear),
            ("10.2.0.1", &encrypted),
            ("10.3.0.1", "S: 554 5.7.1 no mail is taken from your address\n! closed"),
            ("192.0.2.7", "S: 554 5.7.1 no mail is taken from your address\n! closed"),
        ],
    );
}

#[test]
fn attack_06_and_17_limits_are_the_connectors() {
    let limited = |limits: &[(Limit, u64)]| {
        let limits = limits.iter().copied().collect();
        move |one: &mut ReceiveConnector| one.limits = limits
    };
    let small = format!(
        "S: 220 *\nC: EHLO c\nS? 250-SIZE 2000\nS? 250 STARTTLS\nC: MAIL FROM:<a@b.example> \
         SIZE=2001\nS: 552 5.3.4 *\n{MAIL}{}{}C: DATA\nS: 354 *\nC: Received: x\nC: Received: y\n\
         C:\nC: .\nS: 554 5.4.6 *\nC: X\nS: 500 *\nC: X\nS: 500 *\nS: 421 4.7.0 *\n! closed",
        recipient("alice@rialto.test", "250 *"),
        recipient("bob@rialto.test", "452 4.5.3 *"),
    );
    let few = [
        (Limit::MessageBytes, 2_000),
        (Limit::Recipients, 1),
        (Limit::Hops, 1),
        (Limit::ProtocolErrors, 2),
    ];
    let often = format!(
        "{HELLO}{MAIL}C: RSET\nS: 250 *\nC: MAIL FROM:<a@b.example>\n\
         S: 451 4.7.0 message rate of your address exceeded, try again in a minute\n! wait 61\n{MAIL}"
    );
    let again = "S: 220 *\nC: HELO c\nS: 250 *\nC: MAIL FROM:<>\nS: 451 4.7.0 *";
    check(
        vec![
            of("10.1.0.0/16", limited(&few)),
            of("10.2.0.0/16", limited(&[(Limit::SourceMessagesPerMinute, 1)])),
            of("10.3.0.0/16", limited(&[(Limit::IdleTimeoutMs, 5_000)])),
        ],
        &[
            ("10.1.0.1", &small),
            ("10.2.0.1", &often),
            ("10.2.0.1", again),
            ("10.2.0.2", &often),
            ("10.3.0.1", "S: 220 *\n! wait 6\nS: 421 4.4.2 mail.rialto.test timeout\n! closed"),
        ],
    );
}

#[test]
fn attack_08_only_strangers_are_made_to_wait() {
    let servers = Permissions { servers: true, ..Permissions::NONE };
    let slow = Config { tarpit_ms: 5_000, ..config(Role::Server) };
    for (ip, waited_s) in [("10.4.0.1", 0), ("10.5.0.1", 0), ("192.0.2.7", 5)] {
        run(slow.clone(), async move |world| {
            let unhurried = |one: &mut ReceiveConnector| limit(one, Limit::TarpitMs, 0);
            let all = table([of("10.4.0.0/16", may(servers)), of("10.5.0.0/16", unhurried)]);
            let mut world = with(world, &Connectors::new(all));
            world.peer = format!("{ip}:1").parse().unwrap();
            let begun = world.env.clock.monotonic();
            let guess = recipient("nobody@rialto.test", "550 5.1.1 *");
            world.play(&format!("{HELLO}{MAIL}{guess}")).await.unwrap();
            let took = world.env.clock.monotonic() - begun;
            assert_eq!(took.as_secs(), waited_s, "{ip}");
        });
    }
}

#[test]
fn attack_17_sessions_of_a_connector_are_counted() {
    run(config(Role::Server), async |world| {
        let limits = [(Limit::Connections, 2), (Limit::ConnectionsPerSource, 1)].into();
        let two = of("10.0.0.0/8", |one| one.limits = limits);
        let mut world = with(world, &Connectors::new(table([two])));
        let full = "S: 421 4.3.2 mail.rialto.test too many connections\n! closed";
        let mut open = Vec::new();
        for ip in ["10.0.0.1", "10.0.0.2"] {
            world.peer = format!("{ip}:1").parse().unwrap();
            open.push(world.connect());
            world.play(full).await.unwrap();
        }
        world.peer = "10.0.0.3:1".parse().unwrap();
        world.play(full).await.unwrap();
        // Others are not counted with them, and places come back.
        world.peer = "192.0.2.7:1".parse().unwrap();
        world.play("S: 220 *").await.unwrap();
        for (client, session) in open {
            drop(client);
            session.await.unwrap();
        }
        world.peer = "10.0.0.3:1".parse().unwrap();
        world.play("S: 220 *").await.unwrap();
    });
}

#[test]
fn a_session_keeps_the_connector_that_it_began_with() {
    run(config(Role::Server), async |world| {
        let relay = Permissions { relay: true, ..Permissions::NONE };
        let connectors = Connectors::new(table([of("192.0.2.7", may(relay))]));
        let world = with(world, &connectors);
        let text = format!("{HELLO}! wait 10\n{MAIL}{}", recipient("a@routed.example", "250 *"));
        let changing = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            connectors.set(table([]));
        };
        let (played, ()) = tokio::join!(world.play(&text), changing);
        played.unwrap();
        let refused = recipient("a@routed.example", "550 5.7.1 Unable to relay");
        world.play(&format!("{HELLO}{MAIL}{refused}")).await.unwrap();
    });
}

#[test]
fn attack_13_behind_a_proxy_the_range_is_the_clients() {
    run(config(Role::Server), async |world| {
        let relay = Permissions { relay: true, ..Permissions::NONE };
        let all = table([of("10.1.2.3", may(relay)), of("127.0.0.0/8", may(relay))]);
        let world = with(world, &Connectors::new(all));
        let address = "127.0.0.1:25".parse().unwrap();
        let mut settings = ListenerConfig::new("smtp", address, TlsMode::None);
        settings.proxy_protocol = Some(ProxyProtocol { from: vec!["0.0.0.0/0".parse().unwrap()] });
        let service = Arc::new(world.service.clone());
        let listener = Listener::start(settings, &world.env, None, service).await.unwrap();
        for (client, reply) in [("10.1.2.3", "250 *"), ("10.1.2.4", "550 5.7.1 Unable to relay")] {
            let stream = world.env.network.connect(address).await.unwrap();
            let text = format!(
                "C: PROXY TCP4 {client} 127.0.0.1 4000 25\nS: 220 *\nC: HELO c\nS: 250 *\n\
                 C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<a@routed.example>\nS: {reply}\nC: QUIT\n\
                 S: 221 *\n! closed"
            );
            Player::new(stream).play(&Transcript::parse(&text).unwrap()).await.unwrap();
        }
        assert_eq!(listener.drain(Deadline::after(Duration::from_secs(60))).await, 0);
    });
}

/// Mail of our own devices and servers is marked as from inside, and nobody else's is, whatever
/// they write themselves.
#[test]
fn what_comes_from_inside_is_marked_in_front() {
    let relay = Permissions { relay: true, ..Permissions::NONE };
    let servers = Permissions { servers: true, ..Permissions::NONE };
    for (ip, inside) in [("10.1.2.3", true), ("10.4.0.1", true), ("192.0.2.7", false)] {
        run(config(Role::Server), async move |world| {
            let all = table([of("10.1.2.3", may(relay)), of("10.4.0.0/16", may(servers))]);
            let mut world = with(world, &Connectors::new(all));
            world.peer = format!("{ip}:1").parse().unwrap();
            let forged = "C: X-Rialto-Origin: inside\nC: Subject: scan\nC:\nC: text\nC: .\n";
            let ours = recipient("alice@rialto.test", "250 *");
            let dialogue =
                format!("{HELLO}{MAIL}{ours}C: DATA\nS: 354 *\n{forged}S: 250 2.6.0 *\n");
            world.play(&dialogue).await.unwrap();
            let (taken, text) = world.only();
            assert_eq!(is_from_inside(&taken.submission.content), inside, "{ip}: {text}");
            let front = format!("{INSIDE_FIELD}Received: ");
            assert_eq!(text.starts_with(&front), inside, "{ip}: {text}");
            let subject = taken.submission.parsed.envelope.subject.as_ref();
            assert_eq!(subject.map(|subject| subject.len()), Some(4), "{ip}: {text}");
            let body = text.len() - "text\r\n".len();
            assert_eq!(taken.submission.parsed.header_end(), body as u64, "{ip}: {text}");
        });
    }
}
