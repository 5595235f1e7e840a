//! Which view is the present one, and how long replaced ones live.

use super::View;
use super::file::FileSnapshot;
use super::generation::{Effect, Generation, Last};
use contract_store::Version;
use contract_store::limits::TRANSACTION_MS_MAX;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a replaced view stays readable: a transaction's life and a little for its last read.
const RETIRED_FOR: Duration = Duration::from_millis(TRANSACTION_MS_MAX + 500);

/// How long after a version was made it may still be chosen to be read.
const CHOSEN_FOR: Duration = Duration::from_millis(TRANSACTION_MS_MAX);

/// How exactly it is known when a version was made.
const SAMPLE: Duration = Duration::from_millis(50);

/// The present view and those before it.
pub(crate) struct Current {
    state: RwLock<State>,
    /// Held while the active generation is written, so that it is not frozen meanwhile.
    publishing: Mutex<()>,
}

struct State {
    view: Arc<View>,
    /// What readers see.
    version: Version,
    /// Replaced views, oldest first.
    retired: VecDeque<Retired>,
    /// Generations that are in the table file and that only replaced views may still keep, with
    /// their sizes in bytes.
    applied: Vec<(Weak<Generation>, usize)>,
    /// When versions were made, a sample each [`SAMPLE`], oldest first.
    history: VecDeque<(Duration, Version)>,
}

struct Retired {
    at: Duration,
    view: Arc<View>,
    /// The last version that it shows; its successor shows later ones.
    until: Version,
}

/// Memory taken by versions that are not only in the table file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// How many generations stand above the file, the active one included.
    pub(crate) generations: usize,
    /// What they take: it is not in the table file yet.
    pub(crate) unapplied_bytes: usize,
    /// What replaced views keep although it is in the table file.
    pub(crate) retired_bytes: usize,
}

impl Current {
    /// Begins with one empty active generation above the file.
    pub(crate) fn new(file: FileSnapshot, base: Version) -> Self {
        let generations = vec![Arc::new(Generation::new())];
        let view = Arc::new(View { base, file: Arc::new(file), generations });
        let (retired, history) = (VecDeque::new(), VecDeque::new());
        let state = State { view, version: base, retired, applied: Vec::new(), history };
        Self { state: RwLock::new(state), publishing: Mutex::new(()) }
    }

    /// The newest version and the view to read it through.
    pub(crate) fn newest(&self) -> (Version, Weak<View>) {
        let state = self.state.read();
        (state.version, Arc::downgrade(&state.view))
    }

    /// The newest version and its view, for a read at once.
    pub(crate) fn newest_held(&self) -> (Arc<View>, Version) {
        let state = self.state.read();
        (state.view.clone(), state.version)
    }

    /// The newest version.
    pub(crate) fn version(&self) -> Version {
        self.state.read().version
    }

