//! One client's session: reading commands, the dispatch, and what follows every command.

use crate::command::{
    append, authenticate, capability, check, close, compress, copy, create, delete, enable,
    examine, expunge, fetch, getacl, getquota, id, idle, list, listrights, login, logout, lsub,
    myrights, namespace, noop, rename, search, select, setacl, setquota, sort, starttls, status,
    store, subscribe, thread, unauthenticate, unselect,
};
use crate::config::{BAD_MAX, BAD_PRE_AUTH_MAX};
use crate::modseq;
use crate::reply::{self, Answer, Ending, Reply, ReplyCode, Stop};
use crate::service::Shared;
use crate::state::{State, Stranger};
use crate::sync::{self, Ask, Manner};
use crate::transcript::Transcript;
use crate::uid_only;
use crate::wire::{Incoming, Patience, Wire, too_slow};
use access_listener::Connection;
use access_listener::account::is_still_signed_in;
use base::{Deadline, Kind};
use codec_imap::command::append_head;
use codec_imap::framer::{LiteralOffer, Refused};
use codec_imap::{Code, Command, CommandBody, ParseError, RawCommand, Status, Tag};
use std::sync::Arc;

/// All that a session is.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wire: Wire,
    pub(crate) state: State,
    /// Commands in a row that could not be read.
    bad: u32,
    /// What is asked, where that is logged.
    pub(crate) log: Option<Box<Transcript>>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let deadline = Deadline::after(shared.config.login_timeout());
        let state = State::NotAuthenticated(Stranger { failures: 0, deadline });
        let id = || shared.env.random.u64();
        let log = shared.log.get().and_then(|log| log.begin(id(), connection.peer()));
        Self { shared, wire: Wire::new(connection), state, bad: 0, log }
    }

    /// Talks to the client until either side is done.
    pub(crate) async fn run(mut self) {
        let greeting = Reply::ok("Rialto is ready").code(capability::code(&self));
        self.wire.condition(None, &greeting);
        let ending = loop {
            if let Err(ending) = self.step().await {
                break ending;
            }
        };
        match ending {
            Ending::Bye(words) => self.wire.condition(None, &words),
            Ending::Quiet => {}
            Ending::Broken => return,
        }
        // The places of the session are free before a slow client has taken its goodbye.
        self.state = State::Logout;
        self.wire.close().await;
    }

    /// Reads and answers one command.
    async fn step(&mut self) -> Result<(), Ending> {
        // A stranger who always has a command waiting has no more time than others.
        if let State::NotAuthenticated(stranger) = &self.state
            && stranger.deadline.has_passed()
        {
            return Err(too_slow());
        }
        match self.wire.next(self.patience()).await? {
            Incoming::Command(raw) => self.command(&raw).await,
            Incoming::Literal(offer) => self.literal(offer).await,
            Incoming::Chunk(_) => Ok(()),
            Incoming::Broken(error) if error.is_fatal() => {
                Err(Ending::bye(None, "Too much that is no command"))
            }
            Incoming::Broken(error) => {
                let tag = self.wire.framer.take_broken_tag();
                self.bad(tag.as_ref(), Reply::bad(error.to_string()))
            }
        }
    }

    /// How long to wait for the client now.
    pub(crate) fn patience(&self) -> Patience {
        let config = &self.shared.config;
        match &self.state {
            State::NotAuthenticated(stranger) => {
                let (silence, end) = (stranger.deadline, stranger.deadline);
                Patience { silence, stall: config.login_timeout(), end }
            }
            _ => {
                let silence = Deadline::after(config.idle_timeout());
                let end = Deadline::after(Deadline::FARTHEST);
                Patience { silence, stall: config.stall_timeout(), end }
            }
        }
    }

    async fn command(&mut self, raw: &RawCommand) -> Result<(), Ending> {
        match Command::parse_with(raw, self.wire.names) {
            Ok(command) => {
                self.bad = 0;
                self.asked(&command, raw.len_bytes());
                self.answer(command).await
            }
            Err(error) => {
                let ParseError { tag, .. } = &error;
                self.bad(tag.as_ref(), Reply::bad(error.to_string()))
            }
        }
    }

    async fn answer(&mut self, Command { tag, body }: Command) -> Result<(), Ending> {
        if !matches!(body, CommandBody::Logout) {
            self.still_signed_in().await?;
        }
        let (name, begun) = (body.name(), self.shared.env.clock.monotonic());
        let uids = body.is_uid();
        if let Some(reply) = uid_only::refusal(self, &body) {
            return self.finish(Some(&tag), &reply, Manner { expunges: false, uids }).await;
        }
        // SORT and THREAD are as SEARCH (RFC 5256 §3).
        let shows_numbers = matches!(
            body,
            CommandBody::Fetch(_)
                | CommandBody::Store(_)
                | CommandBody::Search(_)
                | CommandBody::Sort(_)
                | CommandBody::Thread(_)
        );
        let manner = Manner { expunges: uids || !shows_numbers, uids };
        let reply = match self.dispatch(&tag, body).await {
            Ok(reply) | Err(Stop::Reply(reply)) => reply,
            Err(Stop::Last(reply, bye)) => {
                self.answered(reply.status);
                self.wire.condition(Some(&tag), &reply);
                return Err(Ending::bye(None, bye));
            }
            Err(Stop::Answered) => {
                self.answered(Status::Ok);
                return Ok(());
            }
            Err(Stop::End(ending)) => return Err(ending),
        };
        let took = self.shared.env.clock.monotonic().saturating_sub(begun);
        metrics::histogram!("rialto_imap_command_seconds", "command" => name).record(took);
        self.finish(Some(&tag), &reply, manner).await
    }

    /// Ends a session whose account was disabled or removed, or whose password was changed. Where
    /// nobody can be asked the session goes on: its commands will fail for the same reason.
    pub(crate) async fn still_signed_in(&self) -> Result<(), Ending> {
        let Ok(user) = self.state.user() else {
            return Ok(());
        };
        match is_still_signed_in(&*self.shared.directory, &user.account).await {
            Ok(false) => Err(Ending::bye(None, "Your account has changed, sign in again")),
            Ok(true) | Err(_) => Ok(()),
        }
    }

    /// Tells what happened meanwhile, then the command's own condition.
    pub(crate) async fn finish(
        &mut self,
        tag: Option<&Tag>,
        reply: &Reply,
        manner: Manner,
    ) -> Result<(), Ending> {
        // Who has just not been reached is not asked again: the client has waited long enough.
        let unreachable = reply.code == Some(ReplyCode::Plain(Code::Unavailable));
        let news = match unreachable {
            true => Ok(false),
            false => self.news(Ask::IfWoken, manner).await,
        };
        let stamped = match self.state.selected() {
            Ok((user, selected)) => {
                modseq::stamp(&mut self.wire, reply, user.enabled, &selected.view)
            }
            Err(_) => None,
        };
        self.wire.condition(tag, stamped.as_ref().unwrap_or(reply));
        self.answered(reply.status);
        news?;
        match self.state {
            State::Logout => Err(Ending::Quiet),
            _ => self.wire.relieve().await,
        }
    }

    /// Asks what happened to the open folder and tells it; says whether there was an answer.
    pub(crate) async fn news(&mut self, ask: Ask, manner: Manner) -> Result<bool, Ending> {
        let Ok((user, selected)) = self.state.selected() else {
            return Ok(true);
        };
        let answered = match sync::catch_up(user, selected, ask).await {
            Ok(()) => true,
            Err(error) if error.kind == Kind::NotFound => {
                return Err(Ending::bye(Some(Code::NonExistent), "The mailbox was deleted"));
            }
            Err(error) if error.kind == Kind::Denied => return Err(sync::shut_out()),
            // The next command asks again; nothing is lost.
            Err(error) => {
                reply::log("news", &error);
                false
            }
        };
        sync::announce(&mut self.wire, selected, user.enabled, manner).await?;
        Ok(answered)
    }

    /// The whole protocol.
    async fn dispatch(&mut self, tag: &Tag, body: CommandBody) -> Answer {
        match body {
            CommandBody::Capability => capability::run(self),
            CommandBody::Noop => noop::run(self).await,
            CommandBody::Logout => logout::run(self),
            CommandBody::StartTls => starttls::run(self, tag).await,
            CommandBody::Authenticate(command) => authenticate::run(self, command).await,
            CommandBody::Login(command) => login::run(self, command).await,
            CommandBody::Id(_) => id::run(self),
            CommandBody::Enable(command) => enable::run(self, &command).await,
            CommandBody::Select(command) => select::run(self, &command).await,
            CommandBody::Examine(command) => examine::run(self, &command).await,
            CommandBody::Create(command) => create::run(self, &command).await,
            CommandBody::Delete(command) => delete::run(self, &command).await,
            CommandBody::Rename(command) => rename::run(self, &command).await,
            CommandBody::Subscribe(command) => subscribe::run(self, &command.mailbox, true).await,
            CommandBody::Unsubscribe(command) => {
                subscribe::run(self, &command.mailbox, false).await
            }
            CommandBody::List(command) => list::run(self, &command).await,
            CommandBody::Lsub(command) => lsub::run(self, &command).await,
            CommandBody::Namespace => namespace::run(self).await,
            CommandBody::Status(command) => status::run(self, &command).await,
            CommandBody::Append(command) => append::without_stream(self, &command),
            CommandBody::Idle => idle::run(self).await,
            CommandBody::Check => check::run(self).await,
            CommandBody::Close => close::run(self).await,
            CommandBody::Unselect => unselect::run(self),
            CommandBody::Unauthenticate => unauthenticate::run(self),
            CommandBody::Expunge(command) => expunge::run(self, command).await,
            CommandBody::Search(command) => Box::pin(search::run(self, tag, command)).await,
            CommandBody::Fetch(command) => Box::pin(fetch::run(self, command)).await,
            CommandBody::Store(command) => store::run(self, command).await,
            CommandBody::Copy(command) => copy::run(self, command, copy::How::Copy).await,
            CommandBody::Move(command) => copy::run(self, command, copy::How::Move).await,
            CommandBody::Sort(command) => Box::pin(sort::run(self, command)).await,
            CommandBody::Thread(command) => Box::pin(thread::run(self, command)).await,
            CommandBody::Compress(command) => compress::run(self, tag, &command).await,
            CommandBody::GetQuota(command) => getquota::run(self, &command).await,
            CommandBody::GetQuotaRoot(command) => getquota::root(self, &command).await,
            CommandBody::SetQuota(command) => setquota::run(self, &command),
            CommandBody::GetAcl(command) => getacl::run(self, &command).await,
            CommandBody::MyRights(command) => myrights::run(self, &command).await,
            CommandBody::ListRights(command) => listrights::run(self, &command).await,
            CommandBody::SetAcl(command) => setacl::run(self, command).await,
            CommandBody::DeleteAcl(command) => setacl::delete(self, command).await,
        }
    }

    /// A literal is announced: a message is streamed, a small string collected, all else refused
    /// before a byte of it is taken (attack 22).
    async fn literal(&mut self, offer: LiteralOffer) -> Result<(), Ending> {
        let head = append_head(self.wire.framer.pending(), self.wire.names);
        if let (Some((tag, head)), Ok(_)) = (head, self.state.user()) {
            self.still_signed_in().await?;
            self.asked_to_append(usize::try_from(offer.len_bytes).unwrap_or(usize::MAX));
            return Box::pin(append::receive(self, &tag, head, offer)).await;
        }
        if self.wire.framer.accept() {
            if offer.sync {
                self.wire.invite("Go on");
            }
            return Ok(());
        }
        // What is there of the command cannot be parsed, but for its tag.
        let tag = Command::parse(self.wire.framer.pending()).err().and_then(|error| error.tag);
        self.refuse_literal()?;
        self.bad(tag.as_ref(), Reply::bad("That literal is too large here"))
    }

    /// Drops the command with the literal on offer or under way.
    pub(crate) fn refuse_literal(&mut self) -> Result<(), Ending> {
        match self.wire.framer.refuse() {
            Refused::Continue => Ok(()),
            Refused::Close => Err(Ending::bye(Some(Code::TooBig), "The literal is too large")),
        }
    }

    /// Answers what cannot be read; gives up on a client that says nothing else.
    pub(crate) fn bad(&mut self, tag: Option<&Tag>, reply: Reply) -> Result<(), Ending> {
        debug_assert_eq!(reply.status, Status::Bad);
        self.wire.condition(tag, &reply);
        self.bad += 1;
        let max = match self.state {
            State::NotAuthenticated(_) => BAD_PRE_AUTH_MAX,
            _ => BAD_MAX,
        };
        if self.bad >= max {
            return Err(Ending::bye(Some(Code::ClientBug), "Too many bad commands"));
        }
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
