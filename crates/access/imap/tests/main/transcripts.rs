//! The dialogues in `tests/transcripts/`, each in a world of its own. Those whose name begins with
//! `tls_` are played with the default settings and TLS to be had, the others without TLS.

use crate::support::{World, certificates};
use access_imap::Config;
use access_listener::transcript::{Player, Transcript};
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
        let player = Player::new(Box::new(world.connect()))
            .with_shutdown(world.shutdown.clone())
            .with_tls(client, ServerName::try_from("localhost").unwrap());
        if let Err(error) = player.play(&transcript).await {
            panic!("{name}: {error}");
        }
    });
}

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
    access_control
    append_and_fetch
    attack_14_sasl
    attack_21_other_protocols
    attack_22_literal_sizes
    attack_22_long_commands
    attack_23_pre_auth_literals
    attack_24_nesting
    attack_25_sequence_sets
    attack_26_sections
    attack_28_mailbox_names
    attack_29_injection
    autologout
    binary
    condstore
    compress
    copy_and_move
    esearch
    expunge
    folders
    idle
    list
    multiappend
    qresync
    rev2
    quota
    search
    select
    shutdown
    sign_in
    sort
    states
    status
    store
    subscriptions
    thread
    tls_attack_03_injection
    tls_starttls
    too_slow_to_sign_in
    uid_only
    wrong_passwords
}
