//! Links that prove who is there: over loopback and in simulated worlds, and who is turned away.

use super::world::*;
use crate::link::*;
use crate::pki::*;
use crate::placement::tests::profile;
use async_trait::async_trait;
use base::env::sim::{Simulation, test_seed};
use base::env::{Clock, Env, Stream};
use base::{BootId, Deadline, Kind, NodeId, Result, Universe};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

pub(super) fn credentials(
    authority: &Authority,
    node: u64,
    clock: &Arc<dyn Clock>,
) -> Arc<Credentials> {
    let key = NodeKey::generate().unwrap();
    let request = key.request().unwrap();
    let certificate = authority.issue(&request, NodeId(node), clock.now()).unwrap();
    Credentials::new(&key, &certificate, &Roots::of(authority), clock.clone()).unwrap()
}

async fn secured(env: &Env, credentials: &Arc<Credentials>, listen: SocketAddr) -> Node {
    let security = Security::Tls(credentials.clone());
    let (setup, desk) = setup(env, security, 1, LinkSettings::default());
    start_at(setup, desk, listen).await
}

/// A secured node of the simulated network.
async fn at(world: &Simulation, node: u64, credentials: &Arc<Credentials>) -> Node {
    let env = world.env_at(host(node), &world.disk);
    secured(&env, credentials, (host(node), 7000).into()).await
}

fn clock(world: &Simulation) -> Arc<dyn Clock> {
    Arc::new(world.clock.clone())
}

fn authority(world: &Simulation) -> Authority {
    Authority::found(CLUSTER, world.env().clock.now()).unwrap()
}

#[tokio::test]
async fn links_work_over_loopback() {
    let env = Env::real();
    let authority = Authority::found(CLUSTER, env.clock.now()).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let one = secured(&env, &credentials(&authority, 1, &env.clock), any).await;
    let two = secured(&env, &credentials(&authority, 2, &env.clock), any).await;
    one.knows(&[(2, two.links.local_address())]);
    two.knows(&[(1, one.links.local_address())]);
    for number in 0..100 {
        assert_eq!(one.echo(2, number).await, Ok(number));
        assert_eq!(two.echo(1, number).await, Ok(number));
    }
    let large = one.ask(2, Ask::Large(5_000_000), secs(30)).await.unwrap();
    assert_eq!(large.len(), 5_000_000);
    let many = futures::future::join_all((0..500).map(|n| one.echo(2, n))).await;
    assert!(many.iter().all(Result::is_ok));
    two.links.shut_down(Deadline::after(secs(10))).await;
    until("it is gone", || one.links.link(NodeId(2)).is_none()).await;
}

/// Node 1 dials node 2; whether they get together.
async fn meets(one: &Node, two: &Node, address: SocketAddr) -> bool {
    one.knows(&[(2, address)]);
    two.knows(&[(1, one.links.local_address())]);
    let met = one.echo(2, 1).await.is_ok();
    assert_eq!(two.echo(1, 1).await.is_ok(), met);
    if !met {
        assert!(one.desk.begun.lock().is_empty() && two.desk.begun.lock().is_empty());
    }
    met
}

#[test]
fn links_work_in_a_simulated_world() {
    Universe::simulate(test_seed(), async |world| {
        let authority = authority(&world);
        let one = at(&world, 1, &credentials(&authority, 1, &clock(&world))).await;
        let two = at(&world, 2, &credentials(&authority, 2, &clock(&world))).await;
        let switch = Switch::start(&world, (host(2), 7000).into()).await;
        assert!(meets(&one, &two, switch.address).await);
        world.network.cut(host(1), host(99));
        // What is sent before the reset is seen would fail.
        until("the link ends", || one.links.link(NodeId(2)).is_none()).await;
        assert_eq!(one.echo(2, 2).await, Ok(2));
    });
}

