//! A whole mail system in one process and in memory: makes two mailboxes, accepts a message for
//! one of them, and waits until it is in the Inbox.
//!
//! What `src/node/` does with the embedded store and listeners, done with the simulated store and
//! none: the services do not know the difference.
//!
//! ```text
//! cargo run --example deliver_in_memory
//! ```
#![allow(clippy::print_stdout, reason = "an example speaks on the terminal")]

use base::env::Env;
use base::router::{LocalRouter, Router};
use base::{Address, Deadline, QueueId, SessionId};
use bytes::Bytes;
use cluster::{OwnedRouter, SingleNode};
use contract_blob::{Blobs, Content};
use contract_control::Control;
use contract_directory::{AccountKind, Directory, NewAccount, Resolved, Role};
use contract_mailbox::{MailboxHandle, Principal, SpecialUse};
use contract_store::Store;
use contract_transport::{Envelope, Recipient, Source, Submission, Transport};
use service_directory::{Bootstrap, DirectoryConfig, DirectoryService};
use service_mailbox::MailboxService;
use service_transport::TransportService;
use std::sync::Arc;
use std::time::Duration;
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const DOMAIN: &str = "example.test";

const MESSAGE: &[u8] = b"From: Alice <alice@example.test>\r\n\
    To: Bob <bob@example.test>\r\n\
    Subject: What news?\r\n\
    Message-ID: <1@example.test>\r\n\
    \r\n\
    Meet me on the bridge.\r\n";

#[tokio::main]
async fn main() -> Outcome<()> {
    let world = World::start().await?;
    let Resolved::Account(bob) = world.directory.resolve(&Address::new("bob", DOMAIN)).await?
    else {
        return Err("bob has no mailbox".into());
    };
    let session = SessionId(world.env.random.u128());
    let mailbox =
        MailboxHandle::new(world.mailboxes.clone(), bob.id, Principal::Account(bob.id), session);
    let inbox = SpecialUse::Inbox.folder_id();
    let mut news = mailbox.watch();

    let queue = world.accept().await?;
    println!("{queue} is accepted: this is when an SMTP client gets its 250");

    // A wake-up may be lost, so whoever waits also looks now and then.
    let view = loop {
        let view = mailbox.view(inbox).await?;
        if view.info.counts.messages > 0 {
            break view;
        }
        tokio::select! {
            _ = news.changed() => {}
            () = world.env.clock.sleep(Duration::from_secs(1)) => {}
        }
    };
    for entry in view.entries() {
        println!("in the Inbox as {}, {} bytes", entry.uid, entry.size_bytes);
        for (_, meta) in mailbox.meta(inbox, vec![entry.uid]).await? {
            let bytes = meta.content.read_all(&world.blobs, entry.size_bytes).await?;
            println!("\n{}", String::from_utf8_lossy(&bytes));
        }
    }
    world.stop().await
}

/// The parts that a message passes through.
struct World {
    env: Env,
    blobs: Arc<dyn Blobs>,
    directory: Arc<DirectoryService>,
    mailboxes: Arc<MailboxService>,
    transport: Arc<TransportService>,
}

impl World {
    /// Each part stands on those before it and knows them by their contracts only.
    async fn start() -> Outcome<Self> {
        let env = Env::real();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
        let control: Arc<dyn Control> = SingleNode::start(store.clone(), &env).await?;
        // `true`: every message is encoded on its way, as it would be between two nodes.
        let local = Arc::new(LocalRouter::new(true));
        let router: Arc<dyn Router> = Arc::new(OwnedRouter::new(control.clone(), local.clone()));
        let blobs: Arc<dyn Blobs> = Arc::new(StoreBlobs::open(store.clone(), &env).await?);
        let directory =
            DirectoryService::start(DirectoryConfig::default(), store.clone(), env.clone());
        directory.bootstrap(people()).await?;
        let parts = service_mailbox::Parts {
            env: env.clone(),
            store: store.clone(),
            blobs: blobs.clone(),
            control: control.clone(),
            directory: directory.clone(),
            router: router.clone(),
        };
        let mailboxes = service_mailbox::start(service_mailbox::Config::default(), parts, &local);
        let parts = service_transport::Parts {
            env: env.clone(),
            store,
            blobs: blobs.clone(),
            control,
            directory: directory.clone(),
            mailboxes: mailboxes.clone(),
            router,
        };
        let config = service_transport::Config::new(format!("mail.{DOMAIN}"));
        let transport = service_transport::start(config, parts, &local).await?;
        Ok(Self { env, blobs, directory, mailboxes, transport })
    }

    /// What an SMTP session does with a message before it says 250.
    async fn accept(&self) -> Outcome<QueueId> {
        let mut upload = self.blobs.upload();
        upload.write(Bytes::from_static(MESSAGE)).await?;
        let staged = upload.finish().await?;
        let queue = QueueId::new(self.env.clock.now(), self.env.random.u128());
        let source = Source { ip: None, helo: "example".into(), protocol: "local".into() };
        let envelope = Envelope {
            sender: Some(Address::new("alice", DOMAIN)),
            recipients: vec![Recipient::plain(Address::new("bob", DOMAIN))],
            authenticated: None,
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source,
        };
        let submission = Submission {
            queue,
            envelope,
            content: Content::of(&staged),
            parsed: Arc::new(codec_mime::parse(MESSAGE)),
            staged: vec![staged],
        };
        self.transport.accept(submission).await?;
        Ok(queue)
    }

    async fn stop(self) -> Outcome<()> {
        let deadline = Deadline::after(Duration::from_secs(5));
        self.transport.stop(deadline).await?;
        self.mailboxes.stop(deadline).await?;
        Ok(())
    }
}

/// Alice and Bob, who cannot sign in.
fn people() -> Bootstrap {
    let person = |name: &str| NewAccount {
        address: Address::new(name, DOMAIN),
        display_name: name.to_owned(),
        password: None,
        kind: AccountKind::User,
        quota: None,
        role: Role::None,
    };
    Bootstrap { domain: DOMAIN.into(), accounts: vec![person("alice"), person("bob")] }
}
