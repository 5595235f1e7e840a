//! What scanners make of a message that has come whole, put into effect before it is committed.

use crate::accept::{Gathered, to_its_end};
use crate::reply;
use crate::session::Session;
use base::{Deadline, Result};
use bytes::Bytes;
use codec_mime::{Limits, ParsedMessage, Scanner};
use codec_smtp::Reply;
use contract_blob::{Content, Segment, Staged};
use contract_transport::Submission;
use contract_transport::scanner::scanning::{Facts, Fate, Mail, Scanned, Scanners};
use contract_transport::tracking::Involved;
use futures::TryStreamExt;
use std::sync::Arc;

/// The most bytes of a header that stand in rows of the queue; more of them become a blob.
const INLINE_BYTES_MAX: usize = 8 * 1024;

/// Names of fields that only we write begin so, in lower case.
const OWN_PREFIX: &[u8] = b"x-rialto-";

/// Whether this session's mail is shown to scanners.
pub(crate) fn is_wanted(session: &Session) -> bool {
    let scanners = session.shared.scanners.get();
    scanners.is_some_and(|scanners| scanners.see(session.may_relay()))
}

impl Session {
    /// Shows a message to the scanners, if any is to see it, and makes of it what they want;
    /// `None` where it is to vanish, and its client to hear that it was taken.
    ///
    /// # Errors
    /// The reply for the client where they do not want it, or it could not be read.
    pub(crate) async fn scanned(&self, mut gathered: Gathered) -> Result<Option<Gathered>, Reply> {
        let Some(header) = gathered.header.take() else { return Ok(Some(gathered)) };
        let Some(scanners) = self.shared.scanners.get() else {
            return Ok(Some(gathered));
        };
        let found = self.ask(scanners, &gathered, header).await;
        let Scanned { fate, front, header, reason } = found;
        let refusal = match fate {
            Fate::Accepted => {
                let changed = self.change(&mut gathered, front, header).await;
                changed.map_err(|error| reply::of(&error, "scan"))?;
                return Ok(Some(gathered));
            }
            Fate::Refused(refusal) => Some(reply::of_scanner(&refusal)),
            Fate::Discarded => None,
        };
        let queue = gathered.submission.queue;
        let peer = self.connection.peer();
        let what = if refusal.is_some() { "refused" } else { "discarded" };
        tracing::info!(session = %self.id, %queue, %peer, reason, "a scanner's message is {what}");
        // Who is to come again will, and then there is something to be told.
        if refusal.as_ref().is_none_or(|refusal| refusal.code() >= 500) {
            let status = if refusal.is_some() { "5.7.1" } else { "2.0.0" };
            self.tell(&gathered.submission, (what, status), &reason).await;
        }
        refusal.map_or(Ok(None), Err)
    }

    async fn ask(
        &self,
        scanners: &Arc<dyn Scanners>,
        gathered: &Gathered,
        header: Bytes,
    ) -> Scanned {
        let envelope = &gathered.submission.envelope;
        let mail = Mail {
            facts: Facts {
                queue: gathered.submission.queue,
                peer: self.connection.peer(),
                helo: envelope.source.helo.clone(),
                tls: self
                    .connection
                    .tls_info()
                    .map(|tls| (tls.version.to_string(), tls.cipher.to_string())),
                user: self.login.as_ref().map(|login| login.account.address.to_string()),
                is_ours: self.may_relay(),
                sender: envelope.sender.clone(),
                recipients: envelope.recipients.iter().map(|one| one.address.clone()).collect(),
                host_name: self.config().host_name.clone(),
            },
            front: gathered.front.clone(),
            header,
            staged: gathered.submission.staged.first().cloned(),
            body_at: gathered.body_at,
        };
        scanners.scan(mail).await
    }

