//! What the queues of a node share.

use base::env::Env;
use base::router::Router;
use base::{CommandId, QueueId, SessionId, Slot};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use contract_store::Store;
use contract_transport::courier::Courier;
use contract_transport::inspection::Inspector;
use contract_transport::relay::Hop;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

use crate::bounce::Language;
use crate::connectors::Connectors;
use crate::due::Due;
use crate::guard::Members;
use crate::organisation::Organisation;
use crate::pressure::load::Load;
use crate::remote_domains::Remote;
use crate::reports::Reports;
use crate::rules::Rules;
use crate::signing::Signing;

/// How the transport service works on a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name in reports and trace headers.
    pub host_name: String,
    /// How many messages may be worked on at once on this node.
    pub rounds_at_once: usize,
    /// How many recipients of one message are delivered to at once (Exchange: 20 concurrent
    /// mailbox deliveries).
    pub deliveries_at_once: usize,
    /// For how long delivery is tried, in milliseconds (Exchange: 2 days).
    pub expiry_ms: i64,
    /// After how long the sender is told of a delay, in milliseconds (Exchange: 4 hours).
    pub delay_notice_ms: i64,
    /// How long a slot's queue may be without work before its actor is unloaded. It costs some
    /// 20 kB, of 4,096 slots, and two reads to have it again.
    pub idle: Duration,
    /// How many connections to other servers there may be at once on this node (Exchange: 1,000).
    pub connections_max: usize,
    /// How many messages go over one connection (Exchange: 20).
    pub messages_per_connection: u32,
    /// Over how many owners the mail for one next hop is spread. Each has its part of the
    /// connections.
    pub hop_shards: u8,
    /// In which language a sender is told whose message does not tell its own.
    pub report_language: Language,
    /// Whoever looks into attachments for transport rules; without, none of them can be told.
    pub inspector: Option<Arc<dyn Inspector>>,
}

impl Config {
    /// The defaults, for a host of this name.
    pub fn new(host_name: impl Into<String>) -> Self {
        Self {
            host_name: host_name.into(),
            rounds_at_once: 256,
            deliveries_at_once: 20,
            expiry_ms: 2 * 24 * 3600 * 1000,
            delay_notice_ms: 4 * 3600 * 1000,
            idle: Duration::from_secs(30),
            connections_max: 1_000,
            messages_per_connection: 20,
            hop_shards: 1,
            report_language: Language::default(),
            inspector: None,
        }
    }
}

/// The world around a queue actor.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) control: Arc<dyn Control>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) mailboxes: Arc<dyn Mailboxes>,
    pub(crate) router: Arc<dyn Router>,
    pub(crate) rounds: Arc<Semaphore>,
    pub(crate) due: Due,
    pub(crate) working: Arc<Working>,
    /// What back pressure goes by.
    pub(crate) load: Arc<Load>,
    pub(crate) in_hand: Arc<InHand>,
    /// Whoever speaks SMTP to other servers; without, there is no way out of here.
    pub(crate) courier: Option<Arc<dyn Courier>>,
    pub(crate) connectors: Arc<Connectors>,
    pub(crate) rules: Arc<Rules>,
    /// Who is in the groups that may or may not write to somebody.
    pub(crate) members: Members,
    pub(crate) remote_domains: Arc<Remote>,
    /// Settings that are one word each.
    pub(crate) organisation: Arc<Organisation>,
    /// What other domains are told once a day.
    pub(crate) reports: Reports,
    /// Who signs mail of our domains; without, nobody does.
    pub(crate) signing: Option<Arc<Signing>>,
    /// One permit for each connection to another server.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) relay_due: Due,
    /// The next hops that this process sends to.
    pub(crate) sending: Mutex<HashSet<(Slot, Hop)>>,
    pub(crate) session: SessionId,
    pub(crate) sequence: AtomicU64,
}

/// The messages that this process is working on, whatever life of their queue started that.
#[derive(Default)]
pub(crate) struct Working {
    messages: Mutex<HashMap<QueueId, Slot>>,
    /// Work on something has ended.
    ended: Notify,
}

