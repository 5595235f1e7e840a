//! TLS: both modes, swapped certificates, injection before the handshake.

use crate::support::{Authority, MINUTE, Shouting, name};
use access_listener::transcript::{Player, Transcript};
use access_listener::{Connection, Listener, ListenerConfig, SessionFactory, TlsMode, TlsSettings};
use base::env::Env;
use base::env::sim::test_seed;
use base::{Deadline, Universe};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

async fn play(
    settings: &Arc<TlsSettings>,
    authority: &Authority,
    text: &str,
) -> Result<(), String> {
    let (client, server) = tokio::io::duplex(1 << 16);
    let connection = Connection::from_stream(Box::new(server), "192.0.2.1:1".parse().unwrap());
    let connection = connection.with_tls(settings.clone());
    let serving = tokio::spawn(async move { Shouting.serve(connection).await });
    let player = Player::new(Box::new(client)).with_tls(authority.client(), name("mail.test"));
    let played = player.play(&Transcript::parse(text).unwrap()).await;
    serving.await.unwrap();
    played
}

#[tokio::test(start_paused = true)]
async fn starttls_encrypts_and_discards_nothing_that_comes_after() {
    let authority = Authority::new();
    let settings = authority.settings("mail.test");
    let dialogue = "S: hello\nC: info\nS: None\nC: starttls\nS: go\n! tls\n\
        C: info\nC: a\nS: Some(\"TLSv1.3\")\nS: A\nC: quit\n! closed";
    play(&settings, &authority, dialogue).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn attack_03_clear_text_behind_starttls_is_never_taken() {
    let authority = Authority::new();
    let settings = authority.settings("mail.test");
    let dialogue = "S: hello\nC: starttls\nC: injected\nS: go\nS: refused InvalidData\n! closed";
    play(&settings, &authority, dialogue).await.unwrap();
    // What comes in clear after the server is ready spoils the handshake.
    let dialogue = "S: hello\nC: starttls\nS: go\nC: injected\nS? refused *\n! closed";
    let played = play(&settings, &authority, dialogue).await.unwrap_err();
    assert!(!played.contains("INJECTED"), "{played}");
    // Twice is once too often.
    let dialogue =
        "S: hello\nC: starttls\nS: go\n! tls\nC: starttls\nS: go\nS: refused Unsupported";
    play(&settings, &authority, dialogue).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn certificates_are_swapped_while_running() {
    let (old, new) = (Authority::new(), Authority::new());
    let settings = old.settings("mail.test");
    let dialogue = "S: hello\nC: starttls\nS: go\n! tls\nC: a\nS: A";
    play(&settings, &old, dialogue).await.unwrap();
    assert!(play(&settings, &new, dialogue).await.is_err());
    let (chain, key) = new.issue("mail.test");
    settings.replace_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    play(&settings, &new, dialogue).await.unwrap();
    // What cannot be used changes nothing: another key, no PEM, no certificate.
    let (_, other_key) = new.issue("mail.test");
    assert!(settings.replace_pem(chain.as_bytes(), other_key.as_bytes()).is_err());
    assert!(settings.replace_pem(b"nonsense", key.as_bytes()).is_err());
    assert!(settings.replace_pem(chain.as_bytes(), b"").is_err());
    play(&settings, &new, dialogue).await.unwrap();
}

async fn implicit(env: &Env, settings: Arc<TlsSettings>) -> Listener {
    let config = ListenerConfig::new("tls", "127.0.0.1:465".parse().unwrap(), TlsMode::Implicit);
    Listener::start(config, env, Some(settings), Arc::new(Shouting)).await.unwrap()
}

#[test]
fn implicit_tls_comes_before_the_first_line() {
    Universe::run(test_seed(), async |env| {
        let authority = Authority::new();
        let listener = implicit(&env, authority.settings("mail.test")).await;
        let stream = env.network.connect(listener.address()).await.unwrap();
        let player = Player::new(stream).with_tls(authority.client(), name("mail.test"));
        let text = "! tls\nS: hello\nC: info\nS: Some(\"TLSv1.3\")\nC: quit\n! closed";
        player.play(&Transcript::parse(text).unwrap()).await.unwrap();
        // Clear text on the encrypted port gets an alert and no session; silence a timeout.
        let mut clear = env.network.connect(listener.address()).await.unwrap();
        clear.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let silent = env.network.connect(listener.address()).await.unwrap();
        tokio::time::sleep(MINUTE).await;
        assert_eq!(listener.connections(), 0);
        drop((clear, silent));
        assert_eq!(listener.drain(Deadline::after(MINUTE)).await, 0);
    });
}

#[test]
fn tls_needs_a_certificate() {
    for mode in [TlsMode::Implicit, TlsMode::StartTls] {
        Universe::run(test_seed(), async |env| {
            let config = ListenerConfig::new("tls", "127.0.0.1:0".parse().unwrap(), mode);
            let started = Listener::start(config, &env, None, Arc::new(Shouting)).await;
            assert_eq!(started.err().map(|e| e.kind()), Some(std::io::ErrorKind::InvalidInput));
        });
    }
}
