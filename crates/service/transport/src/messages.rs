//! What a queue actor remembers of its slot's messages: which there are, when each is due, and
//! which are being worked on. Entries and states stand in rows, and whoever works on a message
//! reads them; but for a bounded number of messages that have just been accepted, whose hints
//! bring everything that a first round needs.
//!
//! So a message that waits costs its queue some hundred bytes, whatever it looks like.

use crate::pressure::load::{Load, Share};
use crate::state::State;
use base::{QueueId, Timestamp};
use codec_mime::ParsedMessage;
use contract_transport::QueueEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many messages of one slot are worked on at once.
const ROUNDS_MAX: usize = 64;

/// Of how many messages of one slot, that nobody has begun with, what their hints brought is kept.
const FRESH_MAX: usize = 32;

/// When a message is due that nobody has begun with: at once.
const AT_ONCE: Timestamp = Timestamp { unix_ms: i64::MIN };

/// What a hint has brought: enough for a first round.
pub(crate) struct Fresh {
    pub(crate) entry: Arc<QueueEntry>,
    pub(crate) parsed: Arc<ParsedMessage>,
}

/// The messages of one slot.
#[derive(Default)]
pub(crate) struct Messages {
    known: BTreeMap<QueueId, Known>,
    /// Those that nobody is working on and that are not set aside, by when they are due.
    due: BTreeSet<(Timestamp, QueueId)>,
    working: usize,
    fresh: usize,
    /// Those with which no round has come to an end.
    unsorted: Share,
}

#[derive(Default)]
struct Known {
    /// `None` while it is set aside.
    due: Option<Timestamp>,
    working: bool,
    unsorted: bool,
    fresh: Option<Box<Fresh>>,
}

impl Messages {
    /// None yet; those that nobody has begun with are counted there.
    pub(crate) fn counted(load: Arc<Load>) -> Self {
        Self { unsorted: Share::of(load), ..Self::default() }
    }

    /// Takes a message that has just been accepted, unless it is known.
    pub(crate) fn hint(&mut self, queue: QueueId, fresh: Fresh) {
        if self.known.contains_key(&queue) {
            return;
        }
        let fresh = (self.fresh < FRESH_MAX).then(|| Box::new(fresh));
        self.fresh += usize::from(fresh.is_some());
        self.due.insert((AT_ONCE, queue));
        self.unsorted.more();
        let known = Known { due: Some(AT_ONCE), working: false, unsorted: true, fresh };
        self.known.insert(queue, known);
    }

    /// Takes over what is stored of a message, unless a round is working on it: what it leaves
    /// will be newer.
    pub(crate) fn note(&mut self, queue: QueueId, state: &State) {
        if !self.is_working(queue) {
            self.set_due(queue, state.due(), state.is_new());
        }
    }

    /// A round, or somebody else, has done with a message until it is due again.
    pub(crate) fn rest(&mut self, queue: QueueId, due: Option<Timestamp>) {
        self.set_due(queue, due, false);
    }

    fn set_due(&mut self, queue: QueueId, due: Option<Timestamp>, keep_fresh: bool) {
        let known = self.known.entry(queue).or_default();
        match (known.unsorted, keep_fresh) {
            (false, true) => self.unsorted.more(),
            (true, false) => self.unsorted.less(),
            (true, true) | (false, false) => {}
        }
        known.unsorted = keep_fresh;
        if let Some(old) = known.due {
            self.due.remove(&(old, queue));
        }
        self.working -= usize::from(std::mem::take(&mut known.working));
        if !keep_fresh {
            self.fresh -= usize::from(known.fresh.take().is_some());
        }
        known.due = due;
        self.due.extend(due.map(|due| (due, queue)));
    }

    /// Begins with the message that has been due for longest, if there is one and another round
    /// may run.
    pub(crate) fn begin(&mut self, now: Timestamp) -> Option<(QueueId, Option<Box<Fresh>>)> {
        let (due, queue) = self.due.first().copied()?;
        if due > now || self.working >= ROUNDS_MAX {
            return None;
        }
        self.due.remove(&(due, queue));
        let known = self.known.get_mut(&queue)?;
        (known.due, known.working) = (None, true);
        self.working += 1;
        let fresh = known.fresh.take();
        self.fresh -= usize::from(fresh.is_some());
        Some((queue, fresh))
    }

