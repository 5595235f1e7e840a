//! IDLE (RFC 2177): tells what happens while it happens.
//!
//! The session waits for four things at once: the client's DONE, a wake-up of the mailbox, one of
//! the account, which may have been disabled or got a new password, and a regular moment to ask
//! anyhow, since a wake-up may be lost. Silence of the client ends it, and
//! with it the session, as RFC 2177 §3 says.
//!
//! Where the mailbox cannot be asked, because its owner has just died, the client is told nothing
//! of it: the session asks again and again, soon at first, until there is an owner.

use crate::reply::{Answer, Ending, Reply};
use crate::session::Session;
use crate::sync::{Ask, Manner};
use crate::wire::Patience;
use base::{Change, Deadline};
use codec_imap::Code;
use codec_imap::command::is_idle_done;
use std::time::Duration;
use tokio::sync::watch;

/// All may be told, and message numbers are enough.
const MANNER: Manner = Manner { expunges: true, uids: false };

/// How soon a mailbox that did not answer is asked again; twice as long after each further time,
/// to [`AGAIN_MAX`], and up to half as long more, so that many sessions do not ask all at once.
const AGAIN: Duration = Duration::from_millis(200);

/// The longest wait of [`AGAIN`], but for what is drawn.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// What ended a wait.
enum Event {
    Line(bytes::Bytes),
    Woken,
    Account,
    Time,
}

/// When to ask although nobody has called.
struct Next {
    /// How often in a row there was no answer.
    failures: u32,
    moment: Deadline,
}

/// IDLE.
pub(crate) async fn run(session: &mut Session) -> Answer {
    let user = session.state.here()?;
    let mut wake = user.wake.clone();
    let mut account = session.shared.directory.watch(user.account.id);
    // What happened before there was a watch wakes nobody.
    session.still_signed_in().await?;
    session.wire.invite("Idling");
    wake.mark_unchanged();
    let answered = session.news(Ask::Always, MANNER).await?;
    let until = Deadline::after(session.shared.config.idle_timeout());
    let mut next = Next { failures: 0, moment: until };
    next.after(session, answered);
    loop {
        match wait(session, &mut wake, &mut account, next.moment, until).await? {
            Event::Line(line) if is_idle_done(&line) => return Ok(Reply::ok("Done")),
            Event::Line(_) => return Err(Reply::bad("Only DONE ends IDLE").into()),
            Event::Woken => {
                session.still_signed_in().await?;
                let ask = if next.failures > 0 { Ask::Always } else { Ask::IfWoken };
                let answered = session.news(ask, MANNER).await?;
                next.after(session, answered);
            }
            Event::Account => session.still_signed_in().await?,
            Event::Time if until.has_passed() => {
                return Err(Ending::bye(Some(Code::Unavailable), "Idle for too long").into());
            }
            Event::Time => {
                session.still_signed_in().await?;
                let answered = session.news(Ask::Always, MANNER).await?;
                next.after(session, answered);
            }
        }
    }
}

impl Next {
    /// Sets the next moment, now that the mailbox was asked.
    fn after(&mut self, session: &Session, answered: bool) {
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
        let wait = match self.failures {
            0 => session.shared.config.idle_poll(),
            failures => {
                let wait = AGAIN.saturating_mul(1 << (failures - 1).min(10)).min(AGAIN_MAX);
                let most_ms = u64::try_from(wait.as_millis() / 2).unwrap_or(u64::MAX);
                wait + Duration::from_millis(session.shared.env.random.below(most_ms.max(1)))
            }
        };
        self.moment = Deadline::after(wait);
    }
}

async fn wait(
    session: &mut Session,
    wake: &mut watch::Receiver<Change>,
    account: &mut watch::Receiver<()>,
    next: Deadline,
    until: Deadline,
) -> Result<Event, Ending> {
    session.wire.flush().await?;
    let patience = Patience { silence: until, ..session.patience() };
    let poll = next.instant().min(until.instant());
    tokio::select! {
        biased;
        line = session.wire.line(patience) => line.map(Event::Line),
        () = woken(account) => Ok(Event::Account),
        () = woken(wake) => Ok(Event::Woken),
        () = tokio::time::sleep_until(poll) => Ok(Event::Time),
    }
}

async fn woken<T>(wake: &mut watch::Receiver<T>) {
    // Without a sender only time is left.
    if wake.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
