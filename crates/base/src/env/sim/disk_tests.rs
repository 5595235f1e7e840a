#![allow(clippy::unwrap_used)]

use super::*;
use crate::env::real::RealDisk;
use proptest::prelude::*;

fn dir() -> &'static Path {
    Path::new("/data")
}

fn disk() -> SimDisk {
    let disk = SimDisk::default();
    disk.create_dir_all(dir()).unwrap();
    disk
}

fn bytes(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, false).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn text(disk: &dyn Disk, path: &Path) -> String {
    String::from_utf8(bytes(disk, path)).unwrap()
}

/// What every disk must do; run over the simulated and the real one.
fn check_contract(disk: &dyn Disk, root: &Path) {
    let (one, two) = (root.join("one"), root.join("two"));
    let kind = |r: io::Result<()>| r.unwrap_err().kind();
    assert_eq!(kind(disk.open(&one, false).map(drop)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&root.join("no/dir"), true).map(drop)), io::ErrorKind::NotFound);

    let file = disk.open(&one, true).unwrap();
    file.write_at(3, b"def").unwrap();
    file.write_at(0, b"abc").unwrap();
    let mut part = [0; 4];
    file.read_at(1, &mut part).unwrap();
    assert_eq!(&part, b"bcde");
    assert_eq!(kind(file.read_at(3, &mut part)), io::ErrorKind::UnexpectedEof);
    file.set_len(8).unwrap();
    file.sync_data().unwrap();
    assert_eq!(text(disk, &one), "abcdef\0\0");
    file.set_len(2).unwrap();
    assert_eq!((file.len().unwrap(), text(disk, &one).as_str()), (2, "ab"));

    disk.open(&two, true).unwrap().write_at(0, b"2").unwrap();
    assert_eq!(disk.list(root).unwrap(), [one.clone(), two.clone()]);
    disk.rename(&one, &two).unwrap();
    disk.sync_dir(root).unwrap();
    assert!(!disk.exists(&one) && disk.exists(&two) && disk.exists(root));
    assert_eq!(text(disk, &two), "ab");
    disk.remove(&two).unwrap();
    assert_eq!(kind(disk.remove(&two)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(&two, &one)), io::ErrorKind::NotFound);
    assert_eq!(file.len().unwrap(), 2, "an open file outlives its name");

    let lock = disk.lock(&one).unwrap();
    assert_eq!(kind(disk.lock(&one).map(drop)), io::ErrorKind::WouldBlock);
    drop(lock);
    disk.lock(&one).unwrap();
}

#[test]
fn the_simulated_and_the_real_disk_keep_one_contract() {
    check_contract(&disk(), dir());
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("a/b");
    RealDisk.create_dir_all(&root).unwrap();
    check_contract(&RealDisk, &root);
}

#[test]
fn what_is_synced_survives_and_the_rest_may_not() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..60 {
        let disk = disk();
        let path = dir().join("log");
        let file = disk.open(&path, true).unwrap();
        file.write_at(0, b"durable.").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(dir()).unwrap();
        file.write_at(8, b"volatile").unwrap();
        disk.power_cut(seed);
        assert!(file.len().is_err() && file.sync_data().is_err(), "the handle is dead");
        let found = text(&disk, &path);
        assert!(found.starts_with("durable."));
        outcomes.insert(found);
    }
    let expect = ["durable.", "durable.volatile"].map(String::from);
    assert_eq!(outcomes, BTreeSet::from(expect), "one sector is written whole or not");
}

#[test]
fn large_writes_are_torn_between_sectors() {
    let mut torn = 0;
    for seed in 0..40 {
        let disk = disk();
        let path = dir().join("log");
        let file = disk.open(&path, true).unwrap();
        file.set_len(4096).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(dir()).unwrap();
        // Starts and ends in the middle of a sector.
        file.write_at(300, &[b'x'; 3000]).unwrap();
        disk.power_cut(seed);
        let found = text(&disk, &path).into_bytes();
        let sectors: Vec<_> = found[300..3300]
            .iter()
            .enumerate()
            .map(|(n, byte)| ((300 + n) / 512, *byte))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        assert_eq!(sectors.len(), 7, "each sector is all old or all new: {sectors:?}");
        torn += usize::from(sectors.iter().any(|s| s.1 == 0) && sectors.iter().any(|s| s.1 != 0));
    }
    assert!(torn > 5, "{torn} of 40 cuts tore the write");
}

