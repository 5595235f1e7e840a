//! One SMTP connection after the other, several messages on each, to one to four recipients: with
//! more than one, a delivery is more than one transaction, and a crash can fall between them.

use super::Load;
use crate::failure::Result;
use crate::ledger::{Ledger, Sent};
use crate::message;
use crate::net::Endpoint;
use crate::random::Random;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::world::DOMAIN;
use bytes::Bytes;

/// The user whom the submission doors know.
const SUBMITTER: &str = "alice";

pub(super) async fn run(
    endpoint: &Endpoint,
    load: &Load,
    number: u64,
    ledger: &Ledger,
) -> Result<()> {
    let mut random = Random::new(load.seed, load.round * 1000 + number);
    let mut count = 0;
    while count < load.each {
        let (mut client, from) = open(endpoint, door(&mut random)).await?;
        for _ in 0..random.range(1..20).min(load.each - count) {
            count += 1;
            let Letter { id, users, to, bytes } = write(load, number, count, &from, &mut random);
            let fate = client.send(&from, &to, &bytes).await;
            let is_broken = matches!(fate, Fate::Unknown(_) | Fate::NotOffered(_));
            ledger.note_sent(Sent { id, users, bytes, fate });
            if is_broken {
                return Ok(());
            }
        }
        client.quit().await;
    }
    Ok(())
}

/// Mostly the door of other servers.
pub(super) fn door(random: &mut Random) -> Door {
    match random.range(0..10) {
        0 => Door::Submission,
        1 => Door::Submissions,
        _ => Door::Transfer,
    }
}

/// A connection through a door, and whom its messages are from.
pub(super) async fn open(endpoint: &Endpoint, door: Door) -> Result<(SmtpClient, String)> {
    let submitter = format!("{SUBMITTER}@{DOMAIN}");
    let client = SmtpClient::open(endpoint, door, &submitter).await?;
    let is_transfer = door == Door::Transfer;
    Ok((client, if is_transfer { "sender@chaos.example".to_owned() } else { submitter }))
}

/// A message with whom it is for.
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) users: Vec<String>,
    pub(super) to: Vec<String>,
    pub(super) bytes: Bytes,
}

/// The next message of a sender.
pub(super) fn write(
    load: &Load,
    number: u64,
    count: u64,
    from: &str,
    random: &mut Random,
) -> Letter {
    let id = format!("s{}-{}-{number}-{count}", load.seed, load.round);
    let users = some_of(&load.users, random);
    let to: Vec<String> = users.iter().map(|user| format!("{user}@{DOMAIN}")).collect();
    let size = message::size(random);
    let bytes = message::make(&id, from, &to, size, random);
    Letter { id, users, to, bytes }
}

/// One to four of the users, each once.
fn some_of(users: &[String], random: &mut Random) -> Vec<String> {
    let count = random.range(1..5).min(users.len() as u64);
    let first = random.range(0..users.len() as u64) as usize;
    users.iter().cycle().skip(first).take(count as usize).cloned().collect()
}