    /// When the next message is due that nobody is working on.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether a round is working on a message.
    pub(crate) fn is_working(&self, queue: QueueId) -> bool {
        self.known.get(&queue).is_some_and(|known| known.working)
    }

    /// Forgets a message: it is done, or must be read again.
    pub(crate) fn forget(&mut self, queue: QueueId) {
        self.set_due(queue, None, false);
        self.known.remove(&queue);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use contract_mailbox::Content;
    use contract_transport::{Envelope, Source};

    fn fresh(queue: QueueId) -> Fresh {
        let source = Source { ip: None, helo: String::new(), protocol: "local".into() };
        let envelope = Envelope {
            sender: None,
            recipients: Vec::new(),
            authenticated: None,
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source,
        };
        let accepted = Timestamp::default();
        let entry = QueueEntry { queue, envelope, content: Content::default(), accepted };
        Fresh { entry: Arc::new(entry), parsed: Arc::new(codec_mime::parse(b"\r\n")) }
    }

    fn at(unix_ms: i64) -> Timestamp {
        Timestamp { unix_ms }
    }

    #[test]
    fn a_bounded_number_is_worked_on_and_remembered_whole() {
        let mut messages = Messages::default();
        for number in 0..200 {
            messages.hint(QueueId(number), fresh(QueueId(number)));
        }
        let mut begun = Vec::new();
        while let Some((queue, fresh)) = messages.begin(at(0)) {
            assert_eq!(fresh.is_some(), begun.len() < FRESH_MAX);
            begun.push(queue);
        }
        assert_eq!(begun, (0..ROUNDS_MAX as u128).map(QueueId).collect::<Vec<_>>());
        assert_eq!((messages.fresh, messages.next_due()), (0, Some(AT_ONCE)));
        // What is stored says nothing of one that is being worked on.
        messages.note(begun[0], &State::default());
        assert!(messages.is_working(begun[0]) && messages.begin(at(0)).is_none());
        // One is done, one goes on later, one is set aside: three others may begin.
        messages.forget(begun[0]);
        messages.rest(begun[1], Some(at(5)));
        messages.rest(begun[2], None);
        for number in 64..67 {
            assert_eq!(messages.begin(at(0)).unwrap().0, QueueId(number));
        }
        assert!(messages.begin(at(9)).is_none());
    }

    #[test]
    fn what_nobody_has_begun_with_is_counted() {
        let load = Arc::new(Load::default());
        let mut messages = Messages::counted(load.clone());
        for number in 0..5 {
            messages.hint(QueueId(number), fresh(QueueId(number)));
        }
        messages.hint(QueueId(1), fresh(QueueId(1)));
        messages.note(QueueId(5), &State::default());
        messages.note(QueueId(5), &State::default());
        assert_eq!(load.unsorted(), 6);
        while messages.begin(at(0)).is_some() {}
        assert_eq!(load.unsorted(), 6, "until a round has come to its end");
        messages.rest(QueueId(0), Some(at(5)));
        messages.forget(QueueId(1));
        messages.forget(QueueId(99));
        assert_eq!(load.unsorted(), 4);
        drop(messages);
        assert_eq!(load.unsorted(), 0);
    }

    #[test]
    fn the_earliest_goes_first() {
        let mut messages = Messages::default();
        messages.rest(QueueId(1), Some(at(30)));
        messages.rest(QueueId(2), Some(at(10)));
        messages.rest(QueueId(3), None);
        assert!(messages.begin(at(9)).is_none());
        assert_eq!(messages.next_due(), Some(at(10)));
        messages.rest(QueueId(2), Some(at(40)));
        let order: Vec<u128> =
            std::iter::from_fn(|| messages.begin(at(50))).map(|(queue, _)| queue.0).collect();
        assert_eq!(order, [1, 2]);
        messages.rest(QueueId(3), Some(at(0)));
        messages.forget(QueueId(3));
        assert_eq!(messages.next_due(), None);
        assert_eq!((messages.known.len(), messages.working), (2, 2));
    }

    #[test]
    fn what_a_hint_brought_is_dropped_when_the_message_has_a_state() {
        let mut messages = Messages::default();
        let queue = QueueId(1);
        messages.hint(queue, fresh(queue));
        messages.note(queue, &State::default());
        assert_eq!(messages.fresh, 1);
        messages.rest(queue, Some(at(1)));
        assert_eq!(messages.fresh, 0);
        let (_, fresh) = messages.begin(at(2)).unwrap();
        assert!(fresh.is_none());
    }
}
