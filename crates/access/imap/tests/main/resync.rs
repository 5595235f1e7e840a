//! Clients that go away and come back with QRESYNC: what they are told then makes of what they knew
//! what there is.

use crate::client::{Client, sorted};
use crate::support::{World, run};
use base::env::Random;
use base::env::sim::{SeededRandom, test_seed};
use codec_imap::client::{ServerResponse, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use store_memory::Faults;

const CLIENTS: usize = 3;
const STEPS: u64 = 250;
const MESSAGES_MAX: u64 = 40;

/// What a client keeps of a mailbox while it is away (RFC 7162 §6).
#[derive(Clone, Debug, Default, PartialEq)]
struct Cache {
    uid_validity: u64,
    mod_seq: u64,
    /// Flags by UID; `None` for a message that was not asked about yet.
    messages: BTreeMap<u32, Option<Vec<String>>>,
}

/// A client that keeps its cache by what it is told, and nothing else.
struct Syncing {
    /// `None` while it is away.
    client: Option<Client>,
    cache: Cache,
    /// The UIDs of the message numbers, 0 for one that was not asked about yet.
    numbers: Vec<u32>,
    /// The newest modification sequence of a FETCH since the last tagged answer.
    heard: u64,
    /// What its STORE sets without being told, and of which UIDs: flags it can work out.
    silent: Option<Silent>,
    /// Whether nothing happens while it is coming back.
    calm: bool,
}

/// `FLAGS.SILENT (flag)`.
struct Silent {
    uids: RangeInclusive<u32>,
    sign: &'static str,
    flag: &'static str,
}

impl Silent {
    /// The flags of a message afterwards.
    fn apply(&self, flags: &mut Vec<String>) {
        match self.sign {
            "" => flags.clear(),
            _ => flags.retain(|flag| flag != self.flag),
        }
        if self.sign != "-" {
            flags.push(self.flag.to_owned());
            flags.sort();
        }
    }
}

/// `1,3:5` as ranges.
fn ranges(value: &Value) -> Vec<(u32, u32)> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        other => String::from_utf8_lossy(other.bytes().unwrap()).into_owned(),
    };
    let number = |text: &str| text.parse().unwrap();
    let range = |part: &str| match part.split_once(':') {
        Some((first, last)) => (number(first), number(last)),
        None => (number(part), number(part)),
    };
    text.split(',').map(range).collect()
}

fn number_in(code: Option<&[Value]>) -> Option<u64> {
    code?.first()?.number()
}

impl Syncing {
    fn new() -> Self {
        Self {
            client: None,
            cache: Cache::default(),
            numbers: Vec::new(),
            heard: 0,
            silent: None,
            calm: true,
        }
    }

    /// Comes back, and says what it knows; with `all` also which UIDs and numbers.
    async fn open(&mut self, world: &World, all: bool) {
        let mut client = world.sign_in("alice").await;
        client.ok("ENABLE QRESYNC").await;
        let Cache { uid_validity, mod_seq, messages } = &self.cache;
        let known: Vec<String> = messages.keys().map(u32::to_string).collect();
        let text = match (*mod_seq, all && !known.is_empty()) {
            (0, _) => "SELECT INBOX".to_owned(),
            (_, false) => format!("SELECT INBOX (QRESYNC ({uid_validity} {mod_seq}))"),
            (_, true) => {
                let middle = known.len() / 2;
                let (known, uid) = (known.join(","), &known[middle]);
                let (numbers, number) = (format!("{uid_validity} {mod_seq}"), middle + 1);
                format!("SELECT INBOX (QRESYNC ({numbers} {known} ({number} {uid})))")
            }
        };
        let opened = client.ok(&text).await;
        self.client = Some(client);
        let exists = opened.iter().find_map(|one| one.count("EXISTS")).unwrap() as usize;
        let highest = opened.iter().find_map(|one| number_in(one.code("HIGHESTMODSEQ")));
        let validity = opened.iter().find_map(|one| number_in(one.code("UIDVALIDITY"))).unwrap();
        let fresh = self.cache.mod_seq == 0;
        assert!(fresh || self.cache.uid_validity == validity);
        self.numbers = vec![0; exists];
        self.hear(&opened);
        // Opening tells up to where itself.
        self.heard = 0;
        self.cache.mod_seq = highest.unwrap();
        self.cache.uid_validity = validity;
        // What it knows now is true; with UIDs of its own it is not told of others, which it finds
        // by asking.
        let told = self.cache.messages.clone();
        self.settle().await;
        if self.calm && !fresh {
            for (uid, flags) in &told {
                let now = self.cache.messages.get(uid);
                assert_eq!(now, Some(flags), "{text}: {uid} of {opened:?}");
                assert!(self.numbers.contains(uid), "{text}: {uid} is gone");
            }
            assert!(all || told.len() == exists, "{text}: {opened:?}");
        }
        assert_eq!(self.cache.messages.len(), exists, "{text}: {opened:?}");
    }

