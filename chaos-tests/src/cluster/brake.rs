//! A process that gets little of the processors: by a quota of the kernel (cgroup v1, as root), and
//! where that cannot be had by stopping it most of the time.

use crate::failure::{Failure, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Where groups that share processors are (cgroup v1).
const GROUPS: &str = "/sys/fs/cgroup/cpu";

/// The time within which a process gets its part.
const PERIOD: Duration = Duration::from_millis(100);

/// A process is slow as long as this lives.
pub struct Brake(Kind);

enum Kind {
    Quota { group: PathBuf, home: PathBuf, pid: u32 },
    Stops { is_over: Arc<AtomicBool>, stopping: Option<JoinHandle<()>> },
}

impl Brake {
    /// Leaves a process so many percent of one processor.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn put_on(pid: u32, percent: u32) -> Result<Brake> {
        let work = PERIOD * percent.clamp(1, 99) / 100;
        quota(pid, work).or_else(|_| stops(pid, work)).map(Brake)
    }

    /// How it is done, for a report.
    #[must_use]
    pub fn means(&self) -> &'static str {
        match self.0 {
            Kind::Quota { .. } => "quota",
            Kind::Stops { .. } => "stops",
        }
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        match &mut self.0 {
            Kind::Quota { group, home, pid } => {
                let _ = fs::write(home.join("cgroup.procs"), pid.to_string());
                let _ = fs::remove_dir(group);
            }
            Kind::Stops { is_over, stopping } => {
                is_over.store(true, Ordering::Release);
                let _ = stopping.take().map(JoinHandle::join);
            }
        }
    }
}

fn quota(pid: u32, work: Duration) -> Result<Kind> {
    let told = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let home = home(&told).ok_or_else(|| Failure::from("no groups for processors"))?;
    let home = Path::new(GROUPS).join(home);
    let group = Path::new(GROUPS).join(format!("rialto-chaos-{pid}"));
    fs::create_dir(&group)?;
    let set = || {
        fs::write(group.join("cpu.cfs_period_us"), PERIOD.as_micros().to_string())?;
        fs::write(group.join("cpu.cfs_quota_us"), work.as_micros().to_string())?;
        fs::write(group.join("cgroup.procs"), pid.to_string())
    };
    if let Err(error) = set() {
        let _ = fs::remove_dir(&group);
        return Err(error.into());
    }
    Ok(Kind::Quota { group, home, pid })
}

/// The group of a process below [`GROUPS`], as `/proc/PID/cgroup` tells it.
fn home(told: &str) -> Option<&str> {
    told.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let is_it = controllers.split(',').any(|one| one == "cpu");
        is_it.then(|| path.trim_start_matches('/'))
    })
}

fn stops(pid: u32, work: Duration) -> Result<Kind> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::from("no process"))?;
    kill_process(pid, Signal::CONT).map_err(|error| Failure(error.to_string()))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let stopping = thread::spawn(move || {
        while !ends.load(Ordering::Acquire) && kill_process(pid, Signal::STOP).is_ok() {
            thread::sleep(PERIOD - work);
            let _ = kill_process(pid, Signal::CONT);
            thread::sleep(work);
        }
    });
    Ok(Kind::Stops { is_over, stopping: Some(stopping) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_group_of_processors_is_found() {
        let told = "9:name=systemd:/a\n2:cpuacct:/b\n1:cpu:/c/d\n0::/e\n";
        assert_eq!(home(told), Some("c/d"));
        assert_eq!(home("3:cpu,cpuacct:/\n"), Some(""));
        assert_eq!(home("0::/e\n"), None);
    }

    /// What a process has used of the processors, in ticks (proc(5), `/proc/PID/stat`).
    fn ticks(pid: u32) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let words: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
    }

    #[test]
    fn a_process_under_a_brake_gets_little_and_goes_on_without() {
        for brake in [quota, stops] {
            let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
            let pid = busy.id();
            if let Ok(kind) = brake(pid, PERIOD / 10) {
                let brake = Brake(kind);
                thread::sleep(PERIOD * 2);
                let (before, begun) = (ticks(pid), std::time::Instant::now());
                thread::sleep(PERIOD * 8);
                // A hundred ticks are a second.
                let most = begun.elapsed().as_millis() as u64 / 10 / 2;
                assert!(ticks(pid) - before < most, "{}: more than half", brake.means());
                drop(brake);
                assert!(!Path::new(GROUPS).join(format!("rialto-chaos-{pid}")).exists());
            }
            busy.kill().unwrap();
            busy.wait().unwrap();
        }
    }
}
