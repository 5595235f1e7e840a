#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::Position;
use super::format::{PAGE, SegmentHeader, begin_record};
use super::replay::{Replayed, replay};
use super::segment::{Segment, find, prepare};
use super::writer::Writer;
use crate::error::Error;
use base::env::sim::{SeededRandom, Simulation};
use base::env::{Env, Random};
use contract_store::Version;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

type Groups = Vec<(Version, Vec<u8>)>;

const STORE: u128 = 7;
const SEGMENT: u64 = 10 * PAGE as u64;

fn dir() -> &'static Path {
    Path::new("/wal")
}

struct Log {
    world: Simulation,
    env: Env,
    writer: Writer,
    segments: u64,
    generation: u64,
    start: Position,
    /// Version, body and the place of each record.
    written: Vec<(Version, Vec<u8>, PathBuf, u64)>,
    current: PathBuf,
}

fn fresh_segment(env: &Env, name: u64, generation: u64) -> Segment {
    let path = dir().join(format!("{name:04}.seg"));
    let file = env.disk.open(&path, true).unwrap();
    env.disk.sync_dir(dir()).unwrap();
    let header = prepare(env, &path, &*file, STORE, generation, SEGMENT).unwrap();
    Segment { path, file, header }
}

impl Log {
    fn new(seed: u64) -> Self {
        let world = Simulation::new(seed);
        let env = world.env();
        env.disk.create_dir_all(dir()).unwrap();
        let segment = fresh_segment(&env, 0, 1);
        let current = segment.path.clone();
        let start = Position { generation: 1, offset: PAGE as u64 };
        let writer = Writer::new(segment, start.offset, 0);
        Self { world, env, writer, segments: 1, generation: 1, start, written: vec![], current }
    }

    fn append(&mut self, body: &[u8]) {
        if self.writer.needs_roll(Writer::record_bytes(body.len())) {
            self.generation += 1;
            let next = fresh_segment(&self.env, self.segments, self.generation);
            self.segments += 1;
            self.current = next.path.clone();
            self.writer.append_roll(&next).unwrap();
            self.writer.enter(next).unwrap();
        }
        let version = self.writer.last() + 3;
        let at = self.writer.position().offset;
        let mut buffer = begin_record(body.len());
        buffer.extend_from_slice(body);
        self.writer.append(version, &mut buffer).unwrap();
        self.written.push((version, body.to_vec(), self.current.clone(), at));
    }

    fn read(&self) -> Result<(Groups, Replayed), Error> {
        read(&self.env, self.start)
    }
}

fn read(env: &Env, start: Position) -> Result<(Groups, Replayed), Error> {
    let mut groups = Vec::new();
    let found = find(&*env.disk, dir(), STORE)?;
    let replayed = replay(found, Some((start, 0)), |group| {
        groups.push((group.version, group.body.to_vec()));
        Ok(())
    })?;
    Ok((groups, replayed))
}

fn body(n: usize) -> Vec<u8> {
    vec![n as u8; 100 + (n * 1337) % 9000]
}

