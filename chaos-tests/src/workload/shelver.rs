//! One IMAP session that works on two folders of its own: at most one change is under way, so that
//! after a crash at most one is in doubt.

use super::{Load, Stop};
use crate::failure::Result;
use crate::imap::{Answer, ImapClient};
use crate::ledger::{Change, Flags, Ledger, Place, Shelved};
use crate::message;
use crate::net::Endpoint;
use crate::random::Random;

/// What flags are taken from.
const FLAGS: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Chaos"];

/// A session at work.
pub(super) struct Shelver<'a> {
    client: ImapClient,
    ledger: &'a Ledger,
    number: u64,
    shelved: Shelved,
    random: Random,
    /// The folder that is selected.
    selected: Option<Place>,
}

pub(super) async fn run(
    endpoint: &Endpoint,
    load: &Load,
    number: u64,
    ledger: &Ledger,
) -> Result<()> {
    let Some(user) = load.users.get(number as usize % load.users.len().max(1)) else {
        return Ok(());
    };
    let client = ImapClient::open(endpoint, user).await?;
    let random = Random::new(load.seed, 500_000 + load.round * 1000 + number);
    let mut shelver = Shelver::new(client, ledger, number, random);
    let places = places(user, number);
    shelver.make_folders(&places).await?;
    for count in 0..load.each {
        let id = id(load, number, count);
        if let Err(stop) = shelver.step(&places, id).await {
            if let Stop::Refused(error) = &stop {
                ledger.note_refused(&error.0);
            }
            return Err(stop.into_failure());
        }
    }
    shelver.client.logout().await;
    Ok(())
}

/// The id of a message that a session appends. Of one length, since SEARCH looks for substrings.
pub(super) fn id(load: &Load, number: u64, count: u64) -> String {
    format!("i{}-{}-{number}-{count:06}", load.seed, load.round)
}

/// The two folders of a session.
pub(super) fn places(user: &str, number: u64) -> [Place; 2] {
    [place(user, number, "a"), place(user, number, "b")]
}

fn place(user: &str, number: u64, which: &str) -> Place {
    (user.to_owned(), format!("chaos-{number}-{which}"))
}

