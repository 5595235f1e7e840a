//! Sessions that write and read one register each: the flags of one message of a mailbox, through
//! different nodes at the same time. Their times tell how long a mailbox was away, their history
//! whether it was ever two.

use super::Stop;
use super::roaming::Field;
use super::tally::Sample;
use crate::failure::{Failure, Result};
use crate::history::{Kind, Op, Register, flags_of, value_of};
use crate::imap::ImapClient;
use crate::net::Endpoint;
use crate::random::Random;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The folder of a mailbox's register.
const FOLDER: &str = "chaos-register";

/// Its message.
const MESSAGE: &[u8] = b"Subject: register\r\nX-Chaos-Id: register\r\n\r\nIts flags count.\r\n";

/// Makes a user's register, which holds 0; its UID.
///
/// # Errors
/// If the server refuses something.
pub(super) async fn make(endpoint: &Endpoint, user: &str) -> Result<u64> {
    let mut client = ImapClient::open(endpoint, user).await?;
    client.ok(&format!("CREATE {FOLDER}")).await?;
    let answer = client.append(FOLDER, "", MESSAGE).await?.ok("APPEND")?;
    client.logout().await;
    match answer.code_numbers("APPENDUID").as_deref() {
        Some([_, uid]) => Ok(*uid),
        other => Err(Failure(format!("APPENDUID: {other:?}"))),
    }
}

/// A session.
pub(super) struct Worker {
    pub(super) field: Field,
    pub(super) register: Arc<Register>,
    /// Number and name.
    pub(super) user: (usize, String),
    pub(super) number: u64,
    /// The node that it goes to first.
    pub(super) home: usize,
    pub(super) uid: u64,
    pub(super) pace: Duration,
    /// Whether a NOOP is sent before each FETCH, as part of the read.
    pub(super) asks_first: bool,
}

impl Worker {
    pub(super) async fn run(self, seed: u64) {
        let stream = 600_000 + self.user.0 as u64 * 100 + self.number;
        let random = Mutex::new(Random::new(seed, stream));
        let left_us = Mutex::new(None);
        let name = format!("register {} of {}", self.number, self.user.1);
        let session = |node| self.session(node, &random, &left_us);
        self.field.roam(&name, self.home, session).await;
    }

    async fn session(
        &self,
        node: usize,
        random: &Mutex<Random>,
        left_us: &Mutex<Option<u64>>,
    ) -> Result<(), Stop> {
        let mut left = take(left_us);
        let opened = self.field.log_in(node, &self.user.1, &mut left).await;
        put(left_us, left);
        let mut client = opened?;
        let ended = self.work(&mut client, node, random).await;
        match ended {
            Ok(()) => client.logout().await,
            Err(_) => put(left_us, Some(self.field.weather.clock.now_us())),
        }
        ended
    }

    async fn work(
        &self,
        client: &mut ImapClient,
        node: usize,
        random: &Mutex<Random>,
    ) -> Result<(), Stop> {
        let selected = client.command(&format!("SELECT {FOLDER}")).await.map_err(Stop::Broken)?;
        selected.ok("SELECT").map_err(Stop::Refused)?;
        while !self.field.is_over() {
            let is_write = random.lock().unwrap_or_else(PoisonError::into_inner).chance(50);
            let value = if is_write { self.register.next_value() } else { None };
            let started_us = self.field.weather.clock.now_us();
            match value {
                Some(value) => self.write(client, node, value, started_us).await?,
                None => self.read(client, node, started_us).await?,
            }
            let ended_us = self.field.weather.clock.now_us();
            let sample = Sample { user: self.user.0, node, started_us, ended_us };
            self.field.tally.change(|counts| {
                counts.fine += 1;
                counts.samples.push(sample);
            });
            self.field.pause(self.pace).await;
        }
        Ok(())
    }

    async fn write(
        &self,
        client: &mut ImapClient,
        node: usize,
        value: u64,
        started_us: u64,
    ) -> Result<(), Stop> {
        let flags: Vec<String> = flags_of(value).into_iter().collect();
        let line = format!("UID STORE {} FLAGS.SILENT ({})", self.uid, flags.join(" "));
        let answer = client.command(&line).await;
        let ended = match answer {
            Ok(answer) => answer.ok("STORE").map_err(Stop::Refused),
            Err(error) => Err(Stop::Broken(error)),
        };
        // Who was refused knows no more than who was cut off.
        let ended_us = ended.is_ok().then(|| self.field.weather.clock.now_us());
        self.note(node, Kind::Write, value, started_us, ended_us);
        ended.map(drop)
    }

    async fn read(
        &self,
        client: &mut ImapClient,
        node: usize,
        started_us: u64,
    ) -> Result<(), Stop> {
        if self.asks_first {
            let answer = client.command("NOOP").await.map_err(Stop::Broken)?;
            answer.ok("NOOP").map_err(Stop::Refused)?;
        }
        let line = format!("UID FETCH {} (FLAGS)", self.uid);
        let answer = client.command(&line).await.map_err(Stop::Broken)?;
        let answer = answer.ok("FETCH").map_err(Stop::Refused)?;
        // Changes that were made meanwhile come before the answer: the last one is it.
        let shown = answer.untagged.iter().filter_map(|line| line.fetch()?.flags()).next_back();
        let Some(flags) = shown else {
            return Err(Stop::Wrong(format!("FETCH shows no flags of UID {}", self.uid).into()));
        };
        let value = value_of(flags.iter().map(String::as_str));
        let ended_us = self.field.weather.clock.now_us();
        self.note(node, Kind::Read, value, started_us, Some(ended_us));
        Ok(())
    }

    fn note(&self, node: usize, kind: Kind, value: u64, started_us: u64, ended_us: Option<u64>) {
        self.register.note(Op { worker: self.number, node, kind, value, started_us, ended_us });
    }
}

fn take(slot: &Mutex<Option<u64>>) -> Option<u64> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn put(slot: &Mutex<Option<u64>>, value: Option<u64>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = value;
}
