//! A simulated world with scripted hosts, and short ways to say what is expected.
//!
//! Unless a test says otherwise, `example.org` has one exchanger, `mx.example.org` at 192.0.2.1.

use crate::script::Player;
use access_relay::{Config, Relay};
use async_trait::async_trait;
use base::env::sim::{Simulation, test_seed};
use base::env::{Env, Network as _};
use base::{Address, Deadline, QueueId, Timestamp, Universe};
use bytes::Bytes;
use contract_blob::{Blobs, Content, Segment};
use contract_transport::Recipient;
use contract_transport::courier::{
    Answer, Conversation, Courier, Destination, Host, Manner, NextHop, Outgoing, Signer,
    Transferred, Unreachable, Verdict,
};
use contract_transport::reports::tls::{TlsFailure, TlsPolicy, TlsSession, TlsSessions};
use contract_transport::sts::{StsPolicies, StsPolicy};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use tokio::task::JoinHandle;

/// Greeting and a plain EHLO without extensions.
pub(crate) const HELLO: &str = "S: 220 mx.example.org ESMTP\nC: EHLO out.rialto.test\nS: 250 mx\n";
/// The goodbye.
pub(crate) const BYE: &str = "\nC: QUIT\nS: 221 bye\n! closed";
pub(crate) const MX: &str = "192.0.2.1";

pub(crate) struct World {
    pub(crate) sim: Simulation,
    pub(crate) env: Env,
    pub(crate) config: Config,
    pub(crate) manner: Manner,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    hosts: Vec<JoinHandle<Result<(), String>>>,
    pub(crate) messages: Arc<Mutex<Vec<Vec<u8>>>>,
    pub(crate) policies: Arc<Kept>,
    /// What was told of sessions.
    pub(crate) told: Arc<Told>,
    pub(crate) ignores_policies: bool,
    relay: Option<Relay>,
}

/// The policies of MTA-STS that were learnt.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<BTreeMap<String, StsPolicy>>, Mutex<Used>);

type Used = BTreeMap<String, Timestamp>;

/// What was told of sessions.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<TlsSession>>);

impl TlsSessions for Told {
    fn note(&self, session: TlsSession) {
        self.0.lock().push(session);
    }
}

impl Told {
    /// In a line each, from the last time on: `example.org sts ok`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |TlsSession { domain, policy, failure }: TlsSession| {
            let how = failure.map_or("ok".to_owned(), |failure| {
                let TlsFailure { fault, exchanger, receiving_ip, .. } = failure;
                let ip = receiving_ip.map_or(String::new(), |ip| format!(" {ip}"));
                format!("{} {exchanger}{ip}", fault.word())
            });
            format!("{domain} {} {how}", policy.kind.word())
        };
        self.0.lock().drain(..).map(line).collect()
    }

    /// The policy of the first.
    pub(crate) fn policy(&self) -> TlsPolicy {
        self.0.lock().first().unwrap().policy.clone()
    }
}

#[async_trait]
impl StsPolicies for Kept {
    async fn policy(&self, domain: &str) -> base::Result<Option<StsPolicy>> {
        Ok(self.0.lock().get(domain).cloned())
    }

    async fn keep(&self, domain: &str, policy: &StsPolicy) -> base::Result<()> {
        self.0.lock().insert(domain.to_owned(), policy.clone());
        Ok(())
    }

    async fn after(&self, domain: &str) -> base::Result<Vec<(String, StsPolicy)>> {
        let kept = self.0.lock();
        let behind = kept.iter().filter(|(name, _)| name.as_str() > domain).take(1);
        Ok(behind.map(|(name, policy)| (name.clone(), policy.clone())).collect())
    }

    async fn forget(&self, domain: &str) -> base::Result<()> {
        self.0.lock().remove(domain);
        Ok(())
    }

    async fn use_at(&self, domain: &str, at: Timestamp) -> base::Result<()> {
        self.1.lock().insert(domain.to_owned(), at);
        Ok(())
    }

    async fn used(&self, domain: &str) -> base::Result<Option<Timestamp>> {
        Ok(self.1.lock().get(domain).copied())
    }
}