    /// Puts fields in front, and another header in the place of the message's own.
    async fn change(
        &self,
        gathered: &mut Gathered,
        front: Bytes,
        header: Option<Bytes>,
    ) -> Result<()> {
        if let Some(header) = header {
            self.rewrite(gathered, header).await?;
        }
        let own_bytes = gathered.front.len() + own_bytes(&front);
        let mut front = Bytes::from([&gathered.front[..], &front[..]].concat());
        let rest = front.split_off(inline_bytes(&front, own_bytes));
        gathered.front = front;
        if rest.is_empty() {
            return Ok(());
        }
        let submission = &mut gathered.submission;
        let rest_bytes = rest.len() as u64;
        let segment = self.segment(rest, &mut submission.staged).await?;
        submission.content.segments.insert(0, segment);
        let parsed = ParsedMessage::clone(&submission.parsed);
        submission.parsed = Arc::new(parsed.shifted(rest_bytes));
        Ok(())
    }

    /// Fields as part of a message: themselves, or the blob that they become.
    async fn segment(&self, bytes: Bytes, staged: &mut Vec<Staged>) -> Result<Segment> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Segment::Inline(bytes));
        }
        let blobs = self.shared.blobs.clone();
        let deadline = Deadline::after(self.config().commit_timeout());
        let upload = async move {
            let mut upload = blobs.upload();
            upload.write(bytes).await?;
            upload.finish().await
        };
        let blob = to_its_end(deadline, upload).await?;
        let segment = Segment::Blob { id: blob.id, offset: 0, size_bytes: blob.size_bytes };
        staged.push(blob);
        Ok(segment)
    }

    /// Puts another header in the place of the message's own. What was parsed fitted the old one.
    async fn rewrite(&self, gathered: &mut Gathered, header: Bytes) -> Result<()> {
        let submission = &mut gathered.submission;
        // As much room as the old one had, and what was added to it.
        let root_header_bytes = self.config().header_bytes_max + header.len();
        let limits = Limits { root_header_bytes, ..Limits::default() };
        let mut scanner = Scanner::new(limits);
        scanner.push(&header);
        let mut staged = Vec::new();
        let mut segments = vec![self.segment(header, &mut staged).await?];
        if let Some(message) = submission.staged.first() {
            let range = gathered.body_at..message.size_bytes;
            segments.extend(Content::of(message).slice(range.clone()).segments);
            let mut pieces = self.shared.blobs.read_staged(message, range);
            while let Some(piece) = pieces.try_next().await? {
                scanner.push(&piece);
            }
        }
        submission.content = Content { segments };
        submission.staged.extend(staged);
        submission.parsed = Arc::new(scanner.finish());
        Ok(())
    }

    /// Has it tracked what became of a message that nobody will find anywhere else. It is no
    /// reason to answer otherwise if that fails.
    async fn tell(&self, submission: &Submission, (what, status): (&str, &str), reason: &str) {
        let told = format!("{what} by the scanner {reason}");
        let one = |address: &base::Address| Involved::told(address.clone(), status, &told);
        let about = submission.envelope.recipients.iter().map(|to| one(&to.address)).collect();
        let tracked = self.shared.transport.track_refusal(submission, about).await;
        if let Err(error) = tracked {
            tracing::warn!(queue = %submission.queue, %error, "a refusal is not tracked");
        }
    }
}

/// The same message with `front` before all of it.
pub(crate) fn with_front(submission: Submission, front: Bytes) -> Submission {
    if front.is_empty() {
        return submission;
    }
    let parsed: ParsedMessage = Arc::unwrap_or_clone(submission.parsed);
    let parsed = Arc::new(parsed.shifted(front.len() as u64));
    Submission { content: submission.content.with_prefix(front), parsed, ..submission }
}

/// How much of what scanners put in front is ours: notes of them, and the mark of junk.
fn own_bytes(front: &[u8]) -> usize {
    let is_own = |name: &[u8]| {
        name.get(..OWN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX))
    };
    let fields = codec_mime::header::fields(front).take_while(|field| is_own(field.name));
    fields.last().map_or(0, |field| field.range.end)
}

