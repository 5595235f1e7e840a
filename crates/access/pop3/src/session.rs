//! One client's session: reading commands, the dispatch, and how it ends.

use crate::command::{
    apop, auth, capa, dele, lang, list, noop, pass, quit, retr, rset, stat, stls, top, uidl, user,
    utf8,
};
use crate::config::{BAD_MAX, BAD_PRE_AUTH_MAX};
use crate::phrase::Phrase;
use crate::reply::{Answer, Ending, Reply, Said, Stop};
use crate::service::Shared;
use crate::state::State;
use crate::wire::{Patience, Wire};
use access_listener::Connection;
use access_listener::account::is_still_signed_in;
use base::Deadline;
use codec_pop3::{Code, Command};
use std::sync::Arc;

/// All that a session is.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wire: Wire,
    pub(crate) state: State,
    /// Lines in a row that could not be read.
    bad: u32,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let state = State::begin(Deadline::after(shared.config.login_timeout()));
        Self { shared, wire: Wire::new(connection), state, bad: 0 }
    }

    /// Talks to the client until either side is done.
    pub(crate) async fn run(mut self) {
        self.wire.say(&Reply::ok(Phrase::Greeting));
        let ending = loop {
            if let Err(ending) = self.step().await {
                break ending;
            }
        };
        if let State::Transaction(user) = &mut self.state {
            user.mark_read().await;
        }
        match ending {
            Ending::Words(words) => self.wire.say(&words),
            Ending::Quiet => {}
            Ending::Broken => return,
        }
        // The session's place is free before a slow client has taken its goodbye.
        let Self { wire, state, .. } = self;
        drop(state);
        wire.close().await;
    }

    /// Reads and answers one command.
    async fn step(&mut self) -> Result<(), Ending> {
        // A stranger who always has a command waiting has no more time than others.
        if let State::Authorization(stranger) = &self.state
            && stranger.deadline.has_passed()
        {
            return Err(Ending::Quiet);
        }
        let patience = self.patience();
        let Ok(line) = self.wire.line(patience).await? else {
            return self.bad();
        };
        match Command::parse(&line) {
            Ok(command) => {
                self.bad = 0;
                self.answer(command).await?;
            }
            Err(_) => self.bad()?,
        }
        self.wire.relieve().await
    }

    /// How long to wait for the client now.
    pub(crate) fn patience(&self) -> Patience {
        let config = &self.shared.config;
        let silence = match &self.state {
            State::Authorization(stranger) => stranger.deadline,
            State::Transaction(_) => Deadline::after(config.idle_timeout()),
        };
        Patience { silence, stall: config.stall_timeout() }
    }

    async fn answer(&mut self, command: Command) -> Result<(), Ending> {
        self.still_signed_in().await?;
        let (name, begun) = (command.name(), self.shared.env.clock.monotonic());
        let outcome = self.dispatch(command).await;
        let took = self.shared.env.clock.monotonic().saturating_sub(begun);
        metrics::histogram!("rialto_pop3_command_seconds", "command" => name).record(took);
        match outcome {
            Ok(Said::Line(reply)) | Err(Stop::Reply(reply)) => {
                self.wire.say(&reply);
                Ok(())
            }
            Ok(Said::All) => Ok(()),
            Err(Stop::End(ending)) => Err(ending),
        }
    }

    /// Ends a session whose account was disabled or removed, or whose password was changed; nothing
    /// is removed then. Where nobody can be asked the session goes on: its commands will fail for
    /// the same reason.
    async fn still_signed_in(&self) -> Result<(), Ending> {
        let State::Transaction(user) = &self.state else {
            return Ok(());
        };
        match is_still_signed_in(&*self.shared.directory, &user.account).await {
            Ok(false) => Err(Ending::Words(Reply::because(Code::Auth, Phrase::AccountChanged))),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    /// The whole protocol.
    async fn dispatch(&mut self, command: Command) -> Answer {
        match command {
            Command::User { name } => user::run(self, name),
            Command::Pass { password } => Box::pin(pass::run(self, &password)).await,
            Command::Apop => apop::run(),
            Command::Auth { mechanism, initial } => {
                Box::pin(auth::run(self, mechanism.as_deref(), initial)).await
            }
            Command::Stls => stls::run(self).await,
            Command::Capa => capa::run(self),
            Command::Utf8 => utf8::run(self),
            Command::Lang { tag } => lang::run(self, tag.as_deref()),
            Command::Stat => stat::run(self),
            Command::List { number } => list::run(self, number).await,
            Command::Uidl { number } => uidl::run(self, number).await,
            Command::Retr { number } => Box::pin(retr::run(self, number)).await,
            Command::Top { number, lines } => Box::pin(top::run(self, number, lines)).await,
            Command::Dele { number } => dele::run(self, number),
            Command::Rset => rset::run(self),
            Command::Noop => noop::run(self),
            Command::Quit => Box::pin(quit::run(self)).await,
        }
    }

    /// Answers what is no command; gives up on a client that says nothing else.
    fn bad(&mut self) -> Result<(), Ending> {
        self.bad += 1;
        let max = match self.state {
            State::Authorization(_) => BAD_PRE_AUTH_MAX,
            State::Transaction(_) => BAD_MAX,
        };
        if self.bad >= max {
            return Err(Ending::Words(Reply::err(Phrase::TooManyBadCommands)));
        }
        self.wire.say(&Reply::err(Phrase::BadCommand));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<F: Future<Output = ()>>(_run: fn(Session) -> F) -> usize {
        size_of::<F>()
    }

    /// A server has thousands of sessions that wait, and what a session may ever need is reserved
    /// from its start: large commands are boxed.
    #[test]
    fn a_waiting_session_is_small() {
        assert!(future_bytes(Session::run) < 6 * 1024);
    }
}