#[test]
fn attack_a_node_of_another_cluster_is_turned_away() {
    Universe::simulate(test_seed(), async |world| {
        let (ours, now) = (authority(&world), world.env().clock.now());
        let one = at(&world, 1, &credentials(&ours, 1, &clock(&world))).await;
        // The same names under another authority; our authority's signature for another cluster.
        let theirs = Authority::found(CLUSTER, now).unwrap();
        let other = Authority::from_der(7, ours.certificate().to_vec(), ours.key_der()).unwrap();
        for (number, stranger) in [(0, theirs), (1, other)] {
            let env = world.env_at(host(20 + number), &world.disk);
            let listen = (host(20 + number), 7000).into();
            let two = secured(&env, &credentials(&stranger, 2, &clock(&world)), listen).await;
            assert!(!meets(&one, &two, listen).await);
            // Nor does it get in by dialling.
            let env = world.env_at(host(30 + number), &world.disk);
            let listen = (host(30 + number), 7000).into();
            let zero = secured(&env, &credentials(&stranger, 0, &clock(&world)), listen).await;
            one.knows(&[(0, listen)]);
            zero.knows(&[(1, (host(1), 7000).into())]);
            assert!(zero.echo(1, 1).await.is_err() && one.echo(0, 1).await.is_err());
        }
        assert!(one.desk.begun.lock().is_empty());
    });
}

#[test]
fn attack_a_node_does_not_pass_for_another_one() {
    Universe::simulate(test_seed(), async |world| {
        let authority = authority(&world);
        let one = at(&world, 1, &credentials(&authority, 1, &clock(&world))).await;
        // Node 3 answers where node 2 should.
        let three = credentials(&authority, 3, &clock(&world));
        let env = world.env_at(host(2), &world.disk);
        let two = secured(&env, &three, (host(2), 7000).into()).await;
        assert!(!meets(&one, &two, (host(2), 7000).into()).await);
        // Node 0 is good, says that it is node 1 in its hello, and is not believed.
        let four = at(&world, 4, &credentials(&authority, 4, &clock(&world))).await;
        four.knows(&[(0, (host(9), 7000).into()), (1, (host(1), 7000).into())]);
        let liar = Security::Tls(credentials(&authority, 0, &clock(&world)));
        let stream = env.network.connect((host(4), 7000).into()).await.unwrap();
        let mut stream = liar.dial(stream).await.unwrap().stream;
        let windows = LinkSettings::default().windows;
        let (node, boot) = (NodeId(1), BootId(1));
        let hello =
            Hello { schemas: 1..=1, cluster_id: CLUSTER, node, boot, feature_level: 1, windows };
        let hello = frame::Frame::Hello(hello).encode().unwrap().to_bytes();
        stream.write_all(&hello).await.unwrap();
        stream.flush().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert_eq!(said[4], 10, "goodbye");
        assert!(four.links.status().iter().all(|peer| peer.link.is_none()));
    });
}

#[test]
fn attack_a_certificate_that_has_run_out_is_refused() {
    Universe::simulate(test_seed(), async |world| {
        let authority = authority(&world);
        let fresh = credentials(&authority, 1, &clock(&world));
        let old = credentials(&authority, 2, &clock(&world));
        let one = at(&world, 1, &fresh).await;
        let two = at(&world, 2, &old).await;
        let address = (host(2), 7000).into();
        assert!(meets(&one, &two, address).await);
        let life_ms = CERTIFICATE_LIFE.as_millis() as i64;
        world.clock.step_ms(life_ms * 9 / 10);
        assert!(fresh.needs_rotation() && old.needs_rotation());
        let key = NodeKey::generate().unwrap();
        let new = |node: u64| {
            let now = world.env().clock.now();
            authority.issue(&key.request().unwrap(), NodeId(node), now).unwrap()
        };
        // Another node's certificate is not taken; its own is.
        let wrong = fresh.replace(&key, &new(2), &Roots::of(&authority)).unwrap_err();
        assert_eq!(wrong.kind, Kind::BadCredentials);
        fresh.replace(&key, &new(1), &Roots::of(&authority)).unwrap();
        assert!(!fresh.needs_rotation());
        world.clock.step_ms(life_ms / 5);
        // The open link ends, and node 2 gets no other before it has a new certificate.
        until("the link ends", || one.links.link(NodeId(2)).is_none()).await;
        assert!(one.echo(2, 5).await.is_err());
        old.replace(&key, &new(2), &Roots::of(&authority)).unwrap();
        assert_eq!(one.echo(2, 6).await, Ok(6));
        // With what has run out no node starts.
        world.clock.step_ms(life_ms * 2);
        let late = Credentials::new(&key, &new(1), &Roots::of(&authority), clock(&world));
        assert!(late.is_ok());
        let expired = authority.issue_for(
            &key.request().unwrap(),
            NodeId(1),
            world.env().clock.now().plus_ms(-life_ms),
            secs(60),
        );
        let expired =
            Credentials::new(&key, &expired.unwrap(), &Roots::of(&authority), clock(&world));
        assert_eq!(expired.err().unwrap().kind, Kind::BadCredentials);
    });
}

