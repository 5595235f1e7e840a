//! Replays `tests/transcripts/*.txt`. The first line of a file says the role and, after a comma,
//! what is special: `# server, no tls` or `# submission, tarpit`.

use crate::world::{config, run};
use access_smtp::Role;

/// Every file must be named here, so that one that is not found is missed.
const FILES: [&str; 12] = [
    "address_syntax",
    "auth",
    "bdat",
    "drain",
    "ehlo",
    "envelope",
    "errors",
    "limits",
    "no_tls",
    "pipelining",
    "starttls",
    "submission",
];

fn directory() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

#[test]
fn every_transcript_is_played() {
    let mut found: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
    for file in FILES {
        let text = std::fs::read_to_string(directory().join(format!("{file}.txt"))).unwrap();
        let head = text.lines().next().unwrap();
        let role = match head {
            _ if head.starts_with("# server") => Role::Server,
            _ if head.starts_with("# submission") => Role::Submission,
            _ => panic!("{file}: the first line names no role"),
        };
        // Each part behind a line of dashes is a session of its own.
        for (number, dialogue) in text.split("\n----\n").enumerate() {
            run(config(role), async |mut world| {
                world.tls = !head.contains("no tls");
                if let Err(error) = world.play(dialogue).await {
                    panic!("{file}.txt, dialogue {}: {error}", number + 1);
                }
            });
        }
    }
}