/// Runs a test in a world of its own. All scripts must have been played to their ends.
pub(crate) fn run(test: impl AsyncFnOnce(&mut World)) {
    Universe::simulate(test_seed(), async |sim| {
        let env = sim.env();
        let store = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
        let blobs = Arc::new(StoreBlobs::open(store, &env).await.unwrap());
        sim.dns.set_exchangers("example.org", &[(10, "mx.example.org")]);
        sim.dns.set("mx.example.org", &[MX.parse().unwrap()]);
        let config = Config { host_name: "out.rialto.test".to_owned(), ..Config::default() };
        let mut world = World {
            sim,
            env,
            config,
            manner: Manner::default(),
            blobs,
            tls: None,
            hosts: Vec::new(),
            messages: Arc::default(),
            policies: Arc::default(),
            told: Arc::default(),
            ignores_policies: false,
            relay: None,
        };
        test(&mut world).await;
        for host in world.hosts {
            let played = tokio::time::timeout(Duration::from_secs(3600), host).await;
            match played.expect("a script waits for the client").unwrap() {
                Ok(()) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
}

impl World {
    /// A host that follows the scripts, one for each connection.
    pub(crate) async fn host(&mut self, address: &str, scripts: &[&str]) {
        self.host_at(SocketAddr::new(address.parse().unwrap(), 25), scripts).await;
    }

    pub(crate) async fn host_at(&mut self, address: SocketAddr, scripts: &[&str]) {
        let listener = self.sim.network.at(address.ip()).listen(address).await.unwrap();
        let scripts: Vec<String> = scripts.iter().map(|&script| script.to_owned()).collect();
        let (tls, messages) = (self.tls.clone(), self.messages.clone());
        self.hosts.push(tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                let player = Player::new(stream, tls.clone(), messages.clone());
                player.play(&script).await.map_err(|error| format!("{address}: {error}"))?;
            }
            Ok(())
        }));
    }

    /// A host that follows the same script in each connection, as long as the test lasts.
    pub(crate) async fn forever(&mut self, address: &str, script: &str) {
        let address = SocketAddr::new(ip(address), 25);
        let listener = self.sim.network.at(address.ip()).listen(address).await.unwrap();
        let (script, messages) = (script.to_owned(), self.messages.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                Player::new(stream, None, messages.clone()).play(&script).await.unwrap();
            }
        });
    }

    pub(crate) async fn open_hop(
        &mut self,
        destination: Destination,
    ) -> Result<Box<dyn Conversation>, Unreachable> {
        let (config, env, blobs) = (&self.config, &self.env, &self.blobs);
        let relay = self.relay.get_or_insert_with(|| {
            let (config, env, blobs) = (config.clone(), env.clone(), blobs.clone());
            let relay = Relay::with_policies(config, env, blobs, self.policies.clone()).unwrap();
            relay.tell(self.told.clone());
            relay
        });
        let hop = NextHop {
            connector: "internet".to_owned(),
            destination,
            ignores_policies: self.ignores_policies,
        };
        relay.open(&hop, &self.manner, Deadline::after(Duration::from_secs(600))).await
    }

    /// A courier that knows nothing but what is kept.
    pub(crate) fn restart(&mut self) {
        self.relay = None;
    }

    pub(crate) fn relay(&self) -> &Relay {
        self.relay.as_ref().unwrap()
    }

    /// To the exchangers of a domain.
    pub(crate) async fn open(
        &mut self,
        domain: &str,
    ) -> Result<Box<dyn Conversation>, Unreachable> {
        self.open_hop(Destination::Domain(domain.to_owned())).await
    }

    pub(crate) async fn open_hosts(
        &mut self,
        hosts: &[(&str, u16)],
    ) -> Result<Box<dyn Conversation>, Unreachable> {
        let host = |&(name, port): &(&str, u16)| Host { name: name.to_owned(), port };
        self.open_hop(Destination::SmartHosts(hosts.iter().map(host).collect())).await
    }

    /// What opening came to, in a line: `ready mx.example.org [192.0.2.1]`, `later 0 4.4.1 …`.
    pub(crate) async fn opened(&mut self, domain: &str) -> String {
        let opened = self.open(domain).await;
        outcome(opened).await
    }

    /// One message through one scripted session; the verdicts in a line each.
    pub(crate) async fn send(&mut self, script: &str, outgoing: &Outgoing) -> Vec<String> {
        self.host(MX, &[script]).await;
        let mut conversation = self.open("example.org").await.unwrap();
        let transferred = conversation.transfer(outgoing).await.unwrap();
        if transferred.may_go_on {
            conversation.quit().await;
        }
        verdicts(&transferred)
    }
}

pub(crate) async fn outcome(opened: Result<Box<dyn Conversation>, Unreachable>) -> String {
    match opened {
        Ok(conversation) => {
            let host = conversation.host().to_owned();
            conversation.quit().await;
            format!("ready {host}")
        }
        Err(Unreachable::Later(answer)) => format!("later {}", shown(&answer)),
        Err(Unreachable::Never(answer)) => format!("never {}", shown(&answer)),
    }
}

pub(crate) fn verdicts(transferred: &Transferred) -> Vec<String> {
    let verdict = |verdict: &Verdict| match verdict {
        Verdict::Relayed { answer, speaks_dsn: false } => format!("relayed {}", shown(answer)),
        Verdict::Relayed { answer, .. } => format!("relayed with DSN {}", shown(answer)),
        Verdict::Later(answer) => format!("later {}", shown(answer)),
        Verdict::Failed(answer) => format!("failed {}", shown(answer)),
    };
    transferred.verdicts.iter().map(verdict).collect()
}

fn shown(answer: &Answer) -> String {
    format!("{} {} {}", answer.code, answer.status, answer.text)
}

/// A message to `count` recipients at example.org: `u1@`, `u2@` …
pub(crate) fn outgoing(text: &str, count: usize) -> Outgoing {
    let recipient = |n| Recipient::plain(Address::new(format!("u{n}"), "example.org"));
    Outgoing {
        queue: QueueId(7),
        sender: Some(Address::new("alice", "rialto.test")),
        recipients: (1..=count).map(recipient).collect(),
        content: content(text.as_bytes()),
        size_bytes: text.len() as u64,
        is_8bit: !text.is_ascii(),
        needs_smtputf8: false,
        envelope_id: None,
        return_headers_only: false,
        require_tls: false,
        signed_bytes: 0,
        signer: Signer::default(),
    }
}

/// In two pieces, as trace headers and message are.
pub(crate) fn content(bytes: &[u8]) -> Content {
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let inline = |bytes: &[u8]| Segment::Inline(Bytes::copy_from_slice(bytes));
    Content { segments: vec![inline(head), inline(tail)] }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