    fn hear(&mut self, responses: &[ServerResponse]) {
        for response in responses {
            assert!(response.count("EXPUNGE").is_none(), "told by UID");
            if let Some(values) = response.data("VANISHED") {
                self.vanished(values);
            } else if let Some(count) = response.count("EXISTS") {
                assert!(count as usize >= self.numbers.len(), "messages vanish by VANISHED only");
                self.numbers.resize(count as usize, 0);
            } else if let Some(fetch) = response.fetch() {
                let uid = fetch.uid().expect("told by UID");
                let place = &mut self.numbers[fetch.number as usize - 1];
                assert!([0, uid].contains(place), "a number means another message");
                *place = uid;
                let mod_seq = fetch.item("MODSEQ").and_then(Value::list);
                let mod_seq = mod_seq.expect("a modification sequence")[0].number().unwrap();
                assert!(mod_seq > 0);
                self.heard = self.heard.max(mod_seq);
                if let Some(flags) = fetch.flags() {
                    self.cache.messages.insert(uid, Some(sorted(flags)));
                } else if let Some(silent) = &self.silent
                    && silent.uids.contains(&uid)
                    && let Some(Some(flags)) = self.cache.messages.get_mut(&uid)
                {
                    silent.apply(flags);
                }
            }
        }
    }

    fn vanished(&mut self, values: &[Value]) {
        let earlier = values.first().and_then(Value::list).is_some();
        for (first, last) in ranges(values.last().unwrap()) {
            let gone: Vec<u32> =
                self.cache.messages.range(first..=last).map(|(uid, _)| *uid).collect();
            gone.iter().for_each(|uid| drop(self.cache.messages.remove(uid)));
            let before = self.numbers.len();
            self.numbers.retain(|uid| *uid == 0 || !(first..=last).contains(uid));
            if earlier {
                assert_eq!(self.numbers.len(), before, "EARLIER moves no numbers");
            } else {
                assert_eq!(before - self.numbers.len(), (last - first) as usize + 1);
            }
        }
    }

    /// Sends a command, hears the answer, and asks about what has come.
    async fn command(&mut self, text: &str) {
        let Some(client) = &mut self.client else { return };
        let outcome = client.command(text).await;
        self.hear(&outcome.untagged);
        let told = outcome.line.contains("HIGHESTMODSEQ").then(|| {
            let digits = outcome.line.split("Number(").nth(1).unwrap();
            digits.split(')').next().unwrap().parse::<u64>().unwrap()
        });
        let told_untagged =
            outcome.untagged.iter().filter_map(|one| number_in(one.code("HIGHESTMODSEQ"))).max();
        // What a tagged answer names counts; else what was heard (RFC 7162 §3.2.5.1).
        let heard = std::mem::take(&mut self.heard);
        let known = told.or(told_untagged).unwrap_or(heard);
        self.cache.mod_seq = self.cache.mod_seq.max(known);
    }