    /// The present view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.state.read().view.clone()
    }

    /// A view that a given version can be read through; `None` if it is too old: made more than
    /// five seconds ago, and not the newest.
    pub(crate) fn view_for(&self, version: Version, now: Duration) -> Option<Weak<View>> {
        let state = self.state.read();
        if version < state.version {
            let made = state.history.iter().rev().find(|(_, first)| *first <= version)?.0;
            if made + CHOSEN_FOR <= now {
                return None;
            }
        }
        if state.view.base <= version {
            return Some(Arc::downgrade(&state.view));
        }
        // Views between two that are left may be gone, so both ends count.
        let shows = |old: &&Retired| old.view.base <= version && version <= old.until;
        state.retired.iter().rev().find(shows).map(|old| Arc::downgrade(&old.view))
    }

    /// Makes a version visible. Only the committer (and the replay) calls this.
    pub(crate) fn publish(&self, effect: &Effect, last: Last, now: Duration) {
        // Readers do not look beyond `version` yet, so they are not kept out meanwhile.
        let _publishing = self.publishing.lock();
        let active = self.state.read().view.generations[0].clone();
        active.publish(effect, last);
        self.state.write().advance(last.version, now);
    }

    /// Moves the version on without any effect.
    pub(crate) fn advance(&self, version: Version, now: Duration) {
        self.state.write().advance(version, now);
    }

    /// About how much the active generation holds, in bytes.
    pub(crate) fn active_bytes(&self) -> usize {
        self.view().generations[0].bytes()
    }

    /// Freezes the active generation unless it is empty.
    pub(crate) fn freeze(&self, now: Duration) -> bool {
        let _publishing = self.publishing.lock();
        let mut state = self.state.write();
        if state.view.generations[0].last().is_none() {
            return false;
        }
        let mut generations = vec![Arc::new(Generation::new())];
        generations.extend(state.view.generations.iter().cloned());
        let file = state.view.file.clone();
        let view = Arc::new(View { base: state.view.base, file, generations });
        state.replace(view, now);
        true
    }

    /// The oldest frozen generation.
    pub(crate) fn oldest_frozen(&self) -> Option<Arc<Generation>> {
        let state = self.state.read();
        let generations = &state.view.generations;
        (generations.len() > 1).then(|| generations.last().cloned()).flatten()
    }

    /// The oldest frozen generation is in the file now, as `file` shows it.
    pub(crate) fn applied(&self, file: FileSnapshot, base: Version, now: Duration) {
        let mut state = self.state.write();
        let mut generations = state.view.generations.clone();
        if let Some(generation) = generations.pop() {
            state.applied.push((Arc::downgrade(&generation), generation.bytes()));
        }
        let view = Arc::new(View { base, file: Arc::new(file), generations });
        state.replace(view, now);
    }

    /// Drops views that nobody may read any more. Beyond `spare_bytes` in memory it also drops
    /// those that no transaction reads through now, and beyond `bytes_max` the oldest, read or
    /// not: under a flood of writes, long transactions are too old a little earlier.
    pub(crate) fn expire(&self, now: Duration, spare_bytes: usize, bytes_max: usize) {
        // Freed outside the lock: a view may own tens of megabytes.
        drop(self.take_retired(|state| {
            let old = |retired: &Retired| retired.at + RETIRED_FOR <= now;
            let count = state.retired.iter().take_while(|retired| old(retired)).count();
            state.retired.drain(..count).collect()
        }));
        if self.memory().retired_bytes > spare_bytes {
            drop(self.take_retired(|state| {
                let read = |old: &Retired| Arc::weak_count(&old.view) > 0;
                let (kept, gone) = state.retired.drain(..).partition(read);
                state.retired = kept;
                gone
            }));
        }
        while self.memory().retired_bytes > bytes_max {
            let oldest = self.take_retired(|state| state.retired.pop_front().into_iter().collect());
            if oldest.is_empty() {
                break;
            }
        }
    }

    fn take_retired(
        &self,
        take: impl FnOnce(&mut State) -> VecDeque<Retired>,
    ) -> VecDeque<Retired> {
        take(&mut self.state.write())
    }

    /// Drops all views but the present one.
    pub(crate) fn expire_all(&self) {
        drop(self.take_retired(|state| std::mem::take(&mut state.retired)));
    }

    /// What stands above the table file, in bytes.
    pub(crate) fn unapplied_bytes(&self) -> usize {
        self.view().generations.iter().map(|generation| generation.bytes()).sum()
    }

    /// What is in memory.
    pub(crate) fn memory(&self) -> Memory {
        let mut state = self.state.write();
        state.applied.retain(|(generation, _)| generation.strong_count() > 0);
        let generations = state.view.generations.len();
        let retired_bytes = state.applied.iter().map(|(_, bytes)| bytes).sum();
        drop(state);
        Memory { generations, unapplied_bytes: self.unapplied_bytes(), retired_bytes }
    }
}

impl State {
    fn advance(&mut self, version: Version, now: Duration) {
        self.version = version;
        if self.history.back().is_none_or(|(at, _)| *at + SAMPLE <= now) {
            self.history.push_back((now, version));
        }
        while self.history.front().is_some_and(|(at, _)| *at + CHOSEN_FOR + SAMPLE <= now) {
            self.history.pop_front();
        }
    }

    fn replace(&mut self, view: Arc<View>, now: Duration) {
        let view = std::mem::replace(&mut self.view, view);
        self.retired.push_back(Retired { at: now, view, until: self.version });
    }
}
