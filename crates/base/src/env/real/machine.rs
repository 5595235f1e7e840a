//! Memory as Linux tells of it: `/proc` and the limits of control groups (version 2).

use crate::env::{Machine, Memory};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// The deepest nesting of control groups that is looked at.
const GROUPS_MAX: usize = 16;

/// The machine itself.
pub struct RealMachine;

impl Machine for RealMachine {
    fn memory(&self) -> io::Result<Memory> {
        let status = fs::read_to_string("/proc/self/status")?;
        let process_bytes = kilobytes(&status, "VmRSS:").ok_or_else(unreadable)?;
        let info = fs::read_to_string("/proc/meminfo")?;
        let total_bytes = kilobytes(&info, "MemTotal:").ok_or_else(unreadable)?;
        let free_bytes = kilobytes(&info, "MemAvailable:").ok_or_else(unreadable)?;
        let used_bytes = total_bytes.saturating_sub(free_bytes);
        let whole = Memory { process_bytes, used_bytes, total_bytes };
        // A machine without control groups has no such limits.
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Ok(limits(&own).into_iter().filter_map(|group| limited(&group, whole)).fold(
            whole,
            |least, limited| match limited.total_bytes < least.total_bytes {
                true => limited,
                false => least,
            },
        ))
    }
}

/// The control group of the process and those around it.
fn limits(own: &str) -> Vec<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let Some(path) = path else { return Vec::new() };
    let innermost = Path::new(GROUPS).join(path);
    let groups = innermost.ancestors().take_while(|group| group.starts_with(GROUPS));
    groups.take(GROUPS_MAX).map(Path::to_owned).collect()
}

/// What a control group says, if it has a limit.
fn limited(group: &Path, whole: Memory) -> Option<Memory> {
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()
    };
    let total_bytes = number("memory.max")?;
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cached = statistics.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cached = cached.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
    let used_bytes = number("memory.current")?.saturating_sub(cached);
    Some(Memory { used_bytes, total_bytes, ..whole })
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "memory figures that cannot be read")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_read() {
        let memory = RealMachine.memory().unwrap();
        assert!(memory.process_bytes > 1 << 20, "{memory:?}");
        assert!(memory.total_bytes > memory.process_bytes, "{memory:?}");
        assert_eq!(kilobytes("A: 1 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kilobytes("VmRSS: many kB\n", "VmRSS:"), None);
        assert_eq!(kilobytes("VmRSS: 99999999999999999999 kB\n", "VmRSS:"), None);
    }

    #[test]
    fn the_least_limit_around_the_process_counts() {
        let groups = limits("0::/system.slice/rialto.service\n");
        let expect = ["system.slice/rialto.service", "system.slice", ""];
        assert_eq!(groups, expect.map(|group| Path::new(GROUPS).join(group)).to_vec());
        assert!(limits("4:memory:/old\n").is_empty());
        let whole = Memory { process_bytes: 1, used_bytes: 500, total_bytes: 1_000 };
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("memory.current", "300\n");
        write("memory.max", "max\n");
        assert_eq!(limited(dir.path(), whole), None);
        write("memory.max", "400\n");
        write("memory.stat", "anon 5\ninactive_file 100\n");
        let expect = Memory { process_bytes: 1, used_bytes: 200, total_bytes: 400 };
        assert_eq!(limited(dir.path(), whole), Some(expect));
    }
}
