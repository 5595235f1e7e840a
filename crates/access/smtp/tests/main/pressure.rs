//! What clients meet while the node is short of something.

use crate::world::{World, config, plain, run};
use crate::{doubles::Connectors, world::PASSWORD};
use access_smtp::Role;
use contract_transport::pressure::{Level, Pressure, Sender, Stance, Standing};
use contract_transport::receive::{
    Binding, ListenerPlace, Permissions, ReceiveConnector, ReceiveTable,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Says of each kind of sender what the test wants.
#[derive(Default)]
struct Fixed(Mutex<Vec<(Sender, Stance)>>);

impl Pressure for Fixed {
    fn stance(&self, sender: Sender) -> Stance {
        let all = self.0.lock();
        all.iter().find(|(of, _)| *of == sender).map_or(Stance::Take, |(_, stance)| *stance)
    }

    fn standing(&self) -> Standing {
        let (level, effect) = (Level::Normal, String::new());
        Standing { level, enabled: true, effect, resources: Vec::new() }
    }
}

fn pressed(mut world: World, met: &[(Sender, Stance)]) -> World {
    world.service = world.service.with_pressure(Arc::new(Fixed(Mutex::new(met.to_vec()))));
    world
}

const MESSAGE: &str = "C: RCPT TO:<bob@rialto.test>\nS: 250 *\nC: DATA\nS: 354 *\n\
                       C: Subject: x\nC:\nC: .\nS: 250 2.6.0 *\n";

fn mail(reply: &str) -> String {
    format!("C: MAIL FROM:<a@b.example>\nS: {reply}\n")
}

#[test]
fn a_stranger_is_deferred_and_the_session_goes_on() {
    run(config(Role::Server), async |world| {
        let world = pressed(world, &[(Sender::Stranger, Stance::Later)]);
        let refused = mail("452 4.3.1 insufficient system resources, try again later");
        // More often than there may be mistakes: a queue that comes with all it has is no nuisance.
        let text =
            refused.repeat(8) + "C: RCPT TO:<bob@rialto.test>\nS: 503 *\nC: QUIT\nS: 221 *\n";
        world.talk(Role::Server, &text).await.unwrap();
        assert!(world.taken().is_empty());
    });
}

#[test]
fn at_high_pressure_a_stranger_loses_the_connection() {
    run(config(Role::Server), async |world| {
        let world = pressed(world, &[(Sender::Stranger, Stance::Close)]);
        let text =
            mail("421 4.3.2 mail.rialto.test takes no mail from outside now, try again later");
        world.talk(Role::Server, &(text + "! closed\n")).await.unwrap();
    });
}

#[test]
fn a_wait_delays_the_answer_and_then_the_message_is_taken() {
    run(config(Role::Server), async |world| {
        let wait = Stance::Wait(Duration::from_secs(55));
        let world = pressed(world, &[(Sender::Stranger, wait)]);
        let begun = world.env.clock.monotonic();
        let text = mail("250 *") + MESSAGE + &mail("250 *") + MESSAGE;
        world.talk(Role::Server, &text).await.unwrap();
        let took = world.env.clock.monotonic().saturating_sub(begun);
        assert!((110..120).contains(&took.as_secs()), "once for each message: {took:?}");
        assert_eq!(world.taken().len(), 2);
    });
}

/// A node that stops does not wait with its clients.
#[test]
fn a_wait_ends_with_the_node() {
    run(config(Role::Server), async |world| {
        let wait = Stance::Wait(Duration::from_secs(55));
        let world = pressed(world, &[(Sender::Stranger, wait)]);
        let (begun, shutdown) = (world.env.clock.monotonic(), world.shutdown.clone());
        let clock = world.env.clock.clone();
        tokio::spawn(async move {
            clock.sleep(Duration::from_secs(5)).await;
            shutdown.cancel();
        });
        world.talk(Role::Server, &mail("421 4.3.2 *")).await.unwrap();
        let took = world.env.clock.monotonic().saturating_sub(begun);
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

/// Who is what: a person who has signed in, a device, a partner under TLS, a server of ours.
#[test]
fn the_importance_of_a_client_follows_from_its_connector_and_sign_in() {
    let all = [
        (Sender::Stranger, Stance::Close),
        (Sender::Partner, Stance::Close),
        (Sender::Own, Stance::Later),
        (Sender::Server, Stance::Take),
    ];
    let of = |range: &str, permissions: Permissions| {
        let (bindings, ranges) = (vec![Binding::Port(25)], vec![range.parse().unwrap()]);
        let name = range.replace('/', "-");
        let of_role = ReceiveConnector::of_role(Role::Server);
        ReceiveConnector { name, bindings, ranges, permissions, ..of_role }
    };
    let none = Permissions::NONE;
    let connectors = [
        of("10.1.0.0/16", Permissions { relay: true, ..none }),
        of("10.2.0.0/16", Permissions { servers: true, ..none }),
        of("10.3.0.0/16", Permissions { partners: true, ..none }),
    ];
    let hello = "S: 220 *\nC: EHLO c.example\nS? 250 STARTTLS\n";
    let tls = "C: STARTTLS\nS: 220 *\n! tls\nC: EHLO c.example\nS? 250 *\n";
    let later = mail("452 4.3.1 *");
    let clients = [
        ("10.1.0.1", format!("{hello}{later}")),
        ("10.2.0.1", format!("{hello}{}{MESSAGE}", mail("250 *"))),
        ("10.3.0.1", format!("{hello}{tls}{}", mail("421 4.3.2 *"))),
        ("10.9.0.1", format!("{hello}{}", mail("421 4.3.2 *"))),
    ];
    run(config(Role::Server), async move |world| {
        let mut world = pressed(world, &all);
        let listener = ListenerPlace { role: Role::Server, address: "0.0.0.0:25".parse().unwrap() };
        let table = Connectors::new(Arc::new(ReceiveTable::new(connectors)));
        world.service = world.service.with_connectors(table).at(listener);
        for (ip, text) in clients {
            world.peer = (ip.parse::<std::net::IpAddr>().unwrap(), 40_000).into();
            world.play(&text).await.unwrap_or_else(|error| panic!("{ip}: {error}"));
        }
        assert_eq!(world.taken().len(), 1, "of the server of ours");
    });
    run(config(Role::Submission), async move |world| {
        let sign_in = plain("alice@rialto.test", PASSWORD);
        let text = format!("{hello}{tls}C: AUTH PLAIN {sign_in}\nS: 235 *\n{later}");
        pressed(world, &all).play(&text).await.unwrap();
    });
}
