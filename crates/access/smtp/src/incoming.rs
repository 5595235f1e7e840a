//! A message on its way in: parsed and stored as it comes, never held whole.
//!
//! The parser is given our own Received field first, as it will stand in the stored message, so
//! that what it finds fits the stored bytes whatever the message begins with. A refusal is kept
//! until the message's end; from then on its bytes are only passed over.

use crate::binary::{Binary, Lines};
use crate::reply;
use crate::scan;
use crate::screen::Screen;
use crate::session::{Draft, Session};
use crate::trace;
use base::{ByteBudget, ByteShare, Deadline, QueueId, Timestamp};
use bytes::Bytes;
use codec_mime::{Limits, ParsedMessage, Scanner};
use codec_smtp::Reply;
use contract_blob::{Blobs, INLINE_BYTES_MAX, UPLOAD_BYTES_MAX, Upload};
use contract_transport::Source;
use contract_transport::authentication::Checked;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// An upload holds at most this much of a message, however large (`contract_blob::Upload`), so
/// this much of the budget is taken for it.
const HELD_BYTES_MAX: usize = 2 * UPLOAD_BYTES_MAX + INLINE_BYTES_MAX;

/// A budget that is used up for so long means overload.
const BUDGET_WAIT: Duration = Duration::from_secs(10);

/// An upload that can be part of a session. Uploads are not `Sync`, and a session must be; nobody
/// ever locks this.
type Unshared = Mutex<Box<dyn Upload>>;

/// A message on its way in.
pub(crate) struct Incoming {
    queue: QueueId,
    accepted: Timestamp,
    source: Source,
    trace: Bytes,
    scanner: Scanner,
    upload: Option<Unshared>,
    refusal: Option<Reply>,
    hops_max: usize,
    header_bytes_max: usize,
    budget: ByteBudget,
    shares: Vec<ByteShare>,
    held_bytes: usize,
    size_bytes: u64,
    begins_blank: bool,
    /// What makes lines of it, if it may be any octets, and how long that may take.
    binary: Option<(Arc<dyn Blobs>, Duration)>,
    /// Whether its author will be asked for: the message is submitted.
    is_submitted: bool,
    /// Whether scanners will see it.
    is_scanned: bool,
    /// Who it is from is being checked.
    screen: Option<Screen>,
}

/// A message that has come whole and was not refused.
pub(crate) struct Arrived {
    pub(crate) queue: QueueId,
    pub(crate) accepted: Timestamp,
    pub(crate) source: Source,
    /// Our Received field.
    pub(crate) trace: Bytes,
    /// Fits the trace field with the message behind it.
    pub(crate) parsed: ParsedMessage,
    /// What was found of its sender: fields to put in front of all others.
    pub(crate) results: Bytes,
    /// Its header as it was sent, behind ours; of messages only that are submitted or scanned.
    pub(crate) header: Vec<u8>,
    /// Whether scanners are to see it.
    pub(crate) is_scanned: bool,
    /// Its first line begins with a blank, so it would become part of a field put in front of it.
    pub(crate) begins_blank: bool,
    /// Everything behind the trace field; `None` for nothing.
    pub(crate) upload: Option<Unshared>,
    /// Bytes behind the trace field.
    pub(crate) size_bytes: u64,
    /// The memory that the upload may still hold.
    pub(crate) shares: Vec<ByteShare>,
}

impl Incoming {
    /// At 354, or at the first BDAT.
    pub(crate) fn begin(session: &Session, draft: &Draft) -> Self {
        let shared = &session.shared;
        let accepted = shared.env.clock.now();
        let queue = QueueId::new(accepted, shared.env.random.u128());
        let source = trace::source(session, draft);
        let trace = trace::received(session, draft, &source, queue, accepted);
        let header_bytes_max = session.config().header_bytes_max + trace.len();
        let limits = Limits { root_header_bytes: header_bytes_max, ..Limits::default() };
        let mut scanner = Scanner::new(limits);
        scanner.push(&trace);
        let is_scanned = scan::is_wanted(session);
        Self {
            queue,
            accepted,
            source,
            trace,
            scanner,
            upload: Some(Mutex::new(shared.blobs.upload())),
            refusal: None,
            hops_max: session.config().hops_max,
            header_bytes_max,
            budget: shared.buffers.clone(),
            shares: Vec::new(),
            held_bytes: 0,
            size_bytes: 0,
            begins_blank: false,
            binary: draft
                .is_binary
                .then(|| (shared.blobs.clone(), session.config().commit_timeout())),
            is_submitted: session.login.is_some(),
            is_scanned,
            screen: Screen::begin(session, draft, is_scanned),
        }
    }

