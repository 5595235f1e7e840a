//! Commands over many messages: chunks with progress, resumed by a new owner.
//!
//! A command that concerns more than [`CHUNK`] messages runs as several transactions. Each but the
//! last leaves a job in the mailbox: who asked for what, and how far it came. Between them the
//! mailbox answers questions and makes other changes that fit into one transaction; a second job
//! waits for the first. The next owner of the mailbox activates it for the job's sake (`resume`)
//! and goes on, and the command, sent again, joins it or is answered from its result.
//!
//! Each message is atomic, the command is not; but COPY stays invisible until its last chunk: what
//! the target folder's row will say of it, where its UIDs end above all, is kept in the job until
//! then, and whatever else would give UIDs or changes in that folder waits. Search folders get
//! their new members after that.
//!
//! A job concerns the messages that its folder had when it began.

use crate::rows;
use crate::rows::keys::Keys;
use crate::unit::Hidden;
use base::{CommandId, Error, FolderId, Result, Uid};
use bytes::Bytes;
use contract_mailbox::{Principal, Write};
use contract_store::{Attempt, Body, BodyError, Isolation, KeyRange, Transaction};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// How many messages one transaction changes at most: at some 5 kB each it stays near 2.5 MB.
pub(crate) const CHUNK: usize = 500;

/// The longest piece of a job's request, in bytes; below the value limit.
const PIECE_BYTES: usize = 90_000;

/// The longest request of a job, in bytes: it is written with the first chunk.
const REQUEST_BYTES_MAX: usize = 4_000_000;

/// How a transaction of a job should stop taking more messages, in bytes: the structure of one
/// message is some 3 kB as a rule and 5 MB at most.
pub(crate) const CHUNK_BYTES: usize = 2_000_000;

/// Where a job is going.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// To its end.
    #[default]
    Forward,
    /// A step was refused: what must not be seen is taken back.
    Undo,
    /// That was refused too: what there is, is shown.
    Publish,
}

impl Ending {
    /// Where to go when this is refused.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::Forward => Some(Self::Undo),
            Self::Undo => Some(Self::Publish),
            Self::Publish => None,
        }
    }
}

/// How far a command has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// How many transactions it has committed.
    pub(crate) steps: u32,
    /// Messages up to this UID are done.
    pub(crate) after: Uid,
    /// Of a list (items, scope folders), so many are done.
    pub(crate) place: u32,
    /// The folder that it has made.
    pub(crate) made: Option<FolderId>,
    /// Where it is going.
    pub(crate) ending: Ending,
    /// Messages from this UID on came after it began, by its own doing or others'.
    pub(crate) until: Option<Uid>,
    /// What a COPY has put so far; see the module's words.
    pub(crate) hidden: Option<Hidden>,
    /// What a COPY has put is shown; messages of its target from the first UID up to the second
    /// are still to be shown to search folders.
    pub(crate) joining: Option<(Uid, Uid)>,
    /// What the answer will say. Only in memory: a job that a new owner finishes is answered with
    /// "look again".
    #[serde(skip)]
    pub(crate) pairs: Vec<(Uid, Uid)>,
    #[serde(skip)]
    pub(crate) entries: Vec<contract_mailbox::IndexEntry>,
    #[serde(skip)]
    pub(crate) modified: Vec<Uid>,
    /// Whether the answer's parts are complete.
    #[serde(skip)]
    pub(crate) incomplete: bool,
}

/// A command in progress.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) command: CommandId,
    pub(crate) principal: Principal,
    pub(crate) request: Write,
    pub(crate) progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct JobHead {
    command: CommandId,
    principal: Principal,
    pieces: u16,
    progress: Progress,
}

fn piece_key(keys: Keys, number: u16) -> Bytes {
    [&keys.job()[..], &number.to_be_bytes()].concat().into()
}

/// Writes the job of a command that goes on; its request only the first time.
pub(crate) fn write(
    tx: &dyn Transaction,
    keys: Keys,
    command: CommandId,
    principal: Principal,
    request: &Write,
    progress: &Progress,
) -> Result<()> {
    let bytes = rows::encode(request)?;
    if bytes.len() > REQUEST_BYTES_MAX {
        let text = "The command names too many messages; give them as ranges, or fewer";
        return Err(Error::new(base::Kind::Limit, text));
    }
    let pieces = bytes.chunks(PIECE_BYTES);
    let count = u16::try_from(pieces.len())
        .map_err(|_| Error::invalid("The command names too many messages"))?;
    if progress.steps == 1 {
        for (number, piece) in (1..).zip(pieces) {
            tx.set(&piece_key(keys, number), piece);
        }
        tx.set(&keys.job_mark(), b"");
    }
    let head = JobHead { command, principal, pieces: count, progress: progress.clone() };
    tx.set(&piece_key(keys, 0), &rows::encode(&head)?);
    Ok(())
}

/// How far a job is, from its first row.
pub(crate) fn decode_progress(row: &[u8]) -> Result<Progress> {
    Ok(rows::decode::<JobHead>(row, "job")?.progress)
}

/// Ends the job.
pub(crate) fn clear(tx: &dyn Transaction, keys: Keys) {
    tx.clear_range(&KeyRange::prefix(&keys.job()));
    tx.clear(&keys.job_mark());
}

/// How far the stored job of a command has come; `None` if there is none.
pub(crate) async fn stored_progress(
    tx: &dyn Transaction,
    keys: Keys,
    command: CommandId,
) -> Result<Option<Progress>, BodyError> {
    let head = tx.get(&piece_key(keys, 0), Isolation::Serializable).await?;
    let head = head.map(|row| rows::decode::<JobHead>(&row, "job")).transpose()?;
    Ok(head.filter(|head| head.command == command).map(|head| head.progress))
}

/// Finds the job that waits to be finished, if there is one.
pub(crate) struct Load(pub(crate) Keys);

impl Body<Option<Job>> for Load {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Option<Job>, BodyError>> {
        Box::pin(load(tx, self.0))
    }
}

async fn load(tx: &dyn Transaction, keys: Keys) -> Result<Option<Job>, BodyError> {
    let Some(head) = tx.get(&piece_key(keys, 0), Isolation::Serializable).await? else {
        return Ok(None);
    };
    let head: JobHead = rows::decode(&head, "job")?;
    let mut bytes = Vec::new();
    for number in 1..=head.pieces {
        match tx.get(&piece_key(keys, number), Isolation::Serializable).await? {
            Some(piece) => bytes.extend_from_slice(&piece),
            None => return Err(Error::corrupt("a piece of a job is missing").into()),
        }
    }
    let progress = Progress { incomplete: true, ..head.progress };
    let request = rows::decode(&bytes, "job")?;
    Ok(Some(Job { command: head.command, principal: head.principal, request, progress }))
}