impl Working {
    /// Tells that something has ended.
    pub(crate) fn ended(&self) {
        self.ended.notify_waiters();
    }
}

/// A message that this process works on; never twice at once.
pub(crate) struct Claim {
    working: Arc<Working>,
    queue: QueueId,
}

impl Claim {
    /// Claims a message of a submission queue, unless a round works on it already.
    pub(crate) fn take(context: &Context, queue: QueueId) -> Option<Self> {
        Self::take_in(context, queue, context.control.slot_of_queue(queue))
    }

    /// Claims a message of a slot, unless somebody works on it already.
    pub(crate) fn take_in(context: &Context, queue: QueueId, slot: Slot) -> Option<Self> {
        let working = context.working.clone();
        let is_free = {
            let mut messages = working.messages.lock();
            let is_free = !messages.contains_key(&queue);
            messages.entry(queue).or_insert(slot);
            is_free
        };
        is_free.then_some(Self { working, queue })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.working.messages.lock().remove(&self.queue);
        self.working.ended();
    }
}

/// The messages whose senders this process has yet to answer, or has told to try again while a
/// commit may still land. Their queue does not begin with them on its own account: it hears of them
/// when they are announced, or they are taken back. Each with how many hold it; what other processes
/// hold is not known here.
#[derive(Default)]
pub(crate) struct InHand(Mutex<HashMap<QueueId, usize>>);

impl InHand {
    /// Whether somebody has this message in hand.
    pub(crate) fn has(&self, queue: QueueId) -> bool {
        self.0.lock().contains_key(&queue)
    }
}

/// Has a message in hand until it is let go, or the last copy of this is dropped.
pub(crate) struct Hold {
    in_hand: Arc<InHand>,
    queue: QueueId,
    is_over: AtomicBool,
}

impl Hold {
    /// Takes a message in hand.
    pub(crate) fn take(context: &Context, queue: QueueId) -> Arc<Self> {
        let in_hand = context.in_hand.clone();
        *in_hand.0.lock().entry(queue).or_insert(0) += 1;
        Arc::new(Self { in_hand, queue, is_over: AtomicBool::new(false) })
    }

    /// The message.
    pub(crate) fn queue(&self) -> QueueId {
        self.queue
    }

    /// Lets its queue begin with the message, whoever else still has a copy of this; other holds
    /// of the message stay.
    pub(crate) fn let_go(&self) {
        let mut held = self.in_hand.0.lock();
        if self.is_over.swap(true, Ordering::Relaxed) {
            return;
        }
        match held.get_mut(&self.queue) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.queue);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Context {
    /// A command id of this life of the service. Deliveries are told apart by their own keys; the
    /// contract asks for one all the same.
    pub(crate) fn next_command(&self) -> CommandId {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        CommandId { session: self.session, sequence }
    }

    /// A new queue id.
    pub(crate) fn new_queue_id(&self) -> QueueId {
        QueueId::new(self.env.clock.now(), self.env.random.u128())
    }

    /// What a change is recognised by; never 0.
    pub(crate) fn token(&self) -> u128 {
        self.env.random.u128().max(1)
    }

    /// Waits until nobody works on a message of a slot, or sends to its next hops.
    pub(crate) async fn no_round(&self, slot: Slot) {
        loop {
            let mut ended = std::pin::pin!(self.working.ended.notified());
            // From here on no end is missed.
            ended.as_mut().enable();
            let is_sending = self.sending.lock().iter().any(|(busy, _)| *busy == slot);
            if !is_sending && !self.working.messages.lock().values().any(|busy| *busy == slot) {
                return;
            }
            ended.await;
        }
    }

    /// Whether this node owns a slot, as far as it knows.
    pub(crate) fn is_mine(&self, slot: Slot) -> bool {
        self.control.owner(slot).is_some_and(|owner| owner.node == self.control.node())
    }
}