/// How somebody with this TLS configuration fares: whether anything but an alert comes back.
async fn intrudes(world: &Simulation, config: ClientConfig) -> bool {
    let env = world.env_at(host(66), &world.disk);
    let stream: Box<dyn Stream> = env.network.connect((host(2), 7000).into()).await.unwrap();
    let name = ServerName::try_from("x.invalid").unwrap();
    let Ok(mut tls) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else {
        return false;
    };
    let windows = LinkSettings::default().windows;
    let (node, boot) = (NodeId(1), BootId(1));
    let hello =
        Hello { schemas: 1..=1, cluster_id: CLUSTER, node, boot, feature_level: 1, windows };
    let hello = frame::Frame::Hello(hello).encode().unwrap().to_bytes();
    // An alert may have come before it, or during it.
    let _refused = tls.write_all(&hello).await.is_ok() && tls.flush().await.is_ok();
    let mut said = Vec::new();
    let _alert = tls.read_to_end(&mut said).await;
    !said.is_empty()
}

#[test]
fn attack_tls_1_2_and_clients_without_a_certificate_of_ours_fail() {
    Universe::simulate(test_seed(), async |world| {
        let authority = authority(&world);
        let two = at(&world, 2, &credentials(&authority, 2, &clock(&world))).await;
        two.knows(&[(1, (host(1), 7000).into())]);
        let good = credentials(&authority, 1, &clock(&world)).current().client.clone();
        // The configuration that works, to show that the others fail for their own reasons.
        assert!(intrudes(&world, (*good).clone()).await);

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = NodeKey::generate().unwrap();
        let now = world.env().clock.now();
        let ours = authority.issue(&key.request().unwrap(), NodeId(1), now).unwrap();
        let foreign = Authority::found(CLUSTER, now).unwrap();
        let theirs = foreign.issue(&key.request().unwrap(), NodeId(1), now).unwrap();
        let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
            let verifier = Arc::new(Gullible(provider.clone()));
            ClientConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(versions)
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        };
        let with = |certificate: &[u8], versions: &[&'static rustls::SupportedProtocolVersion]| {
            let chain = vec![CertificateDer::from(certificate.to_vec())];
            let key = PrivatePkcs8KeyDer::from(key.to_der().to_vec()).into();
            let mut config = client(versions).with_client_auth_cert(chain, key).unwrap();
            config.alpn_protocols = vec![b"rialto-link".to_vec()];
            config
        };
        let (v12, v13) = (&rustls::version::TLS12, &rustls::version::TLS13);
        assert!(intrudes(&world, with(&ours, &[v13])).await);
        assert!(!intrudes(&world, with(&ours, &[v12])).await, "TLS 1.2");
        assert!(!intrudes(&world, with(&theirs, &[v13])).await, "another authority");
        let mut other = with(&ours, &[v13]);
        other.alpn_protocols = vec![b"h2".to_vec()];
        assert!(!intrudes(&world, other).await, "another protocol");
        let mut none = with(&ours, &[v13]);
        none.alpn_protocols.clear();
        assert!(!intrudes(&world, none).await, "no protocol");
        let mut bare = client(&[v13]).with_no_client_auth();
        bare.alpn_protocols = vec![b"rialto-link".to_vec()];
        assert!(!intrudes(&world, bare).await, "no certificate");
        // On the door for new nodes a link cannot be opened.
        let mut joins = with(&ours, &[v13]);
        joins.alpn_protocols = vec![b"rialto-join".to_vec()];
        assert!(!intrudes(&world, joins).await, "the other door");
        assert!(two.desk.begun.lock().is_empty());
    });
}

