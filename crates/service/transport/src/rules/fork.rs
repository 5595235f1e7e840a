//! The messages that the rules make of one: for each set of recipients with the same effects a
//! message of its own.

use super::disclaimer::{self, Disclaimer, Replacement};
use super::edit;
use super::evaluate::{Edit, Effects, Fate};
use super::facts::Facts;
use super::notice;
use crate::context::Context;
use crate::targets::Failure;
use base::{Address, Error, Result};
use bytes::{Bytes, BytesMut};
use codec_mime::ParsedMessage;
use codec_mime::build::HeaderWriter;
use contract_blob::{Content, Segment, Staged};
use contract_transport::authentication;
use contract_transport::rule::Fallback;
use contract_transport::{Envelope, Notify, QueueEntry, Recipient, Source, Submission};
use std::collections::HashSet;
use std::sync::Arc;

/// The most bytes that stand in the rows of the queue; more of them become a blob.
const INLINE_BYTES_MAX: usize = 8 * 1024;

/// How many different messages are made of one at once: they are written in one transaction.
const SETS_MAX: usize = 50;

/// What the rules have made of a message.
#[derive(Default)]
pub(crate) struct Forked {
    /// The messages that take its place. The rules have seen them.
    pub(crate) messages: Vec<Successor>,
    /// Who does not get it, and whose sender is told.
    pub(crate) failures: Vec<Failure>,
    /// Who does not get it, and nobody is told; with the rules that say so.
    pub(crate) deleted: Vec<(Address, String)>,
}

/// A message that takes the place of another one, or tells of it.
pub(crate) struct Successor {
    pub(crate) message: Submission,
    /// Which rules have made it, for people.
    pub(crate) rules: String,
    /// Whether the rules have seen it; what was too much at once meets them anew.
    pub(crate) is_ruled: bool,
}

/// Makes the messages.
///
/// # Errors
/// The blob store's.
pub(super) async fn fork(
    context: &Context,
    entry: &QueueEntry,
    parsed: &Arc<ParsedMessage>,
    facts: &Facts,
    effects: &[Effects],
) -> Result<Forked> {
    let mut sets: Vec<(&Effects, Vec<usize>)> = Vec::new();
    for (number, effects) in effects.iter().enumerate() {
        match sets.iter_mut().find(|(known, _)| known.is_like(effects)) {
            Some((_, recipients)) => recipients.push(number),
            None => sets.push((effects, vec![number])),
        }
    }
    let mut forked = Forked::default();
    // Whoever is added by several sets gets one copy.
    let mut copied = HashSet::new();
    let rest = sets.split_off(sets.len().min(SETS_MAX));
    let mut reported = HashSet::new();
    for (effects, numbers) in sets {
        let fork = Fork { context, entry, parsed, facts, effects };
        fork.run(&numbers, &mut copied, &mut forked).await?;
        for html in &effects.notices {
            forked.messages.push(fork.notice(html, &numbers).await?);
        }
        for to in &effects.reports {
            if reported.insert(to.clone()) {
                forked.messages.push(fork.report(to).await?);
            }
        }
    }
    if let Some((effects, _)) = rest.first() {
        let all = &entry.envelope.recipients;
        let numbers = rest.iter().flat_map(|(_, numbers)| numbers);
        let recipients = numbers.filter_map(|number| all.get(*number)).cloned().collect();
        let fork = Fork { context, entry, parsed, facts, effects };
        let content = Rewritten { content: entry.content.clone(), staged: Vec::new() };
        let rest = fork.successor(recipients, content);
        forked.messages.push(Successor { is_ruled: false, ..rest });
    }
    Ok(forked)
}

/// What a sender has asked to be told of any of some recipients.
fn asked(recipients: impl Iterator<Item = Recipient>) -> Notify {
    let none = Notify { success: false, failure: false, delay: false };
    recipients.fold(none, |all, Recipient { notify, .. }| Notify {
        success: false,
        failure: all.failure || notify.failure,
        delay: all.delay || notify.delay,
    })
}

struct Fork<'a> {
    context: &'a Context,
    entry: &'a QueueEntry,
    parsed: &'a Arc<ParsedMessage>,
    facts: &'a Facts,
    effects: &'a Effects,
}

