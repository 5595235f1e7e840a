//! Back pressure (Exchange: resource monitoring): what this node is short of, and whose mail waits.
//!
//! ```text
//! disk, memory, queue, store ─▶ Gauge (a level each) ─▶ the highest ─▶ Valve ─▶ stance of a sender
//!       measured every 2 s      N in a row, hysteresis                  waits grow, then "later"
//! ```
//!
//! `gauge` and `valve` decide and know no clock; [`Monitor`] measures. Nothing here touches what has
//! been accepted: that goes on being delivered, which is what makes room.

mod config;
mod gauge;
pub(crate) mod load;
mod meters;
mod valve;

pub use config::{Config as PressureConfig, Thresholds};

use crate::service::TransportService;
use config::Config;
use contract_transport::pressure::{Level, Pressure, Reading, Resource, Sender, Stance, Standing};
use gauge::Gauge;
use meters::Meter;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use valve::Valve;

/// How long one measurement may take; what does not answer is not measured this time.
const METER_TIME: Duration = Duration::from_secs(1);

/// Watches the resources of a node.
pub struct Monitor {
    config: Config,
    state: Mutex<State>,
}

struct State {
    watched: Vec<Watched>,
    valve: Valve,
}

/// One resource that is watched.
struct Watched {
    resource: Resource,
    gauge: Gauge,
    room: String,
    /// Whether it was measured the last time.
    is_known: bool,
}

impl Monitor {
    /// Watches from now on, for as long as somebody has it: memory, this service, and the disk at
    /// `disk`, if there is one.
    pub fn start(
        config: PressureConfig,
        service: &TransportService,
        disk: Option<PathBuf>,
    ) -> Arc<Self> {
        let meters = meters::all(&service.context, disk, config.disk_counted_gb);
        let watched = meters.iter().map(|meter| Watched::new(meter.resource(), &config)).collect();
        let state = Mutex::new(State { watched, valve: Valve::default() });
        let monitor = Arc::new(Self { config, state });
        let clock = service.context.env.clock.clone();
        tokio::spawn(watch(Arc::downgrade(&monitor), meters, clock));
        monitor
    }

    /// Takes one measurement of everything.
    async fn sample(&self, meters: &[Box<dyn Meter>], now: Duration) {
        let mut measured = Vec::with_capacity(meters.len());
        for meter in meters {
            let found = tokio::time::timeout(METER_TIME, meter.measure()).await;
            measured.push(found.unwrap_or_else(|_| Err("it does not answer".to_owned())));
        }
        let mut state = self.state.lock();
        let State { watched, valve } = &mut *state;
        for (watched, found) in watched.iter_mut().zip(measured) {
            watched.take(now, found);
        }
        let before = valve.level();
        valve.tick(watched.iter().map(Watched::counts).max().unwrap_or_default());
        if valve.level() != before && self.config.enabled {
            let (level, effect) = (valve.level().word(), valve.words(&self.config));
            tracing::warn!(level, effect, "back pressure");
        }
    }
}

impl Watched {
    fn new(resource: Resource, config: &Config) -> Self {
        let (rise, fall) = config.samples(resource);
        let gauge = Gauge::new(config.of(resource), rise, fall);
        let room = "not measured yet".to_owned();
        Self { resource, gauge, room, is_known: false }
    }

    /// Takes a measurement. What cannot be measured stays as it is: nobody is refused, and nobody let
    /// in, for want of a figure.
    fn take(&mut self, now: Duration, found: Result<meters::Found, String>) {
        let resource = self.resource.word();
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                if self.is_known {
                    tracing::warn!(resource, why, "cannot be measured");
                }
                (self.room, self.is_known) = (format!("cannot be measured: {why}"), false);
                return;
            }
        };
        (self.room, self.is_known) = (found.room, true);
        let before = self.gauge.sample(now, found.used);
        let (level, used) = (self.gauge.level(), found.used);
        metrics::gauge!("rialto_pressure_used", "resource" => resource).set(used);
        metrics::gauge!("rialto_pressure_level", "resource" => resource).set(level as u8 as f64);
        let Some(before) = before else { return };
        let (from, to, room) = (before.word(), level.word(), &self.room);
        if level > before {
            tracing::warn!(resource, from, to, used, room, "a resource runs short");
        } else {
            tracing::info!(resource, from, to, used, room, "a resource has recovered");
        }
    }

    /// The level, as far as it counts for mail.
    fn counts(&self) -> Level {
        match self.resource {
            Resource::MachineMemory => self.gauge.level().min(Level::Medium),
            _ => self.gauge.level(),
        }
    }

    fn reading(&self, config: &Config) -> Reading {
        let Thresholds { medium, high, .. } = config.of(self.resource);
        let tenths = |used: f64| (used * 10.0).round() / 10.0;
        Reading {
            resource: self.resource,
            used: self.gauge.used().filter(|_| self.is_known).map(tenths),
            unit: meters::unit(self.resource),
            medium,
            high,
            level: self.gauge.level(),
            reached_in_s: self.gauge.reached_in_s().filter(|_| self.is_known),
            room: self.room.clone(),
        }
    }
}

impl Pressure for Monitor {
    fn stance(&self, sender: Sender) -> Stance {
        if !self.config.enabled {
            return Stance::Take;
        }
        self.state.lock().valve.stance(sender, &self.config)
    }

    fn standing(&self) -> Standing {
        let state = self.state.lock();
        let effect = match self.config.enabled {
            true => state.valve.words(&self.config),
            false => "nobody waits: back pressure is switched off".to_owned(),
        };
        Standing {
            level: state.valve.level(),
            enabled: self.config.enabled,
            effect,
            resources: state.watched.iter().map(|one| one.reading(&self.config)).collect(),
        }
    }
}

async fn watch(
    monitor: Weak<Monitor>,
    meters: Vec<Box<dyn Meter>>,
    clock: Arc<dyn base::env::Clock>,
) {
    while let Some(strong) = monitor.upgrade() {
        strong.sample(&meters, clock.monotonic()).await;
        let pause = strong.config.sample();
        drop(strong);
        clock.sleep(pause).await;
    }
}
