//! Doubles of the services behind the contracts: they keep the contract's word as far as a
//! session can see (durable when they return, one queue id accepted once), remember what they
//! took, and fail when told to.

use async_trait::async_trait;
use base::{AccountId, Address, Change, CommandId, Deadline, Error, Kind, QueueId, Result};
use bytes::Bytes;
use contract_blob::{Blobs, Holder};
use contract_directory::Actor;
use contract_mailbox::{Mailboxes, Principal, Read, ReadReply, Write, WriteReply};
use contract_store::Store;
use contract_transport::receive::{
    ReceiveChange, ReceiveConnector, ReceiveConnectors, ReceiveTable,
};
use contract_transport::tracking::Involved;
use contract_transport::{Fate, QueueHint, Submission, Transport};
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What became of one message.
#[derive(Clone)]
pub(crate) struct Taken {
    pub(crate) submission: Submission,
    /// All its bytes, as they would be read from the store.
    pub(crate) bytes: Bytes,
    /// Through whose mailbox, and whether Sent Items got a copy.
    pub(crate) mailbox: Option<(AccountId, bool)>,
}

/// How the next commit goes wrong.
pub(crate) enum Fault {
    /// Nothing happens but this error.
    Error(Error),
    /// It happens, and then this error is given: the outcome is unknown to the caller.
    After(Error),
    /// It happens, much later.
    Slow(Duration),
}

/// Transport and mailboxes in one.
pub(crate) struct Backend {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    pub(crate) taken: Arc<Mutex<Vec<Taken>>>,
    pub(crate) faults: Mutex<VecDeque<Fault>>,
    pub(crate) attempts: Mutex<usize>,
    /// What was tracked of messages that were not accepted, recipient by recipient.
    pub(crate) refusals: Mutex<Vec<String>>,
    withdrawn: Arc<Mutex<HashSet<QueueId>>>,
    /// How long a withdrawal takes.
    pub(crate) withdrawal_takes: Mutex<Duration>,
}

impl Backend {
    pub(crate) fn new(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>) -> Arc<Self> {
        let (taken, faults, attempts, refusals) = Default::default();
        let (withdrawn, withdrawal_takes) = Default::default();
        Arc::new(Self {
            store,
            blobs,
            taken,
            faults,
            attempts,
            refusals,
            withdrawn,
            withdrawal_takes,
        })
    }