    /// Asks about the messages that it has not been told of, until there is none.
    async fn settle(&mut self) {
        let mut rounds = 0;
        while self.numbers.contains(&0) {
            self.command("UID FETCH 1:* (UID FLAGS MODSEQ)").await;
            rounds += 1;
            assert!(rounds < 20, "messages are counted that are not there");
        }
    }

    async fn step(&mut self, world: &World, random: &SeededRandom) {
        if self.client.is_none() {
            return self.open(world, random.below(2) == 0).await;
        }
        let messages = self.numbers.len() as u64;
        let one = 1 + random.below(messages.max(1));
        let other = 1 + random.below(messages.max(1));
        let uid = self.numbers.get(one as usize - 1).copied().unwrap_or(1).max(1);
        let flag =
            ["\\Seen", "\\Flagged", "\\Deleted", "\\Deleted", "$k1"][random.below(5) as usize];
        let sign = ["+", "-", ""][random.below(3) as usize];
        let known = self.cache.mod_seq;
        match random.below(16) {
            0..=2 if messages < MESSAGES_MAX => {
                let client = self.client.as_mut().unwrap();
                let outcome = client.append("INBOX", b"Subject: x\r\n\r\ny\r\n").await;
                self.hear(&outcome.untagged);
                self.settle().await;
            }
            3 if messages > 0 => {
                self.command(&format!("STORE {one}:{other} {sign}FLAGS ({flag})")).await
            }
            4 if messages > 0 => {
                let last = self.numbers.last().copied().unwrap_or(uid);
                self.silent = Some(Silent { uids: uid..=last, sign, flag });
                self.command(&format!("UID STORE {uid}:* {sign}FLAGS.SILENT ({flag})")).await
            }
            5 if messages > 0 => {
                self.silent = Some(Silent { uids: uid..=uid, sign, flag });
                let text =
                    format!("STORE {one} (UNCHANGEDSINCE {known}) {sign}FLAGS.SILENT ({flag})");
                self.command(&text).await;
            }
            6 | 7 => self.command("EXPUNGE").await,
            8 if messages > 0 => self.command(&format!("UID EXPUNGE {uid}:*")).await,
            9 if messages > 0 => self.command(&format!("MOVE {one} INBOX")).await,
            10 if messages > 0 => self.command(&format!("FETCH {one}:{other} (UID FLAGS)")).await,
            11 => self.command("UID SEARCH RETURN (COUNT) UNSEEN").await,
            12 => {
                let text =
                    format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {} VANISHED)", known.max(1));
                self.command(&text).await;
            }
            13 | 14 => self.client = None,
            _ => self.command("NOOP").await,
        }
        self.silent = None;
        self.settle().await;
    }
}

async fn play(world: &World, seed: u64, faults: Faults) {
    let random = SeededRandom::new(seed);
    let mut clients: Vec<Syncing> = (0..CLIENTS).map(|_| Syncing::new()).collect();
    let faulty = faults != Faults::default();
    for client in &mut clients {
        client.calm = !faulty;
        client.open(world, false).await;
    }
    for step in 0..STEPS {
        let client = &mut clients[random.below(CLIENTS as u64) as usize];
        // Coming back and catching up must succeed, so that what is told can be judged.
        if faulty {
            let calm = client.client.is_none() || step % 3 == 0;
            world.store.inject(if calm { Faults::default() } else { faults });
        }
        client.step(world, &random).await;
    }
    world.store.inject(Faults::default());
    world.store.land_late_commits();
    let list = world.select("alice", "INBOX").await.list().await;
    let list: BTreeMap<u32, Option<Vec<String>>> =
        list.into_iter().map(|(uid, flags)| (uid, Some(flags))).collect();
    for client in &mut clients {
        // Whether it was there all the time or comes back now.
        if client.client.is_some() {
            client.command("NOOP").await;
            client.settle().await;
            assert_eq!(client.cache.messages, list, "seed {seed}");
        }
        client.client = None;
        client.open(world, random.below(2) == 0).await;
        assert_eq!(client.cache.messages, list, "seed {seed}, after coming back");
        assert_eq!(client.numbers.len(), list.len());
    }
}