impl<'a> Shelver<'a> {
    /// A session that goes on with what the ledger says that it knows.
    pub(super) fn new(
        client: ImapClient,
        ledger: &'a Ledger,
        number: u64,
        random: Random,
    ) -> Shelver<'a> {
        let shelved = ledger.shelved(number);
        Shelver { client, ledger, number, shelved, random, selected: None }
    }

    /// The random numbers, for the connection after this.
    pub(super) fn into_random(self) -> Random {
        self.random
    }

    pub(super) async fn make_folders(&mut self, places: &[Place; 2]) -> Result<()> {
        for (_, folder) in places {
            // The folder of an earlier connection is there already.
            self.client.command(&format!("CREATE \"{folder}\"")).await?;
        }
        Ok(())
    }

    /// The change under way is given up: it stays in doubt, and nobody touches its message again.
    pub(super) fn leave_in_doubt(&mut self) {
        self.shelved.doubts.extend(self.shelved.pending.take());
        self.ledger.put_shelved(self.number, self.shelved.clone());
    }

    /// One change: noted as pending, made, noted as done.
    pub(super) async fn step(&mut self, places: &[Place; 2], id: String) -> Result<(), Stop> {
        let change = self.choose(places, id);
        self.shelved.pending = Some(change.clone());
        if let Change::Append(place, id, _) = &change {
            let (size, to) = (message::size(&mut self.random) / 4, [place.0.clone()]);
            let bytes = message::make(id, "shelver@chaos.example", &to, size, &mut self.random);
            self.shelved.bytes.insert(id.clone(), bytes);
        }
        self.ledger.put_shelved(self.number, self.shelved.clone());
        let answer = self.make(&change).await?;
        let answer = answer.ok(&format!("{change:?}")).map_err(Stop::Refused)?;
        if let (Change::Append(place, id, _), Some(numbers)) =
            (&change, answer.code_numbers("APPENDUID"))
            && let [validity, uid] = numbers.as_slice()
        {
            self.shelved.told_uids.push((place.clone(), *validity, *uid, id.clone()));
        }
        change.apply(&mut self.shelved.shelf);
        self.shelved.pending = None;
        self.ledger.put_shelved(self.number, self.shelved.clone());
        self.ledger.count();
        Ok(())
    }

    fn choose(&mut self, places: &[Place; 2], id: String) -> Change {
        let swap = self.random.chance(50);
        let [from, to] = if swap { [&places[1], &places[0]] } else { [&places[0], &places[1]] };
        let (from, to) = (from.clone(), to.clone());
        let ids = |place: &Place| -> Vec<String> {
            let ids = self.shelved.shelf.get(place).into_iter().flat_map(|ids| ids.keys());
            let in_doubt = |id: &&String| self.shelved.in_doubt().any(|one| one.id() == *id);
            ids.filter(|id| !in_doubt(id)).cloned().collect()
        };
        let (here, there) = (ids(&from), ids(&to));
        let flags: Flags =
            FLAGS.iter().filter(|_| self.random.chance(40)).map(|&flag| flag.to_owned()).collect();
        let what = self.random.range(0..10);
        let Some(old) = self.random.pick(&here).cloned() else {
            return Change::Append(from, id, flags);
        };
        match what {
            0..4 => Change::Append(from, id, flags),
            4..6 => Change::Store(from, old, flags),
            6 => Change::Expunge(from, old),
            // A second copy in the same folder could not be told apart.
            _ if there.contains(&old) => Change::Store(from, old, flags),
            7 => Change::Copy(from, to, old),
            _ => Change::Move(from, to, old),
        }
    }

    async fn make(&mut self, change: &Change) -> Result<Answer, Stop> {
        match change {
            Change::Append(place, id, flags) => {
                let bytes = self.shelved.bytes.get(id).cloned().unwrap_or_default();
                self.client.append(&place.1, &joined(flags), &bytes).await.map_err(Stop::Broken)
            }
            Change::Store(place, id, flags) => {
                let uid = self.uid(place, id).await?;
                let line = format!("UID STORE {uid} FLAGS.SILENT ({})", joined(flags));
                self.client.command(&line).await.map_err(Stop::Broken)
            }
            Change::Copy(from, to, id) => {
                let uid = self.uid(from, id).await?;
                let line = format!("UID COPY {uid} \"{}\"", to.1);
                self.client.command(&line).await.map_err(Stop::Broken)
            }
            Change::Move(from, to, id) => {
                let uid = self.uid(from, id).await?;
                let line = format!("UID MOVE {uid} \"{}\"", to.1);
                self.client.command(&line).await.map_err(Stop::Broken)
            }
            Change::Expunge(place, id) => {
                let uid = self.uid(place, id).await?;
                self.done(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)")).await?;
                self.client.command(&format!("UID EXPUNGE {uid}")).await.map_err(Stop::Broken)
            }
        }
    }

    /// Selects the folder and finds the message by its id.
    async fn uid(&mut self, place: &Place, id: &str) -> Result<u64, Stop> {
        if self.selected.as_ref() != Some(place) {
            self.done(&format!("SELECT \"{}\"", place.1)).await?;
            self.selected = Some(place.clone());
        }
        let line = format!("UID SEARCH HEADER {} \"{id}\"", message::ID_HEADER);
        let found = self.done(&line).await?;
        let uids = found.untagged.iter().filter_map(|line| line.data("SEARCH")).flatten();
        let uids: Vec<u64> = uids.filter_map(codec_imap::client::Value::number).collect();
        if let [uid] = uids.as_slice() {
            return Ok(*uid);
        }
        let text = format!("{id} must be in {place:?} once: SEARCH found {uids:?}");
        Err(Stop::Wrong(text.into()))
    }

    async fn done(&mut self, line: &str) -> Result<Answer, Stop> {
        let answer = self.client.command(line).await.map_err(Stop::Broken)?;
        answer.ok(line).map_err(Stop::Refused)
    }
}

fn joined(flags: &Flags) -> String {
    flags.iter().cloned().collect::<Vec<_>>().join(" ")
}