#[test]
fn names_need_their_directory_synced() {
    let (mut created, mut renamed, mut removed) = (0, 0, 0);
    for seed in 0..60 {
        let disk = disk();
        let [fresh, old, new, gone] = ["fresh", "old", "new", "gone"].map(|n| dir().join(n));
        for path in [&old, &gone] {
            let file = disk.open(path, true).unwrap();
            file.write_at(0, path.to_str().unwrap().as_bytes()).unwrap();
            file.sync_data().unwrap();
        }
        disk.sync_dir(dir()).unwrap();
        let file = disk.open(&fresh, true).unwrap();
        file.write_at(0, b"x").unwrap();
        file.sync_data().unwrap();
        disk.rename(&old, &new).unwrap();
        disk.remove(&gone).unwrap();
        disk.power_cut(seed);
        assert_ne!(disk.exists(&old), disk.exists(&new), "a rename is all or nothing");
        let moved = if disk.exists(&new) { &new } else { &old };
        assert_eq!(text(&disk, moved), "/data/old");
        created += usize::from(disk.exists(&fresh));
        renamed += usize::from(disk.exists(&new));
        removed += usize::from(!disk.exists(&gone));
    }
    for count in [created, renamed, removed] {
        assert!((10..50).contains(&count), "{created} {renamed} {removed} of 60");
    }
}

#[test]
fn a_failed_sync_loses_the_pages_for_good() {
    let disk = disk();
    let path = dir().join("log");
    let file = disk.open(&path, true).unwrap();
    disk.sync_dir(dir()).unwrap();
    disk.fail_sync(2);
    file.write_at(0, b"1").unwrap();
    file.sync_data().unwrap();
    file.write_at(1, b"2").unwrap();
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    assert_eq!(text(&disk, &path), "12", "still in memory");
    file.sync_data().unwrap();
    disk.power_cut(1);
    assert_eq!(text(&disk, &path), "1");
    assert_eq!(disk.syncs(), 3);
}

#[test]
fn a_full_disk_takes_overwrites_only() {
    let disk = disk();
    let file = disk.open(&dir().join("log"), true).unwrap();
    file.set_len(100).unwrap();
    disk.set_room(Some(10));
    file.write_at(50, &[1; 60]).unwrap();
    assert_eq!(file.write_at(110, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.set_len(111).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.write_at(0, &[2; 110]).unwrap();
    disk.set_room(None);
    file.write_at(110, b"x").unwrap();
    assert_eq!(file.write_at(u64::MAX, b"x").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn the_log_shows_the_order() {
    let disk = disk();
    let path = dir().join("log");
    let file = disk.open(&path, true).unwrap();
    file.write_at(0, b"abc").unwrap();
    file.sync_data().unwrap();
    disk.mark("acknowledged");
    disk.corrupt(&path, 1).unwrap();
    assert_eq!(bytes(&disk, &path), [b'a', b'b' ^ 0xff, b'c']);
    assert_eq!(
        disk.log(),
        [
            DiskEvent::Created(path.clone()),
            DiskEvent::Written(path.clone(), 0, 3),
            DiskEvent::Synced(path),
            DiskEvent::Mark("acknowledged".into()),
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Random writes and syncs: after a cut, every byte is either what the last sync made durable
    /// or what some later write put there; the same seed gives the same disk.
    #[test]
    fn bytes_after_a_cut_were_all_written(
        steps in prop::collection::vec((0u64..4000, 1usize..1500, 0u8..4), 1..20),
        seed: u64,
    ) {
        let run = || {
            let disk = disk();
            let path = dir().join("f");
            let file = disk.open(&path, true).unwrap();
            disk.sync_dir(dir()).unwrap();
            let mut possible = vec![BTreeSet::from([0u8]); 6000];
            let mut seen = vec![0u8; 6000];
            for (n, (offset, len, action)) in steps.iter().enumerate() {
                let bytes = vec![n as u8 + 1; *len];
                file.write_at(*offset, &bytes).unwrap();
                for at in *offset as usize..*offset as usize + len {
                    possible[at].insert(n as u8 + 1);
                    seen[at] = n as u8 + 1;
                }
                if *action == 0 {
                    file.sync_data().unwrap();
                    possible = seen.iter().map(|byte| BTreeSet::from([*byte])).collect();
                }
            }
            disk.power_cut(seed);
            (bytes(&disk, &path), possible)
        };
        let (found, possible) = run();
        for (at, byte) in found.iter().enumerate() {
            prop_assert!(possible[at].contains(byte), "byte {} is {}", at, byte);
        }
        prop_assert_eq!(run().0, found);
    }
}

#[test]
fn how_much_room_there_is() {
    let disk = disk();
    let whole = disk.space(dir()).unwrap();
    assert_eq!(whole.free_bytes, whole.total_bytes);
    disk.set_size(1_000);
    disk.set_room(Some(100));
    disk.open(&dir().join("one"), true).unwrap().write_at(0, &[1; 40]).unwrap();
    assert_eq!(disk.space(dir()).unwrap(), Space { total_bytes: 1_000, free_bytes: 60 });
    let real = RealDisk.space(&std::env::temp_dir()).unwrap();
    assert!(real.total_bytes >= real.free_bytes && real.total_bytes > 0, "{real:?}");
}