    /// Refuses the message; the first reason is the one that is told. Frees what it holds.
    pub(crate) fn refuse(&mut self, reply: Reply) {
        if self.refusal.is_none() {
            self.refusal = Some(reply);
            self.upload = None;
            self.screen = None;
            self.shares = Vec::new();
            self.scanner = Scanner::new(Limits::default());
        }
    }

    /// Why it is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<&Reply> {
        self.refusal.as_ref()
    }

    /// Takes the next bytes; `pieces` is empty afterwards.
    pub(crate) async fn take(&mut self, pieces: &mut Vec<Bytes>) {
        for piece in pieces.drain(..) {
            if self.refusal.is_some() {
                continue;
            }
            if let Err(refusal) = self.take_piece(piece).await {
                self.refuse(refusal);
            }
        }
    }

    async fn take_piece(&mut self, piece: Bytes) -> Result<(), Reply> {
        if self.held_bytes < HELD_BYTES_MAX {
            let share = self.budget.take(piece.len(), Deadline::after(BUDGET_WAIT)).await;
            self.shares.push(share.map_err(|_| Reply::insufficient_resources())?);
            self.held_bytes += piece.len();
        }
        let Some(screen) = &mut self.screen else {
            return self.store(piece).await;
        };
        let (header, body) = screen.take(piece);
        if screen.held_bytes() >= self.header_bytes_max {
            return Err(reply::header_too_large());
        }
        self.store(header).await?;
        self.store(body).await
    }

    async fn store(&mut self, piece: Bytes) -> Result<(), Reply> {
        if piece.is_empty() {
            return Ok(());
        }
        if self.size_bytes == 0 {
            self.begins_blank = matches!(piece.first(), Some(b' ' | b'\t'));
        }
        self.size_bytes += piece.len() as u64;
        let in_header = !self.scanner.header_complete();
        self.scanner.push(&piece);
        if in_header {
            self.check_header()?;
        }
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        upload.get_mut().write(piece).await.map_err(|error| reply::of(&error, "upload"))
    }

    fn check_header(&self) -> Result<(), Reply> {
        // Our own field is one of them.
        if self.scanner.received_fields() > self.hops_max + 1 {
            return Err(Reply::mail_loop());
        }
        if self.scanner.header().len() >= self.header_bytes_max {
            return Err(reply::header_too_large());
        }
        Ok(())
    }

    /// The message has come to its end. Waits for what is found of its sender.
    pub(crate) async fn arrived(mut self) -> Result<Arrived, Reply> {
        let rest = self.screen.as_mut().map(Screen::rest).unwrap_or_default();
        if let Err(refusal) = self.store(rest).await {
            self.refuse(refusal);
        }
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let checked = match self.screen.take() {
            Some(screen) => screen.finish().await,
            None => Checked::default(),
        };
        if let Some(reason) = checked.refusal {
            return Err(reply::not_authentic(&reason));
        }
        self.make_lines().await?;
        let keeps_header = self.is_submitted || self.is_scanned;
        let header = if keeps_header { self.scanner.header().to_vec() } else { Vec::new() };
        Ok(Arrived {
            queue: self.queue,
            accepted: self.accepted,
            source: self.source,
            trace: self.trace,
            results: checked.fields,
            header,
            is_scanned: self.is_scanned,
            parsed: self.scanner.finish(),
            begins_blank: self.begins_blank,
            upload: self.upload.filter(|_| self.size_bytes > 0),
            size_bytes: self.size_bytes,
            shares: self.shares,
        })
    }

    /// Makes lines of a message that may be any octets.
    async fn make_lines(&mut self) -> Result<(), Reply> {
        let Some((blobs, timeout)) = self.binary.take() else { return Ok(()) };
        let Some(upload) = self.upload.take().filter(|_| self.size_bytes > 0) else {
            return Ok(());
        };
        let limits = || Limits { root_header_bytes: self.header_bytes_max, ..Limits::default() };
        let scanner = std::mem::replace(&mut self.scanner, Scanner::new(limits()));
        let binary = Binary {
            blobs: &blobs,
            trace: &self.trace,
            parsed: scanner.finish(),
            limits: limits(),
        };
        let lines = binary.into_lines(upload.into_inner(), Deadline::after(timeout)).await?;
        let Lines { upload, scanner, size_bytes } = lines;
        (self.upload, self.scanner) = (Some(Mutex::new(upload)), scanner);
        self.size_bytes = size_bytes;
        Ok(())
    }
}
