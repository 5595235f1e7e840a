//! Load over all nodes of a cluster that goes on while nodes die: a session whose listener dies
//! comes back, to the same node or another, and goes on with what it knows.
//!
//! What happens to the clients of a node that is being hurt ([`Weather`]) and what happens to all
//! others is counted apart ([`Tally`]): the others must notice nothing but time.

use super::shelver::{self, Shelver};
use super::tally::{Counts, Tally};
use super::{Load, Stop, idler, register, sender};
use crate::checkers::idle_once::Heard;
use crate::cluster::weather::Weather;
use crate::history::Register;
use crate::imap::ImapClient;
use crate::ledger::{Ledger, Sent};
use crate::net::Endpoint;
use crate::random::Random;
use crate::smtp::{Fate, SmtpClient};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a client waits before it comes back, and between attempts.
const COME_BACK: Duration = Duration::from_millis(50);

/// What all sessions of a load share.
#[derive(Clone)]
pub struct Field {
    /// How the nodes are reached, by number.
    pub endpoints: Vec<Endpoint>,
    /// Who is hurt when.
    pub weather: Arc<Weather>,
    /// What was acknowledged.
    pub ledger: Arc<Ledger>,
    /// How the sessions fared.
    pub tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
}

impl Field {
    /// Counts why a session could not go on, which was with a node since a moment of the run.
    pub(super) fn note(&self, who: &str, node: usize, since_us: u64, stop: &Stop) {
        let now = self.weather.clock.now_us();
        let is_excused = self.weather.excuses(node, since_us, now);
        self.tally.change(|counts| match stop {
            Stop::Wrong(failure) => counts.wrong.push(format!("{who} on node {node}: {failure}")),
            _ if is_excused => counts.excused += 1,
            Stop::Broken(failure) | Stop::Refused(failure) => {
                let is_broken = matches!(stop, Stop::Broken(_));
                let how = if is_broken { "broken" } else { "refused" };
                let text = format!("{who} on node {node} at {now} µs: {how}: {failure}");
                counts.noticed.push(text);
                counts.noticed_at_us.push(now);
            }
        });
    }

    /// Whether the load is to end.
    pub(super) fn is_over(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, but not beyond the end of the load.
    pub(super) async fn pause(&self, time: Duration) {
        let mut stop = self.stop.clone();
        let _ = timeout(time, stop.wait_for(|is_over| *is_over)).await;
    }

    /// Waits for the end of the load.
    pub(super) async fn over(&self) {
        let _ = self.stop.clone().wait_for(|is_over| *is_over).await;
    }

    /// Has a session with one node after the other until the load is over: `session` is given the
    /// number of a node and the moment at which the session begins, and ends with why it cannot go
    /// on. A front door would not lead to a node that it knows to be away, so those are passed over
    /// where another is well.
    pub(super) async fn roam<F>(&self, who: &str, home: usize, mut session: impl FnMut(usize) -> F)
    where
        F: Future<Output = Result<(), Stop>>,
    {
        let nodes = self.endpoints.len();
        let mut at = home % nodes.max(1);
        while !self.is_over() {
            let fine = (0..nodes).map(|step| (at + step) % nodes);
            at = { fine }.find(|node| self.weather.is_fine(*node)).unwrap_or(at);
            let since_us = self.weather.clock.now_us();
            match session(at).await {
                Ok(()) => {}
                Err(stop) => {
                    self.note(who, at, since_us, &stop);
                    at = (at + 1) % nodes;
                    sleep(COME_BACK).await;
                }
            }
        }
    }

    /// A session that is logged in. `left_us` is when the one before it broke: how long that took is
    /// counted.
    pub(super) async fn log_in(
        &self,
        node: usize,
        user: &str,
        left_us: &mut Option<u64>,
    ) -> Result<ImapClient, Stop> {
        let client = ImapClient::open(&self.endpoints[node], user).await.map_err(Stop::Broken)?;
        if let Some(left) = left_us.take() {
            let took = self.weather.clock.now_us().saturating_sub(left);
            self.tally.change(|counts| counts.back_after_us.push(took));
        }
        Ok(client)
    }
}

/// How much load, besides [`Load`]'s sessions.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Seed, senders, shelvers, users.
    pub load: Load,
    /// How long each SMTP and IMAP session waits after a message or change.
    pub pace: Duration,
    /// How many sessions work on each user's register, each on a node of its own.
    pub register_sessions: u64,
    /// How long each of them waits after a command.
    pub register_pace: Duration,
    /// Whether reads of registers begin with a NOOP, which IMAP's sessions ask the owner at.
    pub asks_first: bool,
    /// How many users have a register.
    pub registers: usize,
    /// How many sessions idle, spread over users and nodes.
    pub idlers: u64,
}

