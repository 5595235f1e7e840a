//! Which node was being hurt when: what its own clients meet then is expected, what the clients of
//! all others meet is not. Times are microseconds of the run.
//!
//! Nor is it anybody's fault what happens while the machine's own disk stands still for seconds, as
//! on one that others keep busy: nothing can be acknowledged then. [`watch_disk`] notices that.

use crate::history::Clock;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// From then on the disk stands still: far from the ten seconds that clients wait, and far above
/// what a busy disk takes.
const STALL: Duration = Duration::from_secs(4);

/// A time in which a node was hurt; open while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spell {
    from_us: u64,
    until_us: Option<u64>,
}

/// The hurts of a run's nodes.
#[derive(Debug)]
pub struct Weather {
    /// The run's time.
    pub clock: Clock,
    spells: Mutex<Vec<Vec<Spell>>>,
    stalls: Mutex<Vec<Spell>>,
}

impl Weather {
    /// All is well with so many nodes.
    #[must_use]
    pub fn new(clock: Clock, nodes: usize) -> Weather {
        let spells = Mutex::new(vec![Vec::new(); nodes]);
        Weather { clock, spells, stalls: Mutex::default() }
    }

    /// From now on this node is being hurt.
    pub fn begin(&self, node: usize) {
        let now = self.clock.now_us();
        self.change(node, |spells| begin(spells, now));
    }

    /// This node is well again.
    pub fn end(&self, node: usize) {
        let now = self.clock.now_us();
        self.change(node, |spells| end(spells, now));
    }

    /// The machine's disk stands still, or goes on.
    fn stall(&self, is_still: bool) {
        let now = self.clock.now_us();
        let mut stalls = self.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        if is_still { begin(&mut stalls, now) } else { end(&mut stalls, now) }
    }

    /// How long the machine's disk stood still each time, as far as that is over.
    #[must_use]
    pub fn stalls_us(&self) -> Vec<u64> {
        let stalls = self.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        stalls.iter().filter_map(|stall| Some(stall.until_us? - stall.from_us)).collect()
    }

    fn change(&self, node: usize, change: impl FnOnce(&mut Vec<Spell>)) {
        let mut all = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() <= node {
            all.resize(node + 1, Vec::new());
        }
        change(&mut all[node]);
    }

    /// Whether the node was hurt at some moment of this time.
    #[must_use]
    pub fn excuses(&self, node: usize, from_us: u64, until_us: u64) -> bool {
        let stalls = self.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        meets(&stalls, from_us, until_us) || self.is_hurt(node, from_us, until_us)
    }

    fn is_hurt(&self, node: usize, from_us: u64, until_us: u64) -> bool {
        let all = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(node).is_some_and(|spells| meets(spells, from_us, until_us))
    }

    /// Whether the node is well now.
    #[must_use]
    pub fn is_fine(&self, node: usize) -> bool {
        let now = self.clock.now_us();
        !self.is_hurt(node, now, now)
    }
}

fn begin(spells: &mut Vec<Spell>, now: u64) {
    if !matches!(spells.last(), Some(Spell { until_us: None, .. })) {
        spells.push(Spell { from_us: now, until_us: None });
    }
}

fn end(spells: &mut [Spell], now: u64) {
    if let Some(spell) = spells.last_mut() {
        spell.until_us.get_or_insert(now);
    }
}

fn meets(spells: &[Spell], from_us: u64, until_us: u64) -> bool {
    let meets = |spell: &Spell| {
        spell.from_us <= until_us && spell.until_us.is_none_or(|until| until >= from_us)
    };
    spells.iter().any(meets)
}

/// Syncs a little file in `dir` again and again for as long as it is let, and notes when that takes
/// longer than [`STALL`].
pub async fn watch_disk(weather: Arc<Weather>, dir: PathBuf) {
    // Made once: it must not come back while the directory is removed.
    let Ok(file) = File::create(dir.join("disk-watch")).map(Arc::new) else {
        return;
    };
    loop {
        let file = file.clone();
        let sync = move || {
            (&*file).write_all(b"x")?;
            file.sync_all()
        };
        let mut syncing = tokio::task::spawn_blocking(sync);
        if timeout(STALL, &mut syncing).await.is_err() {
            weather.stall(true);
            let _ = syncing.await;
            // Whoever waited is told that it took too long a little later.
            sleep(STALL).await;
            weather.stall(false);
        }
        sleep(STALL / 10).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_meet_a_hurt_are_excused() {
        let weather = Weather::new(Clock::default(), 2);
        let early = weather.clock.now_us();
        std::thread::sleep(std::time::Duration::from_millis(2));
        weather.begin(1);
        weather.begin(1);
        let within = weather.clock.now_us();
        assert!(weather.is_fine(0) && !weather.is_fine(1));
        assert!(weather.excuses(1, within, within + 1_000_000));
        weather.end(1);
        weather.end(1);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let late = weather.clock.now_us();
        assert!(weather.is_fine(1));
        assert!(weather.excuses(1, early, late) && weather.excuses(1, within, late));
        assert!(!weather.excuses(1, early, early) && !weather.excuses(1, late, late + 9));
        assert!(!weather.excuses(0, early, late) && !weather.excuses(7, early, late));
    }

    #[test]
    fn a_disk_that_stands_still_excuses_everybody_and_hurts_nobody() {
        let weather = Weather::new(Clock::default(), 2);
        weather.stall(true);
        let within = weather.clock.now_us();
        assert!(weather.excuses(0, within, within) && weather.is_fine(0));
        weather.stall(false);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let late = weather.clock.now_us();
        assert!(weather.excuses(1, within, late) && !weather.excuses(1, late, late));
        assert_eq!(weather.stalls_us().len(), 1);
    }
}