#[test]
fn a_client_that_comes_back_knows_what_there_is() {
    let seed = test_seed();
    run(async |world: Arc<World>| play(&world, seed, Faults::default()).await);
}

#[test]
fn a_client_that_comes_back_over_a_store_that_fails_knows_what_there_is() {
    let seed = test_seed();
    let faults = Faults {
        conflict: 0.05,
        commit_unknown_applied: 0.05,
        late_commit: 0.03,
        ..Faults::default()
    };
    run(async |world: Arc<World>| play(&world, seed, faults).await);
}

/// Expunges that may not be told yet: whoever goes by modification sequences must not believe to
/// know of them.
#[test]
fn what_is_not_told_is_not_passed_over() {
    run(async |world: Arc<World>| {
        let mut other = world.select("alice", "INBOX").await;
        for _ in 0..3 {
            other.append("INBOX", b"Subject: x\r\n\r\ny\r\n").await;
        }
        let mut client = Syncing::new();
        client.open(&world, false).await;
        let before = client.cache.mod_seq;
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
        other.ok("EXPUNGE").await;
        other.ok("STORE 1 +FLAGS (\\Seen)").await;
        // Numbers may not move: the flags are told, what is gone is not.
        client.command("FETCH 2 (UID FLAGS)").await;
        assert_eq!(client.numbers.len(), 3);
        assert!(client.cache.mod_seq <= before + 1, "{} after {before}", client.cache.mod_seq);
        client.client = None;
        client.open(&world, false).await;
        assert_eq!(client.cache.messages.keys().copied().collect::<Vec<_>>(), [2, 3]);
    });
}

/// The same where the answer is NO, or has a code of its own: it cannot name the modification
/// sequence, so something else does.
#[test]
fn what_is_not_told_is_not_passed_over_with_other_answers() {
    run(async |world: Arc<World>| {
        for text in ["STORE 1:2 +FLAGS (\\Flagged)", "STORE 2 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)"] {
            let mut other = world.select("alice", "INBOX").await;
            for _ in 0..3 {
                other.append("INBOX", b"Subject: x\r\n\r\ny\r\n").await;
            }
            let mut client = Syncing::new();
            client.open(&world, false).await;
            let (before, messages) = (client.cache.mod_seq, client.cache.messages.len());
            other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
            other.ok("EXPUNGE").await;
            other.ok("STORE 1 +FLAGS (\\Answered)").await;
            client.command(text).await;
            assert_eq!(client.numbers.len(), messages, "{text}");
            assert!(client.cache.mod_seq <= before + 1, "{text}: {}", client.cache.mod_seq);
            client.client = None;
            client.open(&world, false).await;
            assert_eq!(client.cache.messages.len(), messages - 1, "{text}");
        }
    });
}

/// What a client costs that comes back: two questions to the mailbox, however large it is.
#[test]
fn coming_back_asks_what_has_changed() {
    run(async |world: Arc<World>| {
        let mut client = Syncing::new();
        let mut other = world.select("alice", "INBOX").await;
        for _ in 0..20 {
            other.append("INBOX", b"Subject: x\r\n\r\ny\r\n").await;
        }
        client.open(&world, false).await;
        client.client = None;
        other.ok("UID STORE 3 +FLAGS (\\Seen)").await;
        other.ok("UID STORE 5:6 +FLAGS (\\Deleted)").await;
        other.ok("EXPUNGE").await;
        world.trouble.requests();
        client.open(&world, false).await;
        // Then it asks which UIDs the other numbers have, as those of the test do.
        let asked = ["Folders", "ClaimRecent", "View", "Delta", "Delta"];
        assert_eq!(world.trouble.requests(), asked);
        let there: Vec<u32> = client.cache.messages.keys().copied().collect();
        assert_eq!(there, (1..=20).filter(|uid| ![5, 6].contains(uid)).collect::<Vec<_>>());
        assert_eq!(client.cache.messages[&3], Some(vec!["\\Seen".to_owned()]));
    });
}
