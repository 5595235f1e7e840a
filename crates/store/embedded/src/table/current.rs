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
    /// Replaced views with the time of their replacement, oldest first.
    retired: VecDeque<(Duration, Arc<View>)>,
}

impl Current {
    /// Begins with one empty active generation above the file.
    pub(crate) fn new(file: FileSnapshot, base: Version) -> Self {
        let generations = vec![Arc::new(Generation::new())];
        let view = Arc::new(View { base, file: Arc::new(file), generations });
        let state = State { view, version: base, retired: VecDeque::new() };
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

    /// A view that a given version can be read through; `None` if it is too old.
    pub(crate) fn view_for(&self, version: Version) -> Option<Weak<View>> {
        let state = self.state.read();
        let retired = state.retired.iter().rev().map(|(_, view)| view);
        let mut views = std::iter::once(&state.view).chain(retired);
        views.find(|view| view.base <= version).map(Arc::downgrade)
    }

    /// Makes a version visible. Only the committer (and the replay) calls this.
    pub(crate) fn publish(&self, effect: &Effect, last: Last) {
        // Readers do not look beyond `version` yet, so they are not kept out meanwhile.
        let _publishing = self.publishing.lock();
        let active = self.state.read().view.generations[0].clone();
        active.publish(effect, last);
        self.state.write().version = last.version;
    }

    /// Moves the version on without any effect.
    pub(crate) fn advance(&self, version: Version) {
        self.state.write().version = version;
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
        generations.pop();
        let view = Arc::new(View { base, file: Arc::new(file), generations });
        state.replace(view, now);
    }

    /// Drops views that nobody may read any more.
    pub(crate) fn expire(&self, now: Duration) {
        let mut state = self.state.write();
        let mut dead = Vec::new();
        while state.retired.front().is_some_and(|(at, _)| *at + RETIRED_FOR <= now) {
            dead.extend(state.retired.pop_front());
        }
        drop(state);
        // Freed outside the lock: a view may own tens of megabytes.
        drop(dead);
    }

    /// Drops all views but the present one.
    pub(crate) fn expire_all(&self) {
        let dead = std::mem::take(&mut self.state.write().retired);
        drop(dead);
    }

    /// How many generations stand above the file, the active one included, and their bytes.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let view = self.view();
        (view.generations.len(), view.generations.iter().map(|g| g.bytes()).sum())
    }
}

impl State {
    fn replace(&mut self, view: Arc<View>, now: Duration) {
        let before = std::mem::replace(&mut self.view, view);
        self.retired.push_back((now, before));
    }
}
