//! One client's session: its state, its time limits, the one dispatch, the one place that writes.
//!
//! ```text
//!            EHLO            (AUTH)           MAIL          RCPT…        DATA | BDAT LAST
//!  greeted ───────▶ ready ───────────▶ ready ─────▶ envelope ─────▶ … ─────────────▶ ready
//!     ▲   STARTTLS    │                               │ RSET, EHLO
//!     └───────────────┘ forgets all                   └──────▶ ready
//! ```
//!
//! A handler gives `Ok(reply)` and the session goes on, or an [`End`]. Errors are counted where
//! replies pass by, so no handler can forget to.

use crate::command::{self, bdat::Chunked};
use crate::config::Config;
use crate::nuisance::Nuisance;
use crate::places::is_spared;
use crate::service::Shared;
use crate::terms::Terms;
use access_listener::Connection;
pub(crate) use access_listener::Pace;
use base::env::Clock;
use base::logs::Conversation;
use base::telemetry::Printable;
use base::{Address, Deadline, SessionId};
use bytes::Bytes;
use codec_smtp::command::Dialect;
use codec_smtp::framer::LINE_BYTES_MAX;
use codec_smtp::{Command, LineError, LineFramer, Reply};
use contract_directory::Account;
use contract_mailbox::MailboxHandle;
use contract_transport::Recipient;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a handler answers.
pub(crate) type Outcome = Result<Reply, End>;

/// Why a session ends.
pub(crate) enum End {
    /// After this reply.
    Say(Reply),
    /// The client is gone, or does not read.
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// One session.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    /// Its receive connector, as it was when the session began.
    pub(crate) terms: Arc<Terms>,
    pub(crate) connection: Connection,
    pub(crate) id: SessionId,
    pub(crate) framer: LineFramer,
    /// What the client calls itself, once it has said so.
    pub(crate) client: Option<Client>,
    /// Who has signed in.
    pub(crate) login: Option<Login>,
    /// MAIL was accepted.
    pub(crate) envelope: Option<Draft>,
    /// BDAT has begun.
    pub(crate) chunked: Option<Box<Chunked>>,
    /// 220 to STARTTLS is on its way, a handshake comes next.
    pub(crate) tls_promised: bool,
    pub(crate) nuisance: Nuisance,
    /// What was said, if its connector wants that logged.
    pub(crate) log: Option<Box<Conversation>>,
    /// Exchange's ConnectionTimeout.
    until: Deadline,
}

/// A client that has introduced itself.
pub(crate) struct Client {
    /// As it said; not verified.
    pub(crate) name: String,
    /// By EHLO, not HELO.
    pub(crate) extended: bool,
}

/// Somebody who has signed in, and the way to their mailbox.
pub(crate) struct Login {
    pub(crate) account: Arc<Account>,
    pub(crate) mailbox: Arc<MailboxHandle>,
}

/// An envelope that grows.
pub(crate) struct Draft {
    pub(crate) sender: Option<Address>,
    pub(crate) recipients: Vec<Recipient>,
    /// ENVID (RFC 3461 §4.4).
    pub(crate) envelope_id: Option<String>,
    /// RET=HDRS (RFC 3461 §4.3).
    pub(crate) return_headers_only: bool,
    /// Addresses and headers may be UTF-8 (RFC 6531 §3.4).
    pub(crate) smtputf8: bool,
    /// What comes is any octets (RFC 3030 §3).
    pub(crate) is_binary: bool,
    /// REQUIRETLS (RFC 8689).
    pub(crate) require_tls: bool,
    /// Recipients that were put off because there were too many.
    pub(crate) excess: usize,
    /// Recipients that were named once more.
    pub(crate) repeated: usize,
}

impl Session {
    /// `local` is where the listener is.
    pub(crate) fn new(
        shared: Arc<Shared>,
        terms: Arc<Terms>,
        connection: Connection,
        local: SocketAddr,
    ) -> Self {
        let id = SessionId(shared.env.random.u128());
        let log = shared.protocol_log.get();
        let log =
            log.and_then(|log| log.begin(&terms.connector.name, id, local, connection.peer()));
        let until = Deadline::after(terms.config.connection_timeout());
        Self {
            shared,
            terms,
            connection,
            id,
            framer: LineFramer::new(LINE_BYTES_MAX),
            client: None,
            login: None,
            envelope: None,
            chunked: None,
            tls_promised: false,
            nuisance: Nuisance::default(),
            log,
            until,
        }
    }