/// A load that runs until it is told to stop.
pub struct Running {
    /// What the sessions share.
    pub field: Field,
    /// The registers, by user.
    pub registers: BTreeMap<String, Arc<Register>>,
    heard: Vec<Arc<Mutex<Heard>>>,
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
}

/// Starts the load; the registers' messages are made first.
///
/// # Errors
/// If they cannot be made.
pub async fn start(
    endpoints: Vec<Endpoint>,
    weather: &Arc<Weather>,
    ledger: &Arc<Ledger>,
    mix: &Mix,
) -> crate::failure::Result<Running> {
    let (stop, stopped) = watch::channel(false);
    let (weather, ledger) = (weather.clone(), ledger.clone());
    let tally = Arc::new(Tally::default());
    let field = Field { endpoints, weather, ledger, tally, stop: stopped };
    let mut workers = JoinSet::new();
    let mut registers = BTreeMap::new();
    let with_register = mix.load.users.iter().take(mix.registers).enumerate();
    for (number, user) in with_register {
        let uid = register::make(&field.endpoints[number % field.endpoints.len()], user).await?;
        let register = Arc::new(Register::default());
        registers.insert(user.clone(), register.clone());
        for session in 0..mix.register_sessions {
            let worker = register::Worker {
                field: field.clone(),
                register: register.clone(),
                user: (number, user.clone()),
                number: session,
                home: number + session as usize,
                uid,
                pace: mix.register_pace,
                asks_first: mix.asks_first,
            };
            workers.spawn(worker.run(mix.load.seed));
        }
    }
    for number in 0..mix.load.senders {
        workers.spawn(send(field.clone(), mix.clone(), number));
    }
    for number in 0..mix.load.shelvers {
        workers.spawn(shelve(field.clone(), mix.clone(), number));
    }
    let mut heard = Vec::new();
    for number in 0..mix.idlers {
        let user = mix.load.users[number as usize % mix.load.users.len()].clone();
        let log = Arc::new(Mutex::new(Heard { session: number, user, told: Vec::new() }));
        heard.push(log.clone());
        // Each user's sessions over all nodes, also where users are a multiple of nodes.
        let home = number + number / mix.load.users.len().max(1) as u64;
        workers.spawn(idler::run(field.clone(), number, home, log));
    }
    Ok(Running { field, registers, heard, stop, workers })
}

impl Running {
    /// What the idling sessions have heard so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let copy =
            |log: &Arc<Mutex<Heard>>| log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.heard.iter().map(copy).collect()
    }

    /// Ends the load and waits until all sessions have; what they had heard and how they fared.
    pub async fn finish(mut self) -> (Vec<Heard>, Counts) {
        let _ = self.stop.send(true);
        while self.workers.join_next().await.is_some() {}
        (self.heard(), self.field.tally.counts())
    }
}

/// Messages over SMTP, some on each connection, to one to four recipients.
async fn send(field: Field, mix: Mix, number: u64) {
    let random = Mutex::new(Random::new(mix.load.seed, mix.load.round * 1000 + number));
    let count = Mutex::new(0_u64);
    let hold = || random.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("sender {number}");
    let session = |node: usize| {
        let (field, mix) = (&field, &mix);
        let (count, hold) = (&count, &hold);
        async move {
            let endpoint = &field.endpoints[node];
            let (door, messages) = {
                let mut random = hold();
                (sender::door(&mut random), random.range(1..20))
            };
            let (mut client, from) = sender::open(endpoint, door).await.map_err(Stop::Broken)?;
            for _ in 0..messages {
                if field.is_over() {
                    break;
                }
                let letter = {
                    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
                    *count += 1;
                    sender::write(&mix.load, number, *count, &from, &mut hold())
                };
                post(field, &mut client, &from, letter).await?;
                field.pause(mix.pace).await;
            }
            client.quit().await;
            Ok(())
        }
    };
    field.roam(&name, number as usize, session).await;
}

