//! Sessions that do things at random: each keeps the list that its responses tell, and in the end
//! all lists are the mailbox's.

use crate::client::{Client, sorted};
use crate::support::{World, run};
use base::env::Random;
use base::env::sim::{SeededRandom, test_seed};
use codec_imap::client::ServerResponse;
use std::sync::Arc;
use store_memory::Faults;

const SESSIONS: usize = 3;
const STEPS: u64 = 150;

/// UID and flags; `None` for a message that was not asked about yet.
type Known = Option<(u32, Vec<String>)>;

struct Observer {
    client: Client,
    known: Vec<Known>,
}

impl Observer {
    async fn new(world: &World) -> Self {
        let mut client = world.sign_in("alice").await;
        let opened = client.ok("SELECT INBOX").await;
        let mut observer = Self { client, known: Vec::new() };
        observer.hear(&opened);
        observer
    }

    fn hear(&mut self, responses: &[ServerResponse]) {
        for response in responses {
            if let Some(number) = response.count("EXPUNGE") {
                self.known.remove(number as usize - 1);
            } else if let Some(count) = response.count("EXISTS") {
                assert!(count as usize >= self.known.len(), "messages vanish by EXPUNGE only");
                self.known.resize(count as usize, None);
            } else if let Some(fetch) = response.fetch() {
                let place = &mut self.known[fetch.number as usize - 1];
                let flags = sorted(fetch.flags().unwrap());
                match (fetch.uid(), place) {
                    (Some(uid), place) => {
                        let fits = place.as_ref().is_none_or(|(known, _)| *known == uid);
                        assert!(fits, "a number means the same message until it is told otherwise");
                        *place = Some((uid, flags));
                    }
                    (None, Some((_, known))) => *known = flags,
                    (None, None) => {}
                }
            }
        }
    }

    async fn command(&mut self, text: &str) {
        let outcome = self.client.command(text).await;
        self.hear(&outcome.untagged);
        if self.known.iter().any(Option::is_none) {
            let outcome = self.client.command("FETCH 1:* (UID FLAGS)").await;
            self.hear(&outcome.untagged);
        }
    }
}

/// A command that a client with so many messages could give.
fn any_command(random: &SeededRandom, messages: usize) -> String {
    let one = 1 + random.below(messages.max(1) as u64);
    let flag = ["\\Seen", "\\Flagged", "\\Deleted", "$k1", "$k2"][random.below(5) as usize];
    let sign = ["", "+", "-"][random.below(3) as usize];
    match random.below(12) {
        0 | 1 if messages > 0 => format!("STORE {one} {sign}FLAGS ({flag})"),
        2 if messages > 0 => format!("STORE {one}:* {sign}FLAGS ({flag})"),
        3 if messages > 0 => format!("UID STORE 1:{one} {sign}FLAGS ({flag})"),
        4 => "EXPUNGE".to_owned(),
        5 if messages > 0 => format!("COPY {one} INBOX"),
        6 if messages > 0 => format!("MOVE {one} INBOX"),
        7 if messages > 0 => format!("FETCH {one}:* (FLAGS BODY[])"),
        8 => "SEARCH UNSEEN".to_owned(),
        9 => "CHECK".to_owned(),
        _ => "NOOP".to_owned(),
    }
}

async fn play(world: &World, seed: u64, faults: Faults) {
    let random = SeededRandom::new(seed);
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Observer::new(world).await);
    }
    world.store.inject(faults);
    for step in 0..STEPS {
        let session = &mut sessions[random.below(SESSIONS as u64) as usize];
        if step % 4 == 0 && session.known.len() < 30 {
            let outcome = session.client.append("INBOX", b"Subject: x\r\n\r\ny\r\n").await;
            session.hear(&outcome.untagged);
            session.command("NOOP").await;
        } else {
            let text = any_command(&random, session.known.len());
            session.command(&text).await;
        }
    }
    world.store.inject(Faults::default());
    world.store.land_late_commits();
    let list = world.select("alice", "INBOX").await.list().await;
    assert!(!list.is_empty());
    for session in &mut sessions {
        session.command("NOOP").await;
        let known: Vec<_> = session.known.iter().map(|known| known.clone().unwrap()).collect();
        assert_eq!(known, list, "seed {seed}");
    }
}

#[test]
fn all_sessions_end_with_the_same_list() {
    let seed = test_seed();
    run(async |world: Arc<World>| play(&world, seed, Faults::default()).await);
}

/// The same over a store that fails in every way: commands may be refused for the time being, and
/// what is told stays true.
#[test]
fn all_sessions_end_with_the_same_list_over_a_store_that_fails() {
    let seed = test_seed();
    let faults = Faults {
        conflict: 0.05,
        commit_unknown_applied: 0.05,
        commit_unknown_not_applied: 0.05,
        late_commit: 0.03,
        stall: 0.01,
        too_old: 0.05,
        short_pages: 0.1,
        busy: 0.05,
        interleave: 0.1,
    };
    run(async |world: Arc<World>| play(&world, seed, faults).await);
}