    async fn take(&self, submission: Submission, mailbox: Option<(AccountId, bool)>) -> Result<()> {
        *self.attempts.lock() += 1;
        let fault = self.faults.lock().pop_front();
        match fault {
            Some(Fault::Error(error)) => return Err(error),
            Some(Fault::Slow(how_long)) => tokio::time::sleep(how_long).await,
            Some(Fault::After(_)) | None => {}
        }
        if self.withdrawn.lock().contains(&submission.queue) {
            return Err(Error::new(Kind::Overloaded, "withdrawn"));
        }
        let tx = self.store.begin();
        let holder = Holder(submission.queue.0.to_be_bytes().to_vec().into());
        for staged in &submission.staged {
            let held = self.blobs.hold(&*tx, staged, &holder).await;
            held.map_err(|_| Error::unavailable("hold"))?;
        }
        tx.commit().await.map_err(|_| Error::unavailable("commit"))?;
        let bytes = submission.content.read_all(&self.blobs, u64::MAX).await?;
        assert_eq!(bytes.len() as u64, submission.parsed.size_bytes, "parsed fits the bytes");
        let mut taken = self.taken.lock();
        if !taken.iter().any(|known| known.submission.queue == submission.queue) {
            taken.push(Taken { submission, bytes, mailbox });
        }
        drop(taken);
        match fault {
            Some(Fault::After(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Transport for Backend {
    async fn accept(&self, submission: Submission) -> Result<()> {
        self.take(submission, None).await
    }

    async fn track_refusal(&self, _message: &Submission, about: Vec<Involved>) -> Result<()> {
        let told =
            about.iter().map(|one| format!("{}: {} {}", one.address, one.status, one.reason));
        self.refusals.lock().extend(told);
        Ok(())
    }

    async fn withdraw(&self, queue: QueueId) -> Result<Fate> {
        let takes = *self.withdrawal_takes.lock();
        tokio::time::sleep(takes).await;
        let mut withdrawn = self.withdrawn.lock();
        if self.taken.lock().iter().any(|known| known.submission.queue == queue) {
            return Ok(Fate::Accepted);
        }
        withdrawn.insert(queue);
        Ok(Fate::Withdrawn)
    }

    async fn withdraw_by(&self, queue: QueueId, deadline: Deadline) -> Result<Fate> {
        if *self.withdrawal_takes.lock() < deadline.remaining() {
            return self.withdraw(queue).await;
        }
        let takes = *self.withdrawal_takes.lock();
        let (taken, withdrawn) = (self.taken.clone(), self.withdrawn.clone());
        tokio::spawn(async move {
            tokio::time::sleep(takes).await;
            withdrawn.lock().insert(queue);
            taken.lock().retain(|known| known.submission.queue != queue);
        });
        tokio::time::sleep_until(deadline.instant()).await;
        Err(Error::new(Kind::Timeout, "nobody knows yet"))
    }

    async fn can_relay(&self, recipient: &Address) -> Result<bool> {
        let known = ["routed.example", "partner.example", "waiting.example"];
        Ok(known.contains(&recipient.domain.as_str()))
    }

    async fn has_route(&self, recipient: &Address) -> Result<bool> {
        Ok(recipient.domain != "waiting.example" && self.can_relay(recipient).await?)
    }

    fn hint(&self, _: QueueHint) {}
}

#[async_trait]
impl Mailboxes for Backend {
    async fn read(&self, _: AccountId, _: Principal, _: Read) -> Result<ReadReply> {
        Err(Error::internal("an SMTP session reads no mailbox"))
    }

    async fn write(
        &self,
        mailbox: AccountId,
        who: Principal,
        _: CommandId,
        request: Write,
    ) -> Result<WriteReply> {
        let Write::Submit(outgoing) = request else {
            return Err(Error::internal("an SMTP session only submits"));
        };
        assert_eq!(who, Principal::Account(mailbox), "everybody acts for themselves");
        let queue: QueueId = outgoing.submission.queue;
        self.take(outgoing.submission, Some((mailbox, outgoing.sent_copy))).await?;
        Ok(WriteReply::Submitted(queue))
    }

    fn watch(&self, _: AccountId) -> watch::Receiver<Change> {
        watch::channel(Change(0)).1
    }
}

/// Receive connectors that are what a test says.
pub(crate) struct Connectors(Mutex<Arc<ReceiveTable>>);

impl Connectors {
    pub(crate) fn new(table: Arc<ReceiveTable>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(table)))
    }

    pub(crate) fn set(&self, table: Arc<ReceiveTable>) {
        *self.0.lock() = table;
    }
}

#[async_trait]
impl ReceiveConnectors for Connectors {
    fn receive_table(&self) -> Arc<ReceiveTable> {
        self.0.lock().clone()
    }

    async fn receive_connectors(&self) -> Result<Arc<ReceiveTable>> {
        Ok(self.receive_table())
    }

    async fn create_receive_connector(
        &self,
        _: &Actor,
        _: ReceiveConnector,
    ) -> Result<Arc<ReceiveConnector>> {
        Err(Error::internal("sessions change no connectors"))
    }

    async fn update_receive_connector(
        &self,
        _: &Actor,
        _: &str,
        _: ReceiveChange,
    ) -> Result<Arc<ReceiveConnector>> {
        Err(Error::internal("sessions change no connectors"))
    }

    async fn remove_receive_connector(&self, _: &Actor, _: &str) -> Result<()> {
        Err(Error::internal("sessions change no connectors"))
    }
}
