//! What a client meets that wants to begin a message while the node is short of something: nothing,
//! a wait, or "later". Whoever is least important waits first (`contract_transport::pressure`).

use crate::reply;
use crate::session::{End, Session};
use codec_smtp::Reply;
use contract_transport::pressure::{Sender, Stance};
use std::time::Duration;

/// Makes the client wait if need be; gives the refusal of the message, if it is refused.
pub(crate) async fn meet(session: &mut Session) -> Result<Option<Reply>, End> {
    let Some(pressure) = session.shared.pressure.get() else { return Ok(None) };
    let stance = pressure.stance(sender(session));
    let label = match stance {
        Stance::Take => return Ok(None),
        Stance::Wait(_) => "delayed",
        Stance::Later => "deferred",
        Stance::Close => "closed",
    };
    metrics::counter!("rialto_smtp_pressure_total", "result" => label).increment(1);
    match stance {
        Stance::Take => Ok(None),
        Stance::Wait(how_long) => {
            wait(session, how_long).await?;
            Ok(None)
        }
        Stance::Later => {
            session.nuisance.excuse();
            Ok(Some(reply::short_of_resources()))
        }
        Stance::Close => Err(End::Say(reply::closed_for_now(&session.config().host_name))),
    }
}

/// Who the client is, as far as importance goes.
fn sender(session: &Session) -> Sender {
    let permissions = session.permissions();
    match () {
        () if permissions.servers => Sender::Server,
        () if session.may_relay() => Sender::Own,
        () if session.is_known() => Sender::Partner,
        () => Sender::Stranger,
    }
}

/// What the client is owed for earlier commands does not wait with it; nor does a node that stops.
async fn wait(session: &mut Session, how_long: Duration) -> Result<(), End> {
    session.connection.flush().await?;
    let shutdown = session.connection.shutdown().clone();
    let pause = session.clock().sleep(how_long);
    tokio::select! {
        () = shutdown.cancelled() => Err(End::Say(Reply::shutting_down(&session.config().host_name))),
        () = pause => Ok(()),
    }
}
