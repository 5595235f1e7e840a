//! To our own SMTP server over the real loopback, encrypted, with a certificate that is checked.

use crate::certificates::authority;
use crate::world::{outgoing, verdicts};
use access_listener::{Listener, ListenerConfig, TlsMode, TlsSettings};
use access_relay::{Config, Relay};
use access_smtp::SmtpService;
use async_trait::async_trait;
use base::env::{Dns, DnsError, Env, Found, MailExchanger};
use base::{AccountId, Address, Change, CommandId, Deadline, Error, Result};
use bytes::Bytes;
use codec_mime::generate::{Shape, to_vec};
use contract_blob::Blobs;
use contract_directory::{
    AccountKind, Actor, DirectoryAdmin, Domain, DomainKind, NewAccount, Role, Secret,
};
use contract_mailbox::{Mailboxes, Principal, Read, ReadReply, Write, WriteReply};
use contract_transport::courier::{Courier, Destination, Manner, NextHop, TlsLevel};
use contract_transport::{QueueHint, Submission, Transport};
use parking_lot::Mutex;
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use tokio::sync::watch;

/// Keeps what was accepted.
struct Sink {
    blobs: Arc<dyn Blobs>,
    taken: Mutex<Vec<(Submission, Bytes)>>,
    store: Arc<dyn contract_store::Store>,
}

#[async_trait]
impl Transport for Sink {
    async fn accept(&self, submission: Submission) -> Result<()> {
        let tx = self.store.begin();
        for staged in &submission.staged {
            let holder = contract_blob::Holder(Bytes::from_static(b"sink"));
            let held = self.blobs.hold(&*tx, staged, &holder).await;
            held.map_err(|_| Error::unavailable("hold"))?;
        }
        tx.commit().await.map_err(|_| Error::unavailable("commit"))?;
        let bytes = submission.content.read_all(&self.blobs, u64::MAX).await?;
        self.taken.lock().push((submission, bytes));
        Ok(())
    }

    fn hint(&self, _: QueueHint) {}
}

#[async_trait]
impl Mailboxes for Sink {
    async fn read(&self, _: AccountId, _: Principal, _: Read) -> Result<ReadReply> {
        Err(Error::internal("not here"))
    }

    async fn write(
        &self,
        _: AccountId,
        _: Principal,
        _: CommandId,
        _: Write,
    ) -> Result<WriteReply> {
        Err(Error::internal("not here"))
    }

    fn watch(&self, _: AccountId) -> watch::Receiver<Change> {
        watch::channel(Change(0)).1
    }
}

/// Every name is this machine.
struct Loopback;

#[async_trait]
impl Dns for Loopback {
    async fn addresses(&self, _: &str) -> Result<Found<IpAddr>, DnsError> {
        Ok(Found { records: vec![IpAddr::from([127, 0, 0, 1])], is_secure: false })
    }

    async fn exchangers(&self, _: &str) -> Result<Found<MailExchanger>, DnsError> {
        let host = "mx.rialto.test".to_owned();
        Ok(Found { records: vec![MailExchanger { preference: 10, host }], is_secure: false })
    }
}

async fn directory(store: &Arc<dyn contract_store::Store>, env: &Env) -> Arc<DirectoryService> {
    let cheap = HashParameters { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = DirectoryConfig { hash: cheap, ..DirectoryConfig::default() };
    let directory = DirectoryService::start(settings, store.clone(), env.clone());
    let domain =
        Domain { name: "rialto.test".into(), kind: DomainKind::Authoritative, default: true };
    directory.create_domain(&Actor::System, domain).await.unwrap();
    let new = NewAccount {
        address: Address::new("bob", "rialto.test"),
        display_name: "Bob".into(),
        password: Some(Secret("rialto-dev".into())),
        kind: AccountKind::User,
        quota: None,
        role: Role::None,
    };
    directory.create_account(&Actor::System, new).await.unwrap();
    directory
}

#[tokio::test]
async fn messages_arrive_encrypted_and_whole() {
    let env = Env { dns: Arc::new(Loopback), ..Env::real() };
    let store: Arc<dyn contract_store::Store> =
        Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
    let blobs: Arc<dyn Blobs> = Arc::new(StoreBlobs::open(store.clone(), &env).await.unwrap());
    let sink =
        Arc::new(Sink { blobs: blobs.clone(), taken: Mutex::default(), store: store.clone() });
    let config = access_smtp::Config {
        host_name: "mx.rialto.test".to_owned(),
        tarpit_ms: 0,
        ..access_smtp::Config::default()
    };
    let directory = directory(&store, &env).await;
    let service =
        SmtpService::new(config, env.clone(), directory, sink.clone(), sink.clone(), blobs.clone());
    let (chain, key) = authority().issue("mx.rialto.test");
    let settings = TlsSettings::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let listen = ListenerConfig::new("smtp", "127.0.0.1:0".parse().unwrap(), TlsMode::StartTls);
    let listener = Listener::start(listen, &env, Some(settings), Arc::new(service)).await.unwrap();

    let config = Config {
        host_name: "out.rialto.test".to_owned(),
        extra_authorities: authority().pem.clone(),
        local_exchangers: true,
        ..Config::default()
    };
    let relay = Relay::new(config, env, blobs).unwrap();
    let hop = NextHop {
        connector: "internet".to_owned(),
        destination: Destination::Domain("rialto.test".to_owned()),
        ignores_policies: false,
    };
    let manner =
        Manner { port: listener.address().port(), tls: TlsLevel::Domain, ..Manner::default() };
    let deadline = Deadline::after(Duration::from_secs(120));
    let mut conversation = relay.open(&hop, &manner, deadline).await.unwrap();
    assert_eq!(conversation.host(), "mx.rialto.test [127.0.0.1]");

    // One that takes several chunks, a small one, and one with a recipient that is not there.
    let large = to_vec(3, Shape::Attachments { count: 2, bytes: 900_000 });
    let small = to_vec(4, Shape::Plain);
    for bytes in [&large, &small, &small] {
        let mut message = outgoing("", 2);
        message.content = crate::world::content(bytes);
        message.size_bytes = bytes.len() as u64;
        message.is_8bit = !bytes.is_ascii();
        message.recipients[0].address = Address::new("bob", "rialto.test");
        message.recipients[1].address = Address::new("nobody", "rialto.test");
        let transferred = conversation.transfer(&message).await.unwrap();
        let verdicts = verdicts(&transferred);
        assert!(verdicts[0].starts_with("relayed with DSN 250 2.6.0 "), "{verdicts:?}");
        assert!(verdicts[1].starts_with("failed 550 5.1.1"), "{verdicts:?}");
        assert!(transferred.may_go_on);
    }
    conversation.quit().await;

    let taken = sink.taken.lock();
    assert_eq!(taken.len(), 3);
    for ((submission, bytes), sent) in taken.iter().zip([&large, &small, &small]) {
        assert!(bytes.ends_with(sent));
        let head = String::from_utf8_lossy(&bytes[..bytes.len() - sent.len()]);
        assert!(head.contains("from out.rialto.test") && head.contains("ESMTPS"), "{head}");
        assert_eq!(submission.envelope.recipients.len(), 1);
    }
}