/// How much of what stands in front stays in the first segment, where others look for what we have
/// found: all that is ours, and as many whole fields as may be.
fn inline_bytes(front: &[u8], own_bytes: usize) -> usize {
    if front.len() <= INLINE_BYTES_MAX {
        return front.len();
    }
    let ends = codec_mime::header::fields(front).map(|field| field.range.end);
    ends.take_while(|end| *end <= INLINE_BYTES_MAX).last().unwrap_or(0).max(own_bytes)
}

/// What a message's own header would be without fields by which scanners and we speak: a stranger
/// could say with them that it was found harmless. Copied only if something is left out.
pub(crate) fn without_claims(header: Bytes) -> Bytes {
    use contract_transport::scanner::scanning::SCANNER_PREFIXES;
    let is_claim = |name: &[u8]| {
        let seen = name.iter().filter(|byte| byte.is_ascii_graphic()).map(u8::to_ascii_lowercase);
        let mut prefixes = SCANNER_PREFIXES.iter().chain([&OWN_PREFIX]);
        prefixes.any(|own| seen.clone().take(own.len()).eq(own.iter().copied()))
    };
    let (mut kept, mut at) = (Vec::new(), 0);
    for field in codec_mime::header::fields(&header).filter(|field| is_claim(field.name)) {
        kept.extend_from_slice(&header[at..field.range.start]);
        at = field.range.end;
    }
    if at == 0 {
        return header;
    }
    kept.extend_from_slice(&header[at..]);
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_stays_in_the_first_segment() {
        let check = |front: &str, own: &str, inline: &str| {
            let found = own_bytes(front.as_bytes());
            assert_eq!(&front[..found], own, "{front:.200}");
            assert_eq!(inline_bytes(front.as_bytes(), found), inline.len(), "{front:.200}");
        };
        check("", "", "");
        let ours = "X-Rialto-Scan: av; clean\r\nX-Rialto-Spam: junk (av)\r\n";
        check(ours, ours, ours);
        let short = format!("{ours}X-Spam: yes\r\nX-Rialto-Scan: forged\r\n");
        check(&short, ours, &short);
        let line = format!("X-Long: {}\r\n", "x".repeat(900));
        let some = format!("{ours}{}", line.repeat(8));
        check(&format!("{some}{line}{line}"), ours, &some);
        let huge = format!("X-Long: {}\r\n", format!("{}\r\n ", "x".repeat(900)).repeat(10));
        check(&format!("{ours}{huge}"), ours, ours);
        let notes = ours.repeat(300);
        check(&format!("{notes}{line}"), &notes, &notes);
    }

    #[test]
    fn attack_20_what_strangers_say_in_the_name_of_scanners_is_removed() {
        let check = |header: &str, expect: &str| {
            let left = without_claims(Bytes::from(header.to_owned()));
            assert_eq!(left, expect.as_bytes(), "{header:?}");
        };
        let rest = "From: a@b.test\r\nSubject: hello\r\n\r\n";
        check(rest, rest);
        for forged in [
            "X-Spam: no",
            "X-Spam-Status: No, score=-99\r\n\ttests=none",
            "x-SPAMD-Result: default: False",
            "X-Rspamd-Server: mx",
            "X-Virus-Scanned: clean :",
            "X-\x08Spam-Flag: NO",
            "X-Rialto-Scan: av; clean",
            "x-rialto-Spam: none",
            "X-Rialto-\x08Scan : av; clean",
        ] {
            check(&format!("{forged}\r\n{rest}"), rest);
            check(&format!("A: b\r\n{forged}\r\n{forged}\r\n{rest}"), &format!("A: b\r\n{rest}"));
        }
        for kept in ["X-Spa: m", "Subject: X-Spam: no", "X-My-Spam: no"] {
            check(&format!("{kept}\r\n{rest}"), &format!("{kept}\r\n{rest}"));
        }
    }
}
