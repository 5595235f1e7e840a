//! What an operator may set of back pressure; the defaults are Exchange's where it has one.

use base::{Error, Result};
use contract_transport::pressure::Resource;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where the levels of a resource begin and end. They end lower than they begin, so that a use that
/// sways around a limit does not change the level each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// From here on medium.
    pub medium: u64,
    /// From here on high.
    pub high: u64,
    /// High down to here.
    pub high_ends: u64,
    /// Medium down to here.
    pub medium_ends: u64,
}

impl Thresholds {
    const fn new(medium: u64, high: u64, high_ends: u64, medium_ends: u64) -> Self {
        Self { medium, high, high_ends, medium_ends }
    }

    fn check(&self, key: &str, most: u64) -> Result<()> {
        let Self { medium, high, high_ends, medium_ends } = *self;
        let in_order = medium_ends < medium && medium < high;
        if in_order && high_ends < high && medium_ends <= high_ends && high <= most {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{key}: medium_ends must be below medium, medium below high, high_ends between \
             medium_ends and high, and nothing above {most}"
        )))
    }
}

/// `[pressure]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether anybody waits for what is short. Everything is measured all the same.
    pub enabled: bool,
    /// How often everything is measured, in milliseconds.
    pub sample_ms: u64,
    /// So many measurements in a row must ask for a higher level.
    pub rise_samples: u32,
    /// So many must ask for a lower one.
    pub fall_samples: u32,
    /// A disk counts as at most so large: a tenth of many terabytes is no reason to refuse mail.
    pub disk_counted_gb: u64,
    /// How long strangers wait at first, in seconds …
    pub wait_s: u64,
    /// … how much longer with each measurement …
    pub wait_step_s: u64,
    /// … and at most; behind that they are told to come later.
    pub wait_s_max: u64,
    /// How long the level must have been high before people of ours are told so, too, in seconds.
    pub own_grace_s: u64,
    /// Used part of the disk (Exchange: UsedDiskSpace).
    pub disk_percent: Thresholds,
    /// Memory of the process (Exchange: PrivateBytes).
    pub memory_percent: Thresholds,
    /// Memory of the machine (Exchange: SystemMemory). Never counts as more than medium: what others
    /// use is no reason to stop.
    pub machine_memory_percent: Thresholds,
    /// Messages that nobody has sorted yet (Exchange: SubmissionQueue).
    pub queue_messages: Thresholds,
    /// The slowest answer of the store; the sessions give up after 10 s.
    pub store_ms: Thresholds,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            sample_ms: 2_000,
            rise_samples: 3,
            fall_samples: 10,
            disk_percent: Thresholds::new(89, 99, 90, 80),
            disk_counted_gb: 100,
            memory_percent: Thresholds::new(72, 75, 73, 71),
            machine_memory_percent: Thresholds::new(88, 94, 89, 84),
            queue_messages: Thresholds::new(9_999, 15_000, 10_000, 2_000),
            store_ms: Thresholds::new(3_000, 8_000, 4_000, 1_000),
            wait_s: 10,
            wait_step_s: 5,
            wait_s_max: 55,
            own_grace_s: 30,
        }
    }
}

/// No client waits longer for the answer to MAIL (RFC 5321 §4.5.3.2.2), less what the network takes.
const WAIT_S_MAX: u64 = 240;

impl Config {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], naming the key.
    pub fn check(&self) -> Result<()> {
        self.disk_percent.check("disk_percent", 100)?;
        self.memory_percent.check("memory_percent", 100)?;
        self.machine_memory_percent.check("machine_memory_percent", 100)?;
        self.queue_messages.check("queue_messages", u64::MAX)?;
        self.store_ms.check("store_ms", u64::MAX)?;
        let limits = [
            ("sample_ms", self.sample_ms, 100, 60_000),
            ("rise_samples", self.rise_samples.into(), 1, 1_000),
            ("fall_samples", self.fall_samples.into(), 1, 1_000),
            ("disk_counted_gb", self.disk_counted_gb, 1, 1 << 30),
            ("wait_s_max", self.wait_s_max, 0, WAIT_S_MAX),
            ("wait_s", self.wait_s, 0, self.wait_s_max),
            ("wait_step_s", self.wait_step_s, 1, WAIT_S_MAX),
            ("own_grace_s", self.own_grace_s, 0, 86_400),
        ];
        for (key, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return Err(Error::invalid(format!("{key}: {least} to {most}")));
            }
        }
        Ok(())
    }

    /// The thresholds of a resource.
    pub(crate) fn of(&self, resource: Resource) -> Thresholds {
        match resource {
            Resource::Disk => self.disk_percent,
            Resource::Memory => self.memory_percent,
            Resource::MachineMemory => self.machine_memory_percent,
            Resource::Queue => self.queue_messages,
            Resource::Store => self.store_ms,
        }
    }

    /// How many measurements in a row let the level of a resource rise, and fall. A store that
    /// recovers by itself is away for seconds, and has nothing to work off when it is back.
    pub(crate) fn samples(&self, resource: Resource) -> (u32, u32) {
        match resource {
            Resource::Store => (self.rise_samples.saturating_mul(2), self.fall_samples.min(2)),
            _ => (self.rise_samples, self.fall_samples),
        }
    }

    pub(crate) fn sample(&self) -> Duration {
        Duration::from_millis(self.sample_ms)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_must_be_in_order() {
        Config::default().check().unwrap();
        let check = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert!(error.text.contains(key), "{error}");
        };
        check(|c| c.disk_percent.high = 101, "disk_percent");
        check(|c| c.disk_percent.medium = 99, "disk_percent");
        check(|c| c.memory_percent.medium_ends = 72, "memory_percent");
        check(|c| c.queue_messages.high_ends = 15_000, "queue_messages");
        check(|c| c.store_ms.high_ends = 999, "store_ms");
        check(|c| c.sample_ms = 0, "sample_ms");
        check(|c| c.rise_samples = 0, "rise_samples");
        check(|c| c.wait_s = 56, "wait_s");
        check(|c| c.wait_s_max = 300, "wait_s_max");
    }
}
