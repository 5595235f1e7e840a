//! Replays `tests/transcripts/*.txt`, a test for each. The first line of a file says the role
//! (`# server`, `# submission`) and what is special (`no tls`); dialogues behind a line of dashes
//! are sessions of their own.

use crate::world::{config, run};
use access_smtp::Role;

macro_rules! transcripts {
    ($($file:ident => $test:ident,)*) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];
        $(#[test]
        fn $test() {
            play(stringify!($file));
        })*
    };
}

transcripts! {
    address_syntax => attack_11_and_12_addresses_that_try_to_be_more_than_one,
    auth => attack_14_signing_in_and_what_is_no_sign_in,
    bdat => attack_05_chunks_in_and_out_of_order,
    binary => any_octets_come_in_chunks_only,
    drain => a_node_that_stops_finishes_the_message_in_progress,
    dsn => attack_11_what_reports_are_asked_for,
    ehlo => introductions_and_small_verbs,
    envelope => whom_we_take_mail_for,
    errors => attack_13_and_21_other_protocols_and_garbage,
    limits => attack_16_and_17_sizes_numbers_and_times,
    no_tls => without_a_certificate_there_is_no_starttls,
    pipelining => commands_in_one_piece,
    requiretls => tls_is_demanded_under_tls_only,
    smtputf8 => attack_12_addresses_beyond_ascii,
    starttls => attack_03_and_04_nothing_outlives_starttls,
    submission => what_one_may_send_and_as_whom,
}

fn directory() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn play(file: &str) {
    let text = std::fs::read_to_string(directory().join(format!("{file}.txt"))).unwrap();
    let head = text.lines().next().unwrap();
    let role = match head {
        _ if head.starts_with("# server") => Role::Server,
        _ if head.starts_with("# submission") => Role::Submission,
        _ => panic!("{file}: the first line names no role"),
    };
    for (number, dialogue) in text.split("\n----\n").enumerate() {
        run(config(role), async |mut world| {
            world.tls = !head.contains("no tls");
            if let Err(error) = world.play(dialogue).await {
                panic!("{file}.txt, dialogue {}: {error}", number + 1);
            }
        });
    }
}

#[test]
fn no_transcript_is_forgotten() {
    let mut found: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}
