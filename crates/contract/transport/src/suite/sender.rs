//! What the cases work with: somebody who sends messages and looks where they arrive.

use super::{DOMAIN, World};
use crate::{Envelope, QueuedMessage, Recipient, Source, Submission};
use base::{Address, Error, Kind, QueueId, Result};
use bytes::Bytes;
use contract_blob::{Content, Staged};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How often somebody asks whom a failing store keeps from an answer.
const ATTEMPTS_MAX: usize = 60;

/// How long the queue may take to become empty; a mailbox that was away is tried every five
/// minutes.
const SETTLED_IN: Duration = Duration::from_secs(3_600);

/// Somebody who sends in a world.
pub(super) struct Sender {
    pub(super) world: Arc<dyn World>,
}

/// Whether asking again may help.
fn is_passing(error: &Error) -> bool {
    // Conflict: at this moment somebody is working on the message.
    matches!(error.kind, Kind::Unavailable | Kind::Timeout | Kind::Conflict | Kind::Fenced)
}

/// `name` or `name@domain` as an address.
pub(super) fn address(text: &str) -> Address {
    match text.rsplit_once('@') {
        Some((local, domain)) => Address::new(local, domain),
        None => Address::new(text, DOMAIN),
    }
}

impl Sender {
    pub(super) fn new(world: Arc<dyn World>) -> Self {
        Self { world }
    }

    /// A message from `sender` (`""` is the null sender) that tells itself by its text.
    pub(super) async fn submission(
        &self,
        sender: &str,
        recipients: &[&str],
        text: &str,
    ) -> Submission {
        let message = format!(
            "From: <{sender}>\r\nSubject: suite\r\nMessage-ID: <{text}@suite>\r\n\r\n{text}\r\n"
        );
        let staged = self.upload(message.clone().into()).await;
        let queue = QueueId::new(self.world.now(), self.world.random());
        Submission {
            queue,
            envelope: Envelope {
                sender: (!sender.is_empty()).then(|| address(sender)),
                recipients: recipients.iter().map(|to| Recipient::plain(address(to))).collect(),
                authenticated: None,
                envelope_id: None,
                return_headers_only: false,
                require_tls: false,
                source: Source { ip: None, helo: "suite".into(), protocol: "ESMTP".into() },
            },
            content: Content::of(&staged),
            parsed: Arc::new(codec_mime::parse(message.as_bytes())),
            staged: vec![staged],
        }
    }

    async fn upload(&self, bytes: Bytes) -> Staged {
        let bytes = &bytes;
        self.steady(|| async {
            let mut upload = self.world.blobs().upload();
            upload.write(bytes.clone()).await?;
            upload.finish().await
        })
        .await
        .unwrap()
    }

    /// Asks again where the answer is "not now".
    pub(super) async fn steady<T, F: Future<Output = Result<T>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match ask().await {
                Err(error) if is_passing(&error) && attempts < ATTEMPTS_MAX => {
                    self.pass_ms(500).await;
                }
                answer => return answer,
            }
        }
    }

    /// Accepts, as often as it takes.
    pub(super) async fn accept(&self, submission: &Submission) -> Result<()> {
        let transport = self.world.transport().await;
        self.steady(|| transport.accept(submission.clone())).await
    }

    /// Sends a message; gives its queue id.
    pub(super) async fn send(&self, sender: &str, recipients: &[&str], text: &str) -> QueueId {
        let submission = self.submission(sender, recipients, text).await;
        self.accept(&submission).await.unwrap();
        submission.queue
    }

    /// How many copies of a message somebody has.
    pub(super) async fn copies(&self, name: &str, text: &str) -> usize {
        let marker = format!("Message-ID: <{text}@suite>\r\n\r\n{text}\r\n");
        self.world.inbox(name).await.iter().filter(|message| message.ends_with(&marker)).count()
    }

    /// Asserts how many copies of a message alice and bob have.
    #[track_caller]
    pub(super) fn arrived(&self, text: &str, alice: usize, bob: usize) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let copies = (self.copies("alice", text).await, self.copies("bob", text).await);
            assert_eq!(copies, (alice, bob), "copies of {text:?} for alice and bob at {place}");
        }
    }

    /// How many reports about somebody an Inbox has.
    pub(super) async fn reports(&self, name: &str, about: &str) -> usize {
        let about = format!("{}", address(about));
        let inbox = self.world.inbox(name).await;
        let reports = inbox.iter().filter(|one| one.contains("multipart/report"));
        reports.filter(|report| report.contains(&about)).count()
    }

    pub(super) async fn count(&self) -> u64 {
        let queue = self.world.queue().await;
        self.steady(|| queue.count()).await.unwrap()
    }

    pub(super) async fn list(&self, after: Option<QueueId>, limit: usize) -> Vec<QueuedMessage> {
        let queue = self.world.queue().await;
        self.steady(|| queue.list(after, limit)).await.unwrap()
    }

    pub(super) async fn retry(&self, message: QueueId) -> Result<()> {
        let queue = self.world.queue().await;
        self.steady(|| queue.retry(message)).await
    }

    pub(super) async fn suspend(&self, message: QueueId) -> Result<()> {
        let queue = self.world.queue().await;
        self.steady(|| queue.suspend(message)).await
    }

    pub(super) async fn remove(&self, message: QueueId, tell_sender: bool) -> Result<()> {
        let queue = self.world.queue().await;
        self.steady(|| queue.remove(message, tell_sender)).await
    }

    /// Waits until nothing is queued any more.
    pub(super) async fn settle(&self) {
        let mut left = SETTLED_IN;
        while self.count().await > 0 {
            let wait = Duration::from_secs(1);
            left = left.checked_sub(wait).unwrap_or_else(|| panic!("still queued after an hour"));
            self.world.pass(wait).await;
        }
    }

    /// Lets whatever is under way come to its end.
    pub(super) async fn pass_s(&self, seconds: u64) {
        self.world.pass(Duration::from_secs(seconds)).await;
    }

    async fn pass_ms(&self, ms: u64) {
        self.world.pass(Duration::from_millis(ms)).await;
    }
}