/// Believes every server.
#[derive(Debug)]
struct Gullible(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Lets nodes join; tokens in memory, where a cluster has a store.
struct Registry {
    authority: Authority,
    clock: Arc<dyn Clock>,
    rows: Mutex<Vec<(u64, TokenRow)>>,
    admitted: Mutex<Vec<[u8; 32]>>,
    seen: Mutex<usize>,
}

#[async_trait]
impl Admission for Registry {
    async fn admit(&self, claim: &Claim) -> Result<Admitted> {
        let mut rows = self.rows.lock();
        let row = rows.iter_mut().find(|(id, _)| *id == claim.token_id);
        let (_, row) = row.ok_or_else(|| TokenRow::refused("there is none"))?;
        row.claim(&claim.secret_hash, claim.key_fingerprint, self.clock.now())?;
        let mut admitted = self.admitted.lock();
        let known = admitted.iter().position(|key| *key == claim.key_fingerprint);
        let position = known.unwrap_or_else(|| {
            admitted.push(claim.key_fingerprint);
            admitted.len() - 1
        });
        let node = NodeId(10 + position as u64);
        Ok(Admitted { node, incarnation: 1, members: vec![] })
    }
}

#[async_trait]
impl JoinHandler for Registry {
    async fn join(&self, request: JoinRequest) -> Result<JoinReply> {
        *self.seen.lock() += 1;
        let roots = Roots::of(&self.authority);
        join(&self.authority, &roots, self, &request, self.clock.now()).await
    }
}

#[test]
fn a_token_lets_one_node_in_once() {
    Universe::simulate(test_seed(), async |world| {
        let (authority, clock) = (authority(&world), clock(&world));
        let (random, now) = (world.random.clone(), clock.now());
        let certificate = authority.certificate().to_vec();
        let draw = || JoinToken::draw(&*random, &certificate, now, secs(3600));
        let ((token, row), (late, late_row)) = (draw(), draw());
        let env = world.env_at(host(1), &world.disk);
        let one = credentials(&authority, 1, &clock);
        let registry = Arc::new(Registry {
            clock: clock.clone(),
            rows: Mutex::new(vec![(token.id, row), (late.id, late_row)]),
            admitted: Mutex::default(),
            seen: Mutex::default(),
            authority,
        });
        let (setup, desk) = setup(&env, Security::Tls(one), 1, LinkSettings::default());
        let setup = LinksSetup { join: Some(registry.clone()), ..setup };
        let one = start_at(setup, desk, (host(1), 7000).into()).await;

        let joining = world.env_at(host(11), &world.disk);
        let address = (host(11), 7000).into();
        let ask = async |token: &JoinToken, key: &NodeKey| {
            let request = JoinRequest::new(token, key, BootId(5), profile(11)).unwrap();
            let to = (host(1), 7000).into();
            ask_to_join(&joining, to, token, request, Deadline::after(secs(10))).await
        };
        let kind = |reply: Result<JoinReply>| reply.err().unwrap().kind;
        let (key, thief) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let carried = JoinToken::parse(&token.to_text()).unwrap();
        // Whoever has only guessed, or looks for another cluster, learns and tells nothing.
        let guessed = JoinToken { secret: [1; 32], ..token.clone() };
        assert_eq!(kind(ask(&guessed, &thief).await), Kind::BadCredentials);
        let unknown = JoinToken { id: token.id ^ 1, ..token.clone() };
        assert_eq!(kind(ask(&unknown, &thief).await), Kind::BadCredentials);
        let seen = *registry.seen.lock();
        let elsewhere = JoinToken { authority: [2; 32], ..token.clone() };
        assert_eq!(kind(ask(&elsewhere, &thief).await), Kind::Unavailable);
        assert_eq!(*registry.seen.lock(), seen, "the secret was told to the wrong cluster");

        let reply = ask(&carried, &key).await.unwrap();
        assert_eq!(reply.identity, NodeIdentity { cluster_id: CLUSTER, node: NodeId(10) });
        // A lost answer is asked for again; a copied token does not help anybody else.
        assert_eq!(ask(&carried, &key).await.unwrap().identity, reply.identity);
        let replayed = ask(&carried, &thief).await.unwrap_err();
        assert_eq!((replayed.kind, replayed.detail.as_str()), (Kind::BadCredentials, ""));
        world.clock.step_ms(2 * 3600 * 1000);
        assert_eq!(kind(ask(&late, &thief).await), Kind::BadCredentials);

        // With what it was given it is a node like the others.
        let ten = Credentials::new(&key, &reply.certificate, &reply.roots, clock.clone()).unwrap();
        let ten = secured(&joining, &ten, address).await;
        one.knows(&[(10, address)]);
        ten.knows(&[(1, (host(1), 7000).into())]);
        assert_eq!(ten.echo(1, 3).await, Ok(3));
    });
}
