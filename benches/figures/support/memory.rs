//! Memory of processes, as the kernel tells it.

use std::path::Path;
use std::time::Duration;

/// Memory counts as settled when it has moved by less than 0.5 % in each of so many seconds.
const STILL_S: u64 = 4;

/// It is not waited longer for that.
const SETTLE_S_MAX: u64 = 40;

/// The processes whose memory is meant: these and all that descend from them.
pub struct Memory(pub Vec<u32>);

impl Memory {
    /// What the processes take now, in kB: private pages, and each shared one divided by those who
    /// share it (PSS), so that many processes of one binary are not counted too high.
    pub fn now_kb(&self) -> u64 {
        let parents = parents();
        let mut all = self.0.clone();
        let mut at = 0;
        while at < all.len() {
            let parent = all[at];
            all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
            at += 1;
        }
        all.iter().filter_map(|pid| field(*pid, "smaps_rollup", "Pss:")).sum()
    }

    /// As [`Memory::now_kb`], when it has not moved for a while: what is idle may be put away.
    pub async fn settled_kb(&self) -> u64 {
        let mut last = self.now_kb();
        let mut still = 0;
        for _ in 0..SETTLE_S_MAX {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.now_kb();
            still = if now.abs_diff(last) * 200 > now { 0 } else { still + 1 };
            last = now;
            if still == STILL_S {
                break;
            }
        }
        last
    }
}

/// The most that a process had resident since [`reset_peak`], in kB.
pub fn peak_kb(pid: u32) -> u64 {
    field(pid, "status", "VmHWM:").unwrap_or(0)
}

/// What a process has resident now, in kB.
pub fn resident_kb(pid: u32) -> u64 {
    field(pid, "status", "VmRSS:").unwrap_or(0)
}

/// Forgets the peak.
pub fn reset_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

fn field(pid: u32, file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(file)).ok()?;
    text.lines().find(|line| line.starts_with(name))?.split_whitespace().nth(1)?.parse().ok()
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let parent = field(pid, "status", "PPid:")?;
            Some((pid, parent as u32))
        })
        .collect()
}

/// Processor time of a process so far, its system calls with it, in seconds.
pub fn cpu_s(pid: u32) -> f64 {
    /// What the kernel counts in (`USER_HZ`), the same on all of Linux.
    const TICKS_PER_S: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may contain spaces; user and system time are fields 14 and 15.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_S
}
