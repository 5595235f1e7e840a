//! A session in IDLE on an inbox that notes what it hears and when; if its listener dies, it goes on
//! elsewhere.

use super::Stop;
use super::roaming::Field;
use crate::checkers::idle_once::{Heard, Told};
use crate::failure::Failure;
use crate::imap::ImapClient;
use codec_imap::client::ServerResponse;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) async fn run(field: Field, number: u64, home: u64, log: Arc<Mutex<Heard>>) {
    let user = log.lock().unwrap_or_else(PoisonError::into_inner).user.clone();
    let left_us = Mutex::new(None);
    let name = format!("idler {number} of {user}");
    let session = |node| session(&field, node, &user, &log, &left_us);
    field.roam(&name, home as usize, session).await;
}

async fn session(
    field: &Field,
    node: usize,
    user: &str,
    log: &Mutex<Heard>,
    left_us: &Mutex<Option<u64>>,
) -> Result<(), Stop> {
    let hold = || left_us.lock().unwrap_or_else(PoisonError::into_inner);
    let mut left = hold().take();
    let opened = field.log_in(node, user, &mut left).await;
    *hold() = left;
    let ended = match opened {
        Ok(client) => listen(field, client, log).await,
        Err(stop) => return Err(stop),
    };
    if ended.is_err() {
        *hold() = Some(field.weather.clock.now_us());
    }
    ended
}

async fn listen(field: &Field, mut client: ImapClient, log: &Mutex<Heard>) -> Result<(), Stop> {
    let note = |told: Told| {
        let at = field.weather.clock.now_us();
        log.lock().unwrap_or_else(PoisonError::into_inner).told.push((at, told));
    };
    let selected = client.command("SELECT INBOX").await.map_err(Stop::Broken)?;
    let selected = selected.ok("SELECT INBOX").map_err(Stop::Refused)?;
    let count = selected.untagged.iter().find_map(|line| line.count("EXISTS"));
    let missing = || Stop::Wrong(Failure::from("SELECT tells no EXISTS"));
    note(Told::Selected(count.ok_or_else(missing)?));
    for response in client.begin_idle().await.map_err(Stop::Broken)? {
        told(&response).into_iter().for_each(note);
    }
    loop {
        tokio::select! {
            () = field.over() => return Ok(()),
            response = client.heard() => {
                let response = response.map_err(Stop::Broken)?;
                if matches!(response, ServerResponse::Status { tag: Some(_), .. }) {
                    return Err(Stop::Refused(Failure(format!("IDLE ended: {response:?}"))));
                }
                told(&response).into_iter().for_each(note);
            }
        }
    }
}

fn told(response: &ServerResponse) -> Option<Told> {
    let exists = response.count("EXISTS").map(Told::Exists);
    exists.or_else(|| response.count("EXPUNGE").map(Told::Expunged))
}
