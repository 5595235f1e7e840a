//! Versions that nobody may be given, and commits that claim one.

use super::*;
use crate::wire::Change;

fn engine() -> Engine {
    Engine::new([], 1_000, 1, Duration::ZERO)
}

#[test]
fn a_read_version_from_the_future_is_checked_as_of_now() {
    let (mut engine, now) = (engine(), Duration::ZERO);
    let key = Bytes::from("k");
    let commit = || Commit {
        read_version: Some(Version::MAX),
        reads: vec![(key.clone(), Bytes::from("k\0"))],
        mutations: vec![Change::Set(key.clone(), key.clone())],
        ..Commit::default()
    };
    let version = engine.begin_group(now);
    assert!(engine.accept(&mut commit(), version, 0, now).is_ok());
    let second = engine.accept(&mut commit(), version, 1, now);
    assert!(matches!(second, Err(Refusal::Conflict(_))), "both have read what one writes");
}

#[test]
fn no_version_above_the_ceiling_is_given() {
    let mut engine = engine();
    engine.ceiling = 1_500;
    engine.jump();
    for seconds in 2..5 {
        assert_eq!(engine.read_version(Duration::from_secs(seconds)), 1_500);
    }
    assert!(engine.nears_ceiling());
    engine.ceiling = Version::MAX;
    assert!(!engine.nears_ceiling());
    assert!(engine.read_version(Duration::from_secs(9)) > 1_500);
}
