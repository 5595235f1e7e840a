//! After a crash nothing in the store is damaged, nothing panicked, and the store did not stop
//! itself (docs/operations.md).

use super::Violation;
use crate::failure::Result;
use crate::world::World;

/// The checker's name.
pub const NAME: &str = "store_clean";

/// Counters that must not have moved.
const MUST_BE_ZERO: [&str; 5] = [
    "rialto_store_damaged_rows_total",
    "rialto_store_stopped_total",
    "rialto_blob_damaged_total",
    "rialto_actor_panics_total",
    "rialto_actor_failures_total",
];

/// Asks the node's counters and reads its log.
///
/// # Errors
/// If the node does not answer.
pub async fn check(world: &World) -> Result<Vec<Violation>> {
    let mut wrong = Vec::new();
    for name in MUST_BE_ZERO {
        let value = world.metric(name).await?;
        if value != 0.0 {
            wrong.push(format!("{name} is {value}"));
        }
    }
    wrong.extend(panics(&world.log()));
    Ok(wrong.into_iter().map(|text| Violation { checker: NAME, text }).collect())
}

fn panics(log: &str) -> Vec<String> {
    let panicked = |line: &&str| line.contains("panicked at");
    log.lines().filter(panicked).map(|line| format!("in the log: {line}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_in_the_log_is_found() {
        let log = "rialto: ready\nthread 'main' panicked at src/x.rs:1:1:\nno\n";
        assert_eq!(super::panics(log).len(), 1);
        assert!(super::panics("all is well\n").is_empty());
    }

    /// A counter that nobody counts is always zero.
    #[test]
    fn the_counters_are_those_of_the_product() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let mut source = String::new();
        let mut open = vec![crates];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source.push_str(&std::fs::read_to_string(path).unwrap_or_default());
            }
        }
        for name in super::MUST_BE_ZERO {
            assert!(source.contains(&format!("counter!(\"{name}\"")), "{name}");
        }
    }
}
