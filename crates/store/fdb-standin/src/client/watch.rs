//! Watches: set in a transaction, registered with the server when it has committed.
//!
//! A watch compares values: it fires when the server sees another one than the transaction saw
//! (fact 7). Until the commit it belongs to the transaction, then to the database handle.

use super::database::WatchSeat;
use super::reads::Lookup;
use super::seat::Seat;
use super::transaction::{Core, Transaction};
use super::{Op, Output};
use crate::codes;
use crate::wire::{Request, Response};
use bytes::Bytes;
use contract_store::limits::KEY_BYTES_MAX;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A watch whose transaction has not committed.
pub(super) struct PendingWatch {
    reply: oneshot::Sender<Result<WatchSeat, i32>>,
}

impl Core {
    /// Tells the watches how the commit ended. The first ones go without where there are too many,
    /// as recorded (`watch_max_watches`).
    pub(super) fn end_watches(&mut self, transaction: &Transaction, failed: Option<i32>) {
        for watch in std::mem::take(&mut self.watches).into_iter().rev() {
            let seat = match failed {
                Some(code) => Err(code),
                None => transaction.database.take_watch().ok_or(codes::TOO_MANY_WATCHES),
            };
            // Nobody may be waiting any more.
            let _ = watch.reply.send(seat);
        }
    }
}

impl Transaction {
    pub(crate) fn watch(self: &Arc<Self>, key: &[u8]) -> Op {
        let mut core = self.lock();
        if let Err(code) = core.usable() {
            return Err(code).into();
        }
        let looked_up = if core.options.ryw_disabled {
            Err(codes::WATCHES_DISABLED)
        } else if key >= core.options.end_of_readable() {
            Err(codes::OUTSIDE_LEGAL_RANGE)
        } else if key.len() > KEY_BYTES_MAX {
            Err(codes::KEY_TOO_LARGE)
        } else {
            core.look_up(key, false)
        };
        let looked_up = match looked_up {
            Ok(looked_up) => looked_up,
            Err(code) => return Err(code).into(),
        };
        let (key, seat) = (Bytes::copy_from_slice(key), core.seat.clone());
        let (reply, answer) = oneshot::channel();
        let guard = seat.reading.begin();
        let known = match looked_up {
            Lookup::Known(value) => {
                core.watches.push(PendingWatch { reply });
                Ok(value)
            }
            Lookup::Fetch(fetch) => Err((fetch, reply)),
        };
        let transaction = self.clone();
        Op::Later(Box::pin(async move {
            let expected = match known {
                Ok(value) => value,
                Err((fetch, reply)) => {
                    let value = Self::seated(&seat, transaction.fetch(&seat, fetch)).await?;
                    let Some(mut core) = transaction.lock_seated(&seat) else {
                        return Err(codes::CANCELLED);
                    };
                    core.watches.push(PendingWatch { reply });
                    value
                }
            };
            drop(guard);
            let _seat = committed(&seat, answer).await?;
            let database = transaction.database.clone();
            drop(transaction);
            match database.link.ask(&Request::Watch { key, expected }).wait().await? {
                Response::Fired => Ok(Output::Done),
                _ => Err(codes::INTERNAL),
            }
        }))
    }
}

/// Waits for the commit of a watch's transaction.
async fn committed(
    seat: &Seat,
    answer: oneshot::Receiver<Result<WatchSeat, i32>>,
) -> Result<WatchSeat, i32> {
    tokio::select! {
        biased;
        committed = answer => match committed {
            Ok(outcome) => outcome,
            // The transaction let go of it, and says why.
            Err(_) => Err(seat.kill.killed().await),
        },
        code = seat.kill.killed() => Err(code),
    }
}