    /// Talks until either side is done. No `async fn`: its future would hold the session twice, as it
    /// was given and as it is used.
    #[allow(clippy::manual_async_fn)]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            if let Some(tls) = self.connection.tls_info() {
                let cipher = format!("{} {}", tls.version, tls.cipher);
                self.noted("TLS", &cipher);
            }
            self.say(&self.greeting());
            let end = loop {
                if let Err(end) = self.turn().await {
                    break end;
                }
            };
            if let End::Say(reply) = end {
                self.say(&reply);
                self.connection.close().await;
            }
        }
    }

    /// One command and its reply.
    async fn turn(&mut self) -> Result<(), End> {
        let reply = match self.line().await? {
            // Boxed, so that a session that waits for a command does not carry the largest.
            Ok(line) => Box::pin(self.obey(line)).await?,
            Err(error) => {
                self.noted("a line that is none", &error.to_string());
                Reply::bad_line(error.to_string())
            }
        };
        self.answer(&reply)?;
        if std::mem::take(&mut self.tls_promised) {
            Box::pin(command::starttls::upgrade(self)).await?;
        }
        Ok(())
    }

    /// A line that ought to be a command.
    async fn obey(&mut self, line: Bytes) -> Outcome {
        let parsed = Command::parse(&line, self.dialect());
        self.heard(&line, &parsed);
        match parsed {
            Ok(command) => self.dispatch(command).await,
            Err(error) if error.is_fatal() => Err(End::Say(error.reply())),
            Err(error) => Ok(error.reply()),
        }
    }

    /// Once an envelope has begun, it says whether there may be UTF-8 in its addresses.
    fn dialect(&self) -> Dialect {
        let smtputf8 = match &self.envelope {
            Some(draft) => draft.smtputf8,
            None => self.client.as_ref().is_some_and(|client| client.extended),
        };
        Dialect { smtputf8 }
    }

    async fn dispatch(&mut self, command: Command) -> Outcome {
        if is_junk(&command) {
            self.nuisance.junk();
        }
        match command {
            Command::Ehlo { name } => command::ehlo::extended(self, name),
            Command::Helo { name } => command::ehlo::plain(self, name),
            Command::Mail { from, params } => command::mail::run(self, from, params).await,
            Command::Rcpt { to, params } => command::rcpt::run(self, to, params).await,
            Command::Data => command::data::run(self).await,
            Command::Bdat { size_bytes, last } => command::bdat::run(self, size_bytes, last).await,
            Command::Rset => command::rset::run(self),
            Command::Noop => command::noop::run(),
            Command::Quit => command::quit::run(),
            Command::Vrfy { .. } => command::vrfy::run(),
            Command::Expn { .. } => command::expn::run(),
            Command::Help => command::help::run(),
            Command::StartTls => command::starttls::run(self),
            Command::Auth { mechanism, initial } => {
                command::auth::run(self, &mechanism, initial).await
            }
            Command::Unknown { verb } => command::unknown(&verb),
        }
    }

    /// Queues a reply and counts it; too many errors end the session.
    pub(crate) fn answer(&mut self, reply: &Reply) -> Result<(), End> {
        self.say(reply);
        match self.nuisance.replied(reply.code(), &self.terms.config) {
            true => Err(self.too_much()),
            false => Ok(()),
        }
    }

    /// The end of a session that was too much trouble.
    pub(crate) fn too_much(&self) -> End {
        End::Say(Reply::too_many_errors(&self.config().host_name))
    }

    /// Queues a reply. The only place that does.
    pub(crate) fn say(&mut self, reply: &Reply) {
        const CLASSES: [&str; 6] = ["0", "1", "2xx", "3xx", "4xx", "5xx"];
        let class = CLASSES[usize::from(reply.code() / 100).min(5)];
        metrics::counter!("rialto_smtp_replies_total", "class" => class).increment(1);
        tracing::trace!(session = %self.id, %reply, "reply");
        self.told(reply);
        self.connection.queue(reply.to_bytes());
    }

    /// The next line, or what is wrong with it. Replies that wait are sent before waiting. The
    /// limits hold for a client that always has bytes waiting, too.
    pub(crate) async fn line(&mut self) -> Result<Result<Bytes, LineError>, End> {
        // A message that comes in chunks has its own pace.
        let until = self.chunked.as_ref().map_or(self.until, |chunked| chunked.deadline());
        let deadline = until.within(self.config().idle_timeout());
        loop {
            if self.is_told_to_end() {
                return Err(End::Say(Reply::shutting_down(&self.config().host_name)));
            }
            self.rest(until)?;
            match self.framer.next_line(self.connection.input()) {
                Ok(Some(line)) => return Ok(Ok(line)),
                Ok(None) => {}
                Err(error) => return Ok(Err(error)),
            }
            self.connection.flush().await?;
            let timeout = self.rest(deadline)?;
            let shutdown = self.connection.shutdown().clone();
            let may_end = self.envelope.is_none();
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if may_end => {}
                read = self.connection.fill(timeout) => self.filled(read)?,
            }
        }
    }

    /// What is left until a deadline.
    fn rest(&self, deadline: Deadline) -> Result<Duration, End> {
        let rest = deadline.remaining();
        if rest.is_zero() {
            return Err(End::Say(Reply::timed_out(&self.config().host_name)));
        }
        Ok(rest)
    }

    /// A message begins.
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.config().connection_timeout(), self.config().message_bytes_per_s_min)
    }

    /// Waits for more of a message. Replies that wait are sent first: a client may want to know
    /// of MAIL and RCPT before it sends its chunk. What is `refused` already is only looked
    /// through for its end, within bounds.
    pub(crate) async fn fill_message(
        &mut self,
        pace: &mut Pace,
        refused: Option<&Reply>,
    ) -> Result<(), End> {
        if let Some(reply) = refused
            && self.nuisance.would_waste_too_much(pace.bytes(), self.config())
        {
            return Err(End::Say(reply.clone()));
        }
        self.connection.flush().await?;
        let timeout = self.rest(pace.deadline().within(self.config().idle_timeout()))?;
        let read = self.connection.fill(timeout).await;
        pace.took(*read.as_ref().unwrap_or(&0));
        self.filled(read)
    }

    fn filled(&self, read: io::Result<usize>) -> Result<(), End> {
        match read {
            Ok(0) => Err(End::Gone),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(End::Say(Reply::timed_out(&self.config().host_name)))
            }
            Err(error) => {
                let error = error.to_string();
                tracing::debug!(session = %self.id, error = %Printable(&error), "client lost");
                Err(End::Gone)
            }
        }
    }

    /// Whether the server drains and no message is begun.
    fn is_told_to_end(&self) -> bool {
        self.envelope.is_none() && self.connection.shutdown().is_cancelled()
    }

    /// Makes a client wait whose last command may have been a guess. What it is owed for earlier
    /// commands does not wait with it: a 250 that comes too late is a message sent twice.
    pub(crate) async fn tarpit(&mut self) {
        let config = &self.terms.config;
        if self.is_known() || is_spared(config, self.connection.peer().ip()) {
            return;
        }
        let wait = self.nuisance.tarpit(config);
        if !wait.is_zero() {
            // A connection that fails here fails again at the next reply.
            let _failed = self.connection.flush().await;
            self.clock().sleep(wait).await;
        }
    }

    /// Forgets the envelope (RFC 5321 §4.1.1.5).
    pub(crate) fn reset(&mut self) {
        self.envelope = None;
        self.chunked = None;
    }

    pub(crate) fn config(&self) -> &Config {
        &self.terms.config
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.env.clock
    }
}

/// Commands that move no mail (attack 17).
fn is_junk(command: &Command) -> bool {
    matches!(
        command,
        Command::Ehlo { .. }
            | Command::Helo { .. }
            | Command::Rset
            | Command::Noop
            | Command::Vrfy { .. }
            | Command::Expn { .. }
            | Command::Help
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How large the future is that an asynchronous function returns.
    fn future_bytes<A, F>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_session_that_waits_is_small() {
        let bytes = future_bytes(Session::run);
        assert!(bytes <= 2_500, "{bytes} bytes for each idle session");
    }
}
