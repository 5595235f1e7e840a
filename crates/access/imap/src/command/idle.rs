//! IDLE (RFC 2177): tells what happens while it happens.
//!
//! The session waits for four things at once: the client's DONE, a wake-up of the mailbox, one of
//! the account, which may have been disabled or got a new password, and a regular moment to ask
//! anyhow, since a wake-up may be lost. Silence of the client ends it, and
//! with it the session, as RFC 2177 §3 says.

use crate::reply::{Answer, Ending, Reply};
use crate::session::Session;
use crate::sync::{Ask, Manner};
use crate::wire::Patience;
use base::{Change, Deadline};
use codec_imap::Code;
use codec_imap::command::is_idle_done;
use tokio::sync::watch;

/// All may be told, and message numbers are enough.
const MANNER: Manner = Manner { expunges: true, uids: false };

/// What ended a wait.
enum Event {
    Line(bytes::Bytes),
    Woken,
    Account,
    Time,
}

/// IDLE.
pub(crate) async fn run(session: &mut Session) -> Answer {
    let user = session.state.user()?;
    let mut wake = user.wake.clone();
    let mut account = session.shared.directory.watch(user.account.id);
    // What happened before there was a watch wakes nobody.
    session.still_signed_in().await?;
    session.wire.invite("Idling");
    wake.mark_unchanged();
    session.news(Ask::Always, MANNER).await?;
    let until = Deadline::after(session.shared.config.idle_timeout());
    loop {
        match wait(session, &mut wake, &mut account, until).await? {
            Event::Line(line) if is_idle_done(&line) => return Ok(Reply::ok("Done")),
            Event::Line(_) => return Err(Reply::bad("Only DONE ends IDLE").into()),
            Event::Woken => {
                session.still_signed_in().await?;
                session.news(Ask::IfWoken, MANNER).await?;
            }
            Event::Account => session.still_signed_in().await?,
            Event::Time if until.has_passed() => {
                return Err(Ending::bye(Some(Code::Unavailable), "Idle for too long").into());
            }
            Event::Time => {
                session.still_signed_in().await?;
                session.news(Ask::Always, MANNER).await?;
            }
        }
    }
}

async fn wait(
    session: &mut Session,
    wake: &mut watch::Receiver<Change>,
    account: &mut watch::Receiver<()>,
    until: Deadline,
) -> Result<Event, Ending> {
    session.wire.flush().await?;
    let poll = until.within(session.shared.config.idle_poll());
    let patience = Patience { silence: until, ..session.patience() };
    tokio::select! {
        biased;
        line = session.wire.line(patience) => line.map(Event::Line),
        () = woken(account) => Ok(Event::Account),
        () = woken(wake) => Ok(Event::Woken),
        () = tokio::time::sleep_until(poll.instant()) => Ok(Event::Time),
    }
}

async fn woken<T>(wake: &mut watch::Receiver<T>) {
    // Without a sender only time is left.
    if wake.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