/// Sends one message and notes what became of it.
async fn post(
    field: &Field,
    client: &mut SmtpClient,
    from: &str,
    letter: sender::Letter,
) -> Result<(), Stop> {
    let fate = client.send(from, &letter.to, &letter.bytes).await;
    let sender::Letter { id, users, bytes, .. } = letter;
    field.ledger.record(Sent { id: id.clone(), users, bytes, fate: fate.clone() });
    match fate {
        Fate::Acknowledged => {
            let now = field.weather.clock.now_us();
            field.tally.change(|counts| {
                counts.fine += 1;
                counts.acknowledged_us.insert(id, now);
            });
            Ok(())
        }
        Fate::Unknown(text) | Fate::NotOffered(text) => {
            Err(Stop::Broken(format!("{id}: {text}").into()))
        }
        Fate::Refused(text) | Fate::Deferred(text) => {
            Err(Stop::Refused(format!("{id}: {text}").into()))
        }
    }
}

/// An IMAP session that appends, flags, copies, moves and expunges in folders of its own.
async fn shelve(field: Field, mix: Mix, number: u64) {
    let load = &mix.load;
    let Some(user) = load.users.get(number as usize % load.users.len().max(1)) else {
        return;
    };
    let places = shelver::places(user, number);
    let seed = Random::new(load.seed, 500_000 + load.round * 1000 + number);
    let state = Mutex::new((seed, 0_u64, None::<u64>));
    let name = format!("shelver {number}");
    let session = |node: usize| {
        let (field, places, state, mix) = (&field, &places, &state, &mix);
        async move {
            let hold = || state.lock().unwrap_or_else(PoisonError::into_inner);
            let mut left_us = hold().2.take();
            let opened = field.log_in(node, user, &mut left_us).await;
            hold().2 = left_us;
            let random = hold().0.clone();
            let mut shelver = Shelver::new(opened?, &field.ledger, number, random);
            let ended = async {
                shelver.make_folders(places).await.map_err(Stop::Broken)?;
                while !field.is_over() {
                    let count = {
                        let mut state = hold();
                        state.1 += 1;
                        state.1
                    };
                    shelver.step(places, shelver::id(&mix.load, number, count)).await?;
                    field.tally.fine();
                    field.pause(mix.pace).await;
                }
                Ok(())
            };
            let ended = ended.await;
            if ended.is_err() {
                shelver.leave_in_doubt();
            }
            let mut state = hold();
            state.0 = shelver.into_random();
            if matches!(ended, Err(Stop::Broken(_))) {
                state.2 = Some(field.weather.clock.now_us());
            }
            ended
        }
    };
    field.roam(&name, number as usize, session).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Clock;

    fn field(stop: watch::Receiver<bool>) -> Field {
        Field {
            endpoints: Vec::new(),
            weather: Arc::new(Weather::new(Clock::default(), 2)),
            ledger: Arc::new(Ledger::default()),
            tally: Arc::new(Tally::default()),
            stop,
        }
    }

    #[test]
    fn what_clients_of_hurt_nodes_meet_is_counted_apart_and_what_cannot_be_always_counts() {
        let (_stop, stopped) = watch::channel(false);
        let field = field(stopped);
        field.weather.begin(1);
        let since = field.weather.clock.now_us();
        for node in [0, 1] {
            field.note("x", node, since, &Stop::Broken("gone".into()));
            field.note("x", node, since, &Stop::Refused("no".into()));
            field.note("x", node, since, &Stop::Wrong("never".into()));
        }
        let counts = field.tally.counts();
        assert_eq!((counts.excused, counts.noticed.len(), counts.wrong.len()), (2, 2, 2));
    }

    #[tokio::test]
    async fn a_load_that_is_over_waits_for_nothing() {
        let (stop, stopped) = watch::channel(false);
        let field = field(stopped);
        stop.send(true).unwrap();
        field.pause(Duration::from_secs(3_600)).await;
        assert!(field.is_over());
    }
}