#[test]
fn what_is_written_is_read_back_over_many_segments() {
    let mut log = Log::new(1);
    for n in 0..60 {
        log.append(&body(n));
    }
    let (groups, replayed) = log.read().unwrap();
    let expected: Vec<_> = log.written.iter().map(|(v, b, ..)| (*v, b.clone())).collect();
    assert_eq!(groups, expected);
    assert_eq!(replayed.last, log.writer.last());
    let (tail, offset) = replayed.tail.unwrap();
    let end = Position { generation: tail.header.generation, offset };
    assert_eq!(end, log.writer.position());
    assert!(replayed.live.len() > 5, "{} segments", replayed.live.len());
    assert_eq!(replayed.next_generation, log.generation + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// After a power cut the log holds a prefix of what was written, and all that was synced.
    #[test]
    fn a_power_cut_leaves_a_prefix_with_everything_synced(
        steps in proptest::collection::vec((1usize..20_000, 0u8..3), 1..40),
        seed: u64,
    ) {
        let mut log = Log::new(seed);
        let mut synced = 0;
        for (n, (len, sync)) in steps.iter().enumerate() {
            log.append(&vec![n as u8; *len]);
            if *sync == 0 {
                log.writer.sync().unwrap();
                synced = log.written.len();
            }
        }
        log.world.disk.power_cut(seed);
        let (groups, replayed) = log.read().unwrap();
        prop_assert!(groups.len() >= synced, "{} of {} synced", groups.len(), synced);
        for (found, (version, body, ..)) in groups.iter().zip(&log.written) {
            prop_assert_eq!((found.0, &found.1), (*version, body));
        }
        // It goes on there, and a second cut does not bring back what the first one tore.
        let (tail, offset) = replayed.tail.unwrap();
        let (start, before) = (log.start, groups.len());
        let mut writer = Writer::new(tail, offset, replayed.last);
        if !writer.needs_roll(Writer::record_bytes(1)) {
            let mut buffer = begin_record(1);
            buffer.push(b'!');
            writer.append(1_000_000, &mut buffer).unwrap();
            writer.sync().unwrap();
            log.world.disk.power_cut(seed ^ 1);
            let (groups, _) = read(&log.env, start).unwrap();
            prop_assert_eq!(groups.len(), before + 1);
            prop_assert_eq!(groups.last().unwrap(), &(1_000_000, b"!".to_vec()));
        }
    }

    /// Damage to anything but the last record is an error that names the place.
    #[test]
    fn damage_in_the_middle_is_named(count in 2usize..30, victim: u64, byte: u64) {
        let mut log = Log::new(victim);
        for n in 0..count {
            log.append(&body(n));
            log.writer.sync().unwrap();
        }
        let victim = (victim % (count as u64 - 1)) as usize;
        let (_, bytes, path, at) = log.written[victim].clone();
        let byte = byte % (48 + bytes.len() as u64);
        // Bytes 9..12 of the header are unused, but they are in the checksum as well.
        log.world.disk.corrupt(&path, at + byte).unwrap();
        match log.read().map(drop) {
            Err(Error::Damaged { path: named, offset, .. }) => {
                prop_assert_eq!((named, offset), (path, at));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn a_damaged_header_of_a_segment_in_use_is_an_error() {
    let mut log = Log::new(3);
    for n in 0..40 {
        log.append(&body(n));
        log.writer.sync().unwrap();
    }
    log.world.disk.corrupt(&dir().join("0002.seg"), 40).unwrap();
    assert!(matches!(log.read().map(drop), Err(Error::Unusable { .. })));
}

#[test]
fn a_new_use_of_a_segment_hides_the_old_one() {
    let mut log = Log::new(4);
    for n in 0..3 {
        log.append(&body(n));
    }
    log.writer.sync().unwrap();
    let path = dir().join("0000.seg");
    let file = log.env.disk.open(&path, false).unwrap();
    prepare(&log.env, &path, &*file, STORE, 9, SEGMENT).unwrap();
    let start = Position { generation: 9, offset: PAGE as u64 };
    let (groups, replayed) = read(&log.env, start).unwrap();
    assert_eq!((groups, replayed.last), (vec![], 0));
}

#[test]
fn strangers_are_refused() {
    let log = Log::new(5);
    let other = find(&*log.env.disk, dir(), STORE + 1).map(drop);
    assert!(matches!(other, Err(Error::Unusable { .. })));
    let path = dir().join("0000.seg");
    let mut page = SegmentHeader { store: STORE, generation: 1, salt: 1, size: SEGMENT }.encode();
    page[8] = 2;
    let crc = crc32c::crc32c(&page[..56]);
    page[56..60].copy_from_slice(&crc.to_le_bytes());
    log.env.disk.open(&path, false).unwrap().write_at(0, &page).unwrap();
    let later = find(&*log.env.disk, dir(), STORE).map(drop).unwrap_err();
    assert!(later.to_string().contains("log format 2"), "{later}");
}

#[test]
fn random_bytes_are_no_records() {
    let random = SeededRandom::new(6);
    let header = SegmentHeader { store: STORE, generation: 1, salt: 2, size: SEGMENT };
    let mut page = vec![0; PAGE];
    for _ in 0..200 {
        random.fill(&mut page);
        page[..4].copy_from_slice(b"RwRc");
        page[12..16].copy_from_slice(&(random.below(PAGE as u64) as u32).to_le_bytes());
        page[16..24].copy_from_slice(&1u64.to_le_bytes());
        assert!(super::format::parse_record(&page, &header).is_none());
    }
}
