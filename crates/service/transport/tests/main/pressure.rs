//! Back pressure in simulated time: what is measured, how long it must last, who waits, and that
//! what was accepted is delivered meanwhile.

use crate::world::{World, run, run_simulated};
use base::env::Memory;
use contract_transport::pressure::{Level, Pressure, Resource, Sender, Stance, Standing};
use service_transport::{Monitor, PressureConfig};
use std::sync::Arc;
use std::time::Duration;

const GB: u64 = 1 << 30;

fn watched(world: &World) -> Arc<Monitor> {
    watched_as(world, PressureConfig::default())
}

fn watched_as(world: &World, config: PressureConfig) -> Arc<Monitor> {
    world.simulation.disk.set_size(100 * GB);
    Monitor::start(config, &world.node.transport, Some("/data".into()))
}

impl World {
    async fn wait(&self, seconds: u64) {
        self.env.clock.sleep(Duration::from_secs(seconds)).await;
    }

    fn use_disk(&self, percent: u64) {
        self.simulation.disk.set_room(Some((100 - percent) * GB));
    }
}

fn level(standing: &Standing, resource: Resource) -> Level {
    standing.resources.iter().find(|one| one.resource == resource).unwrap().level
}

#[test]
fn a_disk_that_fills_slows_strangers_first_and_recovers() {
    run(701, async |world| {
        let monitor = watched(&world);
        let met = |sender| monitor.stance(sender);
        world.wait(1).await;
        assert_eq!(monitor.standing().level, Level::Normal);
        world.use_disk(92);
        world.wait(3).await;
        assert_eq!(met(Sender::Stranger), Stance::Take, "two measurements are not enough");
        world.wait(3).await;
        assert_eq!(met(Sender::Stranger), Stance::Wait(Duration::from_secs(10)));
        assert_eq!(met(Sender::Own), Stance::Take);
        world.wait(4).await;
        assert_eq!(met(Sender::Stranger), Stance::Wait(Duration::from_secs(20)));
        world.wait(20).await;
        assert_eq!(met(Sender::Stranger), Stance::Later);
        assert_eq!(met(Sender::Partner), Stance::Take);
        world.use_disk(99);
        world.wait(8).await;
        assert_eq!(met(Sender::Partner), Stance::Close);
        assert_eq!(met(Sender::Own), Stance::Take);
        // What was accepted goes on being delivered, whatever the level.
        world.send("x@peer.test", &["alice"], "under pressure").await;
        world.wait(40).await;
        assert_eq!(met(Sender::Own), Stance::Later);
        assert_eq!(met(Sender::Server), Stance::Take);
        assert_eq!(world.inbox("alice").await.len(), 1);
        // It ends below where it began, and not at once.
        world.use_disk(85);
        world.wait(30).await;
        assert_eq!(monitor.standing().level, Level::Medium);
        world.use_disk(80);
        world.wait(15).await;
        assert_eq!(monitor.standing().level, Level::Medium);
        world.wait(10).await;
        assert_eq!(monitor.standing().level, Level::Normal);
        assert_eq!(met(Sender::Stranger), Stance::Take);
    });
}

#[test]
fn head_room_is_shown_and_the_time_that_is_left() {
    run(702, async |world| {
        let monitor = watched(&world);
        for minute in 0..4 {
            world.use_disk(40 + minute);
            world.wait(60).await;
        }
        let standing = monitor.standing();
        let disk = standing.resources.iter().find(|one| one.resource == Resource::Disk).unwrap();
        assert_eq!((disk.used, disk.unit, disk.medium, disk.high), (Some(43.0), "%", 89, 99));
        assert_eq!(disk.room, "57.0 GB of 100.0 GB free");
        // 3 % in four minutes, 46 % to go.
        let left = disk.reached_in_s.unwrap();
        assert!((3_400..4_000).contains(&left), "{left}");
        assert_eq!(standing.effect, "everybody's mail is taken");
    });
}

/// Memory of the process counts in full; what others on the machine use slows strangers, no more.
#[test]
fn memory_of_the_process_and_of_the_machine() {
    run(703, async |world| {
        let monitor = watched(&world);
        let total_bytes = 16 * GB;
        let memory = |process_bytes, used_bytes| {
            world.simulation.machine.set_memory(Memory { process_bytes, used_bytes, total_bytes });
        };
        memory(GB, 16 * GB);
        world.wait(7).await;
        let standing = monitor.standing();
        assert_eq!(level(&standing, Resource::MachineMemory), Level::High);
        assert_eq!(standing.level, Level::Medium);
        memory(13 * GB, 14 * GB);
        world.wait(7).await;
        assert_eq!(monitor.standing().level, Level::High);
    });
}

#[test]
fn switched_off_it_measures_and_nobody_waits() {
    run(704, async |world| {
        let config = PressureConfig { enabled: false, ..PressureConfig::default() };
        let monitor = watched_as(&world, config);
        world.use_disk(100);
        world.wait(60).await;
        assert_eq!(level(&monitor.standing(), Resource::Disk), Level::High);
        assert_eq!(monitor.stance(Sender::Stranger), Stance::Take);
        assert!(monitor.standing().effect.contains("switched off"));
    });
}

/// A store that is away for some seconds is waited for; one that stays away is not asked for more.
#[test]
fn a_store_that_does_not_answer() {
    run_simulated(705, async |world| {
        let monitor = watched(&world);
        world.wait(5).await;
        world.memory().set_silent(true);
        world.wait(9).await;
        assert_eq!(monitor.standing().level, Level::Normal);
        world.wait(20).await;
        assert_eq!(level(&monitor.standing(), Resource::Store), Level::High);
        world.memory().set_silent(false);
        world.wait(8).await;
        assert_eq!(monitor.standing().level, Level::Normal);
    });
}

/// Messages that have been sorted count no more, whatever became of them.
#[test]
fn a_queue_that_is_worked_off() {
    run(706, async |world| {
        let monitor = watched(&world);
        for number in 0..50 {
            world.send("x@peer.test", &["alice"], &format!("m{number}")).await;
        }
        world.settle().await;
        world.wait(5).await;
        let standing = monitor.standing();
        let queue = standing.resources.iter().find(|one| one.resource == Resource::Queue).unwrap();
        assert_eq!((queue.used, queue.room.as_str()), (Some(0.0), "0 messages to be sorted"));
    });
}
