//! The dialogues in `tests/transcripts/`, each in a world of its own. Those whose name begins with
//! `tls_` are played with the default settings and TLS to be had, the others without TLS.

use crate::support::{World, certificates};
use access_listener::transcript::{Player, Transcript};
use access_pop3::Config;
use base::env::sim::test_seed;
use base::universe::Universe;
use rustls::pki_types::ServerName;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn play(name: &str) {
    let text = std::fs::read_to_string(directory().join(format!("{name}.txt"))).unwrap();
    let transcript = Transcript::parse(&text).unwrap();
    let with_tls = name.starts_with("tls_");
    Universe::run(test_seed(), async |env| {
        let (settings, client) = certificates();
        let config = Config { allow_clear_login: !with_tls, ..Config::default() };
        let world = World::new(env, config, with_tls.then_some(settings)).await;
        for message in MESSAGES {
            world.file("alice", message).await;
        }
        let player = Player::new(Box::new(world.connect()))
            .with_shutdown(world.shutdown.clone())
            .with_tls(client, ServerName::try_from("localhost").unwrap());
        if let Err(error) = player.play(&transcript).await {
            panic!("{name}: {error}");
        }
    });
}

/// What alice has.
const MESSAGES: [&[u8]; 3] = [
    b"Subject: one\r\n\r\nfirst line\r\n.second\r\n..third\r\n",
    b"Subject: two\r\n\r\n",
    b"From: a@b\r\nSubject: three\r\n\r\nno end",
];

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { play(stringify!($name)); })*

        #[test]
        fn every_transcript_is_played() {
            let mut found: Vec<String> = std::fs::read_dir(directory())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            let mut listed = vec![$(concat!(stringify!($name), ".txt")),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

transcripts! {
    attack_14_sasl
    attack_21_other_protocols
    attack_22_long_lines
    attack_36_numbers
    autologout
    languages
    messages
    sasl
    sasl_login
    shutdown
    sign_in
    tls_attack_03_injection
    tls_stls
    too_slow_to_sign_in
    wrong_passwords
}