impl Fork<'_> {
    async fn run(
        &self,
        numbers: &[usize],
        copied: &mut HashSet<Address>,
        forked: &mut Forked,
    ) -> Result<()> {
        let all = &self.entry.envelope.recipients;
        let own = || numbers.iter().filter_map(|number| all.get(*number)).cloned();
        let refuse = |status: &str, text: &str| -> Vec<Failure> {
            let known = numbers.iter().filter_map(|number| Some((*number, all.get(*number)?)));
            known
                .map(|(number, one)| Failure::refused(one.address.clone(), number, status, text))
                .collect()
        };
        let mut recipients: Vec<Recipient> = match &self.effects.fate {
            Fate::Gets => own().collect(),
            Fate::Nothing => {
                let rules = self.effects.rules.join(", ");
                forked.deleted.extend(own().map(|one| (one.address, rules.clone())));
                Vec::new()
            }
            Fate::Redirected(to) => {
                let notify = asked(own());
                let one = |one: &Address| Recipient { notify, ..Recipient::plain(one.clone()) };
                to.iter().map(one).collect()
            }
            Fate::Refused { status, text } => {
                forked.failures.extend(refuse(status, text));
                Vec::new()
            }
        };
        let added = self.added(&recipients, asked(own()), copied);
        recipients.extend(added);
        if recipients.is_empty() {
            return Ok(());
        }
        match self.rewritten().await? {
            Some(rewritten) => {
                copied.extend(recipients.iter().map(|one| one.address.clone()));
                forked.messages.push(self.successor(recipients, rewritten));
            }
            None if self.effects.fate == Fate::Gets => {
                forked.failures.extend(refuse("5.7.1", "A text could not be put into it"));
            }
            None => {}
        }
        Ok(())
    }

    /// Who gets it beside `recipients`, but for those who have a copy.
    fn added(
        &self,
        recipients: &[Recipient],
        notify: Notify,
        copied: &HashSet<Address>,
    ) -> Vec<Recipient> {
        // The sender is not to hear of those whom nobody sees.
        let silent = Notify { success: false, failure: false, delay: false };
        let seen = self.effects.added.iter().map(|one| (one, notify));
        let blind = self.effects.blind.iter().map(|one| (one, silent));
        let mut added: Vec<Recipient> = Vec::new();
        for (address, notify) in seen.chain(blind) {
            let is_there = |list: &[Recipient]| list.iter().any(|one| one.address == *address);
            if !copied.contains(address) && !is_there(recipients) && !is_there(&added) {
                added.push(Recipient { notify, ..Recipient::plain(address.clone()) });
            }
        }
        added
    }

    /// The message with all changes made; `None` where a disclaimer has refused it.
    async fn rewritten(&self) -> Result<Option<Rewritten>> {
        let edits = &self.effects.edits;
        let content = &self.entry.content;
        if edits.is_empty() {
            return Ok(Some(Rewritten { content: content.clone(), staged: Vec::new() }));
        }
        let mut header = edit::header(&self.facts.header, edits);
        let verdict = authentication::verdict(content).map(<[u8]>::to_vec);
        let is_from_inside = authentication::is_from_inside(content);
        let results = authentication::results_field(content);
        let header_end = self.facts.header.len() as u64;
        let mut rewritten = Rewritten::default();
        // What we have found stays in front, apart from what others have written, and of what is
        // around the message.
        edit::remove(&mut header, &[authentication::SPAM_FIELD, authentication::ORIGIN_FIELD]);
        let mut front = BytesMut::new();
        if is_from_inside {
            front.extend_from_slice(authentication::INSIDE_FIELD.as_bytes());
        }
        // A rule may have taken out what we have found; then nobody is to be told of it.
        if let Some(field) = results.filter(|field| edit::take_out(&mut header, field)) {
            front.extend_from_slice(&field);
        }
        if let Some(field) = verdict {
            front.extend_from_slice(&field);
        }
        let front = front.freeze();
        if !disclaimer::is_wanted(edits) {
            rewritten.push(self.context, &header).await?;
            rewritten.content.segments.extend(self.rest(header_end..content.size_bytes()));
            rewritten.content = rewritten.content.with_prefix(front);
            return Ok(Some(rewritten));
        }
        let mut wraps = Vec::new();
        let mut inserted: Option<Vec<Replacement>> = None;
        for edit in edits {
            let Edit::Disclaimer { html, place, fallback } = edit else { continue };
            let html = self.filled(html);
            // One text is put in; a second rule's goes around it, as the first one's would.
            let replacements = match inserted {
                Some(_) => None,
                None => {
                    let disclaimer = Disclaimer { html: &html, place: *place };
                    disclaimer.insert(self.context, content, self.parsed, &mut header).await?
                }
            };
            match (replacements, fallback) {
                (Some(replacements), _) => inserted = Some(replacements),
                (None, Fallback::Wrap) => wraps.push(html),
                (None, Fallback::Ignore) => {}
                (None, Fallback::Reject) => return Ok(None),
            }
        }
        rewritten.push(self.context, &header).await?;
        let mut at = header_end;
        for Replacement { range, bytes } in inserted.unwrap_or_default() {
            rewritten.content.segments.extend(self.rest(at..range.start));
            rewritten.push(self.context, &bytes).await?;
            at = range.end;
        }
        rewritten.content.segments.extend(self.rest(at..content.size_bytes()));
        for html in wraps {
            rewritten = self.wrapped(rewritten, &header, &html).await?;
        }
        rewritten.content = rewritten.content.with_prefix(front);
        Ok(Some(rewritten))
    }

    fn rest(&self, range: std::ops::Range<u64>) -> Vec<Segment> {
        self.entry.content.slice(range).segments
    }

    fn filled(&self, html: &str) -> String {
        let address = self.entry.envelope.sender.as_ref();
        let address = address.map(ToString::to_string).unwrap_or_default();
        disclaimer::filled(html, &self.facts.sender.display_name, &address)
    }

    /// The message attached to a new one that has the text.
    async fn wrapped(&self, inner: Rewritten, header: &[u8], html: &str) -> Result<Rewritten> {
        let mut outer = header.to_vec();
        let names = [
            "Content-Type",
            "Content-Transfer-Encoding",
            "Content-Disposition",
            "Content-ID",
            "Content-Description",
            "MIME-Version",
            "DKIM-Signature",
        ];
        edit::remove(&mut outer, &names);
        let text = format!("{}\r\n", disclaimer::plain(html));
        self.attach(outer, &text, inner).await
    }

    /// A message of a text and an attached message. `header` may have a blank line at its end.
    async fn attach(&self, header: Vec<u8>, text: &str, inner: Rewritten) -> Result<Rewritten> {
        let boundary = format!("=_{:032x}", self.context.env.random.u128());
        let mut top = header;
        while top.ends_with(b"\r\n\r\n") || top.as_slice() == b"\r\n" {
            top.truncate(top.len() - 2);
        }
        let mut fields = HeaderWriter::new();
        fields.structured("MIME-Version", "1.0");
        fields.structured("Content-Type", &format!("multipart/mixed; boundary=\"{boundary}\""));
        top.extend(fields.finish());
        let mut part = HeaderWriter::new();
        part.structured("Content-Type", "text/plain; charset=utf-8");
        part.structured("Content-Transfer-Encoding", "base64");
        top.extend(format!("--{boundary}\r\n").into_bytes());
        top.extend(part.finish());
        top.extend(disclaimer::lines(text));
        top.extend(format!("--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n").into_bytes());
        let mut outer = Rewritten { content: Content::default(), staged: inner.staged };
        outer.push(self.context, &top).await?;
        outer.content.segments.extend(inner.content.segments);
        outer.push(self.context, format!("\r\n--{boundary}--\r\n").as_bytes()).await?;
        Ok(outer)
    }

    /// Tells somebody that rules apply, with the message attached.
    async fn report(&self, to: &Address) -> Result<Successor> {
        let entry = self.entry;
        let host = &self.context.config.host_name;
        let sender = entry.envelope.sender.as_ref();
        let sender = sender.map_or_else(|| "<>".to_owned(), ToString::to_string);
        let rules = self.effects.rules.join(", ");
        let header = self.own_header(&to.to_string(), &format!("Rule report: {rules}"));
        let recipients: Vec<_> =
            entry.envelope.recipients.iter().take(100).map(|one| one.address.to_string()).collect();
        let done = super::evaluate::in_words(self.effects).join("\r\n  ");
        let text = format!(
            "A message has met rules of the organisation.\r\n\r\nRules: {rules}\r\n\
             Sender: {sender}\r\nRecipients: {}\r\nQueue id: {}\r\nDone:\r\n  {done}\r\n",
            recipients.join(", "),
            entry.queue,
        );
        let inner = Rewritten { content: entry.content.clone(), staged: Vec::new() };
        let whole = self.attach(header.fields(), &text, inner).await?;
        let envelope = Envelope {
            sender: None,
            recipients: vec![Recipient::plain(to.clone())],
            authenticated: None,
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source: Source { ip: None, helo: host.clone(), protocol: "local".to_owned() },
        };
        Ok(self.new_message(envelope, whole))
    }

    /// Tells recipients of a message.
    async fn notice(&self, html: &str, numbers: &[usize]) -> Result<Successor> {
        let host = &self.context.config.host_name;
        let all = &self.entry.envelope.recipients;
        let own = numbers.iter().filter_map(|number| all.get(*number));
        let recipients = own.map(|one| Recipient::plain(one.address.clone())).collect();
        // Whoever it was sent to besides is not for them to know.
        let mut header = self.own_header("undisclosed-recipients:;", "About a message to you");
        header.structured("MIME-Version", "1.0");
        header.structured("Content-Type", "text/html; charset=utf-8");
        header.structured("Content-Transfer-Encoding", "base64");
        let mut whole = Rewritten::default();
        whole.push(self.context, &header.finish()).await?;
        let text = notice::filled(html, &self.facts.header);
        whole.push(self.context, &disclaimer::lines(&text)).await?;
        let source = Source { ip: None, helo: host.clone(), protocol: "local".to_owned() };
        let envelope = Envelope {
            sender: None,
            recipients,
            authenticated: None,
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source,
        };
        Ok(self.new_message(envelope, whole))
    }

    /// The header of a message that the rules write.
    fn own_header(&self, to: &str, subject: &str) -> HeaderWriter {
        let context = self.context;
        let host = &context.config.host_name;
        let unique = format!("{:032x}", context.env.random.u128());
        let now = context.env.clock.now();
        let mut header = HeaderWriter::new();
        header.structured("From", &format!("\"Mail Rules\" <postmaster@{host}>"));
        header.structured("To", to);
        header.text("Subject", subject);
        header.date("Date", codec_mime::SentAt { unix_seconds: now.unix_s(), offset_minutes: 0 });
        header.structured("Message-ID", &codec_mime::build::message_id(&unique, host));
        header.structured("Auto-Submitted", "auto-generated");
        header
    }

    fn successor(&self, recipients: Vec<Recipient>, rewritten: Rewritten) -> Successor {
        let envelope = Envelope { recipients, ..self.entry.envelope.clone() };
        self.new_message(envelope, rewritten)
    }

    fn new_message(&self, envelope: Envelope, rewritten: Rewritten) -> Successor {
        let Rewritten { content, staged } = rewritten;
        let message = Submission {
            queue: self.context.new_queue_id(),
            envelope,
            content,
            staged,
            // Nobody is handed this: the owner of the new message reads it anew.
            parsed: self.parsed.clone(),
        };
        Successor { message, rules: self.effects.rules.join(", "), is_ruled: true }
    }
}

/// New content, and the blobs in it that nobody holds yet.
#[derive(Default)]
struct Rewritten {
    content: Content,
    staged: Vec<Staged>,
}

impl Rewritten {
    /// Adds bytes at the end.
    async fn push(&mut self, context: &Context, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() <= INLINE_BYTES_MAX {
            self.content.segments.push(Segment::Inline(Bytes::copy_from_slice(bytes)));
            return Ok(());
        }
        let mut upload = context.blobs.upload();
        upload.write(Bytes::copy_from_slice(bytes)).await?;
        let staged = upload.finish().await?;
        self.content.segments.extend(Content::of(&staged).segments);
        self.staged.push(staged);
        Ok(())
    }
}
