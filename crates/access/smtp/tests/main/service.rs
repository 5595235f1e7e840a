//! The service behind a real listener on a simulated network.

use crate::world::{config, run};
use access_listener::transcript::{Player, Transcript};
use access_listener::{Listener, ListenerConfig, TlsMode};
use access_smtp::{Config, Role};
use base::Deadline;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn sessions_behind_a_listener_and_one_too_many() {
    run(config(Role::Server), async |world| {
        let address = "127.0.0.1:25".parse().unwrap();
        let mut limited = ListenerConfig::new("smtp", address, TlsMode::None);
        limited.connections_max = 1;
        let service = Arc::new(world.service.clone());
        let listener = Listener::start(limited, &world.env, None, service).await.unwrap();
        let first = world.env.network.connect(address).await.unwrap();
        let second = world.env.network.connect(address).await.unwrap();
        let refused = "S: 421 4.3.2 mail.rialto.test too many connections\n! closed";
        Player::new(second).play(&Transcript::parse(refused).unwrap()).await.unwrap();
        let dialogue = "S: 220 *\nC: EHLO c.example\nS? 250 *\nC: MAIL FROM:<>\n\
            C: RCPT TO:<bob@rialto.test>\nC: DATA\nS* 2 250 *\nS: 354 *\nC: .\nS: 250 2.6.0 *\nC: QUIT\nS: 221 *\n! closed";
        Player::new(first).play(&Transcript::parse(dialogue).unwrap()).await.unwrap();
        assert_eq!(world.taken().len(), 1);
        assert_eq!(listener.drain(Deadline::after(Duration::from_secs(60))).await, 0);
    });
}

#[test]
fn roles_share_budgets_and_rates() {
    let config = Config { submissions_per_minute: Some(1), ..config(Role::Server) };
    run(config, async |mut world| {
        let server = world.service.clone();
        world.service = server.with_role(Role::Submission);
        let mail = "C: MAIL FROM:<alice@rialto.test>\nS: 250 *\n";
        world.talk(Role::Submission, mail).await.unwrap();
        world.service = server.with_role(Role::Submission);
        let mail = "C: MAIL FROM:<alice@rialto.test>\nS: 451 4.7.0 *\n";
        world.talk(Role::Submission, mail).await.unwrap();
        world.service = server;
        world.talk(Role::Server, "C: MAIL FROM:<alice@rialto.test>\nS: 250 *\n").await.unwrap();
    });
}
