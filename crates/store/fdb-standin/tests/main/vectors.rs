//! Every recorded case of the real FoundationDB, through the C functions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::player::Player;
use contract_store::suite::vectors;
use fdb_standin::server::{ServerHandle, ServerOptions, spawn};
use serde_json::Value as Json;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// `stalls` and `timing` describe what happened to a server process: `faults` has tests for that.
const FILES: [&str; 8] =
    ["rw", "conflicts", "atomic", "commit", "limits", "on_error", "versions", "watches"];

/// Cases in which one call is made while another one of the same transaction is in flight. They are
/// played, but what was in flight may also have succeeded: the recording itself does not promise it.
const IN_FLIGHT: [&str; 7] = [
    "use_during_commit",
    "reset_cancels_pending_read",
    "cancel_pending_read",
    "cancel_during_commit",
    "destroy_with_pending",
    "future_cancel",
    "on_error_cancels_pending",
];

/// Steps that cannot be reproduced: case, number of the step, reason.
const NOT_REPRODUCED: [(&str, usize, &str); 2] = [
    ("access_system_keys_option", 12, "a row of the real one's own, in the system keys"),
    ("unknown_and_bad_options", 14, "a race with a time-out of 1 ms; recordings disagree"),
];

/// How many cases there must be at least, so that they cannot disappear silently.
const CASES_MIN: usize = 732;

fn play(server: &ServerHandle, case: &Json) -> Result<(), String> {
    let name = case["case"].as_str().unwrap();
    server.clear();
    let mut player = Player::new(server, IN_FLIGHT.contains(&name));
    for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        if NOT_REPRODUCED.iter().any(|not| (not.0, not.1) == (name, number)) {
            continue;
        }
        let played = catch_unwind(AssertUnwindSafe(|| player.step(step)));
        played.map_err(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            format!("{name}, step {number}: {}", words.unwrap_or_default())
        })?;
    }
    Ok(())
}

#[test]
fn behaves_as_the_recorded_foundationdb() {
    let Some(directory) = vectors::directory() else {
        eprintln!("no vectors here (RIALTO_FDB_VECTORS): nothing was compared");
        return;
    };
    let server = spawn(ServerOptions::default()).unwrap();
    let (mut played, mut failed) = (0, Vec::new());
    for file in FILES {
        let text = std::fs::read_to_string(directory.join(format!("{file}.jsonl"))).unwrap();
        for line in text.lines() {
            let case: Json = serde_json::from_str(line).unwrap();
            if !case["steps"].is_array() {
                continue;
            }
            played += 1;
            if let Err(words) = play(&server, &case) {
                failed.push(format!("{file}/{words}"));
            }
        }
    }
    eprintln!("{played} cases played, {} steps not reproduced", NOT_REPRODUCED.len());
    assert!(failed.is_empty(), "{} of {played} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(played >= CASES_MIN, "{played}");
}
