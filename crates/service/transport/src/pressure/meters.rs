//! What is measured, and how.

use crate::context::Context;
use async_trait::async_trait;
use base::env::{Disk, Machine, Memory, Space};
use contract_store::Isolation;
use contract_transport::pressure::Resource;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const GB: u64 = 1 << 30;

/// One measurement.
pub(super) struct Found {
    /// In the resource's unit.
    pub(super) used: f64,
    /// What is left, in words.
    pub(super) room: String,
}

/// Measures one resource.
#[async_trait]
pub(super) trait Meter: Send + Sync {
    fn resource(&self) -> Resource;

    /// How much is used, or why that is not known.
    async fn measure(&self) -> Result<Found, String>;
}

/// In what a resource is measured.
pub(super) fn unit(resource: Resource) -> &'static str {
    match resource {
        Resource::Disk | Resource::Memory | Resource::MachineMemory => "%",
        Resource::Queue => "messages",
        Resource::Store => "ms",
    }
}

/// All of a node.
pub(super) fn all(
    context: &Arc<Context>,
    disk: Option<PathBuf>,
    counted_gb: u64,
) -> Vec<Box<dyn Meter>> {
    let mut meters: Vec<Box<dyn Meter>> = Vec::new();
    if let Some(path) = disk {
        let counted_bytes = counted_gb.saturating_mul(GB);
        meters.push(Box::new(Room { disk: context.env.disk.clone(), path, counted_bytes }));
    }
    let machine = &context.env.machine;
    for resource in [Resource::Memory, Resource::MachineMemory] {
        meters.push(Box::new(Used { machine: machine.clone(), resource }));
    }
    meters.push(Box::new(Unsorted(context.clone())));
    meters.push(Box::new(Answers { context: context.clone(), asks: Arc::default() }));
    meters
}

/// Room on the disk.
struct Room {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    counted_bytes: u64,
}

#[async_trait]
impl Meter for Room {
    fn resource(&self) -> Resource {
        Resource::Disk
    }

    async fn measure(&self) -> Result<Found, String> {
        let (disk, path) = (self.disk.clone(), self.path.clone());
        let space = tokio::task::spawn_blocking(move || disk.space(&path)).await;
        let space = space.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(room(space, self.counted_bytes))
    }
}

/// How full a disk is that counts as at most so large.
fn room(Space { total_bytes, free_bytes }: Space, counted_bytes: u64) -> Found {
    let counted = total_bytes.min(counted_bytes).max(1);
    let used = percent(counted.saturating_sub(free_bytes), counted);
    let room = format!("{} of {} free", bytes(free_bytes), bytes(total_bytes));
    Found { used, room }
}

/// Memory.
struct Used {
    machine: Arc<dyn Machine>,
    resource: Resource,
}

#[async_trait]
impl Meter for Used {
    fn resource(&self) -> Resource {
        self.resource
    }

    async fn measure(&self) -> Result<Found, String> {
        let machine = self.machine.clone();
        let memory = tokio::task::spawn_blocking(move || machine.memory()).await;
        let memory = memory.map_err(|error| error.to_string())?;
        let Memory { process_bytes, used_bytes, total_bytes } =
            memory.map_err(|error| error.to_string())?;
        let used = match self.resource {
            Resource::Memory => process_bytes,
            _ => used_bytes,
        };
        let room = format!("{} of {} used", bytes(used), bytes(total_bytes));
        Ok(Found { used: percent(used, total_bytes), room })
    }
}

/// Messages that nobody has sorted yet.
struct Unsorted(Arc<Context>);

#[async_trait]
impl Meter for Unsorted {
    fn resource(&self) -> Resource {
        Resource::Queue
    }

    async fn measure(&self) -> Result<Found, String> {
        let count = self.0.load.unsorted();
        Ok(Found { used: count as f64, room: format!("{count} messages to be sorted") })
    }
}

/// How long the store takes: for what is accepted, and for a small question of ours.
struct Answers {
    context: Arc<Context>,
    /// Whether a question of ours is open.
    asks: Arc<AtomicBool>,
}

#[async_trait]
impl Meter for Answers {
    fn resource(&self) -> Resource {
        Resource::Store
    }

    async fn measure(&self) -> Result<Found, String> {
        let clock = &self.context.env.clock;
        let longest = self.context.load.longest_wait(clock.monotonic());
        self.ask();
        let ms = longest.as_millis();
        Ok(Found { used: ms as f64, room: format!("answers within {ms} ms") })
    }
}

impl Answers {
    /// Asks the store something, in the background; the next measurement knows how long it took,
    /// or takes.
    fn ask(&self) {
        if self.asks.swap(true, Ordering::AcqRel) {
            return;
        }
        let (context, asks) = (self.context.clone(), self.asks.clone());
        tokio::spawn(async move {
            let waiting = context.load.waits(|| context.env.clock.monotonic());
            let tx = context.store.begin();
            // What goes wrong is noticed by those who need the answer; this one is for its time.
            let _answer = tx.get(b"\x00pressure", Isolation::Snapshot).await;
            drop(waiting);
            asks.store(false, Ordering::Release);
        });
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn bytes(count: u64) -> String {
    const MB: u64 = 1 << 20;
    match count {
        0..GB => format!("{} MB", count / MB),
        _ => format!("{:.1} GB", count as f64 / GB as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_disk_counts_as_at_most_so_large() {
        let check = |total_gb: u64, free_mb: u64, percent: f64, words: &str| {
            let space = Space { total_bytes: total_gb * GB, free_bytes: free_mb << 20 };
            let found = room(space, 100 * GB);
            assert_eq!(((found.used * 10.0).round() / 10.0, found.room.as_str()), (percent, words));
        };
        check(50, 5 * 1024, 90.0, "5.0 GB of 50.0 GB free");
        check(10_000, 1_000 * 1024, 0.0, "1000.0 GB of 10000.0 GB free");
        check(10_000, 11 * 1024, 89.0, "11.0 GB of 10000.0 GB free");
        check(1, 10, 99.0, "10 MB of 1.0 GB free");
        check(1, 0, 100.0, "0 MB of 1.0 GB free");
        check(0, 0, 100.0, "0 MB of 0 MB free");
    }
}
