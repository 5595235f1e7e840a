//! Adding what was counted, and sending the reports that are due.

use super::{Kind, Subject, TRY_MS, day, despite_policies, dmarc, tally, tls};
use crate::accept;
use crate::context::Context;
use base::{Address, Error, Result, Timestamp};
use bytes::Bytes;
use codec_mime::SentAt;
use codec_mime::build::Mailbox;
use codec_mime::data_report::DataReport;
use contract_blob::Content;
use contract_store::{body, transact};
use contract_transport::reports::ReportSettings;
use contract_transport::{Envelope, Notify, Recipient, Source, Submission, rows};
use futures::{FutureExt, StreamExt};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long the report on one subject may take to be drawn up: most of it is the DNS of others.
const DRAFT_TIME: Duration = Duration::from_secs(30);

/// On how many subjects reports are drawn up at once, so that a slow domain holds up few others.
const AT_ONCE: usize = 16;

/// A report, but for its envelope.
pub(super) struct Draft {
    /// Who wants it.
    pub(super) to: Vec<String>,
    /// For people.
    pub(super) text: String,
    pub(super) multipart: &'static str,
    pub(super) content_type: &'static str,
    pub(super) extension: &'static str,
    pub(super) file: Vec<u8>,
    /// Whether it is on TLS, and so goes whatever that is like.
    pub(super) is_tls: bool,
}

impl Subject {
    /// The report's name, which it has whoever sends it.
    pub(super) fn id(&self) -> String {
        let [a, b, c, d, e, f, g, h, ..] = self.hash(true);
        let (begin_ms, _) = self.range_ms();
        let mut id = format!("{}.{}.", begin_ms / 1000, self.kind.word());
        for byte in [a, b, c, d, e, f, g, h] {
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

/// Adds to the rows what was counted since the last time.
pub(super) async fn add(context: &Context) {
    let counted = context.reports.gathered.take();
    if counted.is_empty() {
        return;
    }
    let of_tls = counted.iter().filter(|(subject, _)| subject.kind == Kind::Tls);
    let of_tls: BTreeSet<&str> = of_tls.map(|(subject, _)| subject.domain.as_str()).collect();
    let wanting = tls::wanting(context, of_tls).await;
    let is_wanted = |subject: &Subject| match subject.kind {
        Kind::Tls => wanting.contains(&subject.domain),
        // Only what is wanted was counted.
        Kind::Dmarc | Kind::TlsReceived | Kind::DmarcReceived => true,
    };
    let wanted = counted.into_iter().filter(|(subject, _)| is_wanted(subject)).collect();
    tally::add(&context.store, wanted).await;
}

/// Sends the reports of this node's slots that are due.
///
/// # Errors
/// The store's.
pub(super) async fn send_due(context: &Arc<Context>) -> Result<()> {
    let settings = context.reports.wanted();
    let now = context.env.clock.now();
    for kind in Kind::SENT.into_iter().filter(|kind| kind.is_wanted(&settings)) {
        let mut last = None;
        loop {
            let page = tally::subjects(&context.store, kind, day(now), last.as_ref()).await?;
            let Some(end) = page.last() else { break };
            last = Some(end.clone());
            let mut sending = Vec::new();
            for subject in page.iter().filter(|subject| is_ours(context, subject, now)) {
                sending.push(try_send(context, &settings, subject, now));
            }
            futures::stream::iter(sending).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        }
    }
    Ok(())
}

/// Sends a report, or leaves it to the next pass.
async fn try_send(
    context: &Arc<Context>,
    settings: &ReportSettings,
    subject: &Subject,
    now: Timestamp,
) {
    if let Err(error) = send(context, settings, subject, now).await {
        let domain = &subject.domain;
        tracing::info!(domain, kind = subject.kind.word(), %error, "a report waits");
    }
}

fn is_ours(context: &Context, subject: &Subject, now: Timestamp) -> bool {
    now >= subject.due() && context.is_mine(subject.slot(context))
}

async fn send(
    context: &Arc<Context>,
    settings: &ReportSettings,
    subject: &Subject,
    now: Timestamp,
) -> Result<()> {
    let Subject { domain, kind, .. } = subject;
    let told = |result: &'static str| {
        let kind = kind.word();
        metrics::counter!("rialto_reports_total", "kind" => kind, "result" => result).increment(1);
        tracing::info!(domain, kind, result, "the report of a day");
    };
    if now > subject.due().plus_ms(TRY_MS) {
        told("too late");
        return tally::remove(&context.store, subject).await;
    }
    if is_sent(context, subject).await? {
        return tally::remove(&context.store, subject).await;
    }
    let from = settings.contact().ok_or_else(|| Error::invalid("there is no contact address"))?;
    // Receivers are to pass over what nobody vouches for (RFC 8460 §3).
    if !context.signing.as_ref().is_some_and(|signing| signing.signs(&from.domain)) {
        let text = format!("no DKIM key signs mail of {}, and reports must be signed", from.domain);
        return Err(Error::invalid(text));
    }
    let drafting = async {
        match kind {
            Kind::Tls => tls::draft(context, settings, subject).await,
            Kind::Dmarc => dmarc::draft(context, settings, subject).await,
            Kind::TlsReceived | Kind::DmarcReceived => Ok(None),
        }
    };
    let late = |_| Error::unavailable("the report was not drawn up in time");
    let draft = tokio::time::timeout(DRAFT_TIME, drafting).await.map_err(late)??;
    match draft.filter(|draft| !draft.to.is_empty()) {
        Some(draft) => {
            let submission = submission(context, settings, (subject, &from), draft).await?;
            accept::accept(context, submission).await?;
            told("sent");
        }
        None => told("unwanted"),
    }
    tally::remove(&context.store, subject).await
}

/// Whether somebody has sent it: this node before it died, or another one that takes itself for the
/// owner.
async fn is_sent(context: &Context, subject: &Subject) -> Result<bool> {
    let queue = subject.queue();
    let slot = context.control.slot_of_queue(queue);
    let look = body((), |(), tx, _| {
        async move {
            let is_queued = rows::is_queued(tx, slot, queue).await?;
            Ok(is_queued || rows::ended(tx, slot, queue).await?.is_some())
        }
        .boxed()
    });
    transact(&context.store, look).await
}

/// The report as a message, under the name that every attempt gives it.
async fn submission(
    context: &Context,
    settings: &ReportSettings,
    (subject, from): (&Subject, &Address),
    draft: Draft,
) -> Result<Submission> {
    let message = Bytes::from(message(settings, (subject, from), &draft));
    let mut upload = context.blobs.upload();
    upload.write(message.clone()).await?;
    let staged = upload.finish().await?;
    let front = if draft.is_tls { despite_policies() } else { Bytes::new() };
    let parsed = codec_mime::parse(&[&front[..], &message].concat());
    let never = Notify { success: false, failure: false, delay: false };
    let recipient = |to: &String| {
        let address = Address::parse_plain(to)?;
        Some(Recipient { notify: never, ..Recipient::plain(address) })
    };
    let helo = context.config.host_name.clone();
    Ok(Submission {
        queue: subject.queue(),
        envelope: Envelope {
            sender: None,
            recipients: draft.to.iter().filter_map(recipient).collect(),
            authenticated: None,
            envelope_id: None,
            return_headers_only: false,
            require_tls: false,
            source: Source { ip: None, helo, protocol: "local".into() },
        },
        content: Content::of(&staged).with_prefix(front),
        staged: vec![staged],
        parsed: Arc::new(parsed),
    })
}

fn message(
    settings: &ReportSettings,
    (subject, from): (&Subject, &Address),
    draft: &Draft,
) -> Vec<u8> {
    let (domain, submitter, id) = (&subject.domain, &from.domain, subject.id());
    let (begin_ms, end_ms) = subject.range_ms();
    let (begin_s, end_s) = (begin_ms / 1000, end_ms / 1000 - 1);
    let file_name = format!("{submitter}!{domain}!{begin_s}!{end_s}!{id}.{}", draft.extension);
    let email = from.to_string();
    let to: Vec<_> = draft.to.iter().map(|to| Mailbox { name: None, email: to }).collect();
    let of_tls = [("TLS-Report-Domain", domain.as_str()), ("TLS-Report-Submitter", submitter)];
    let report = DataReport {
        from: Mailbox { name: Some(&settings.organization), email: &email },
        to: &to,
        subject: &format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{id}>"),
        message_id: &format!("<{id}@{submitter}>"),
        at: SentAt { unix_seconds: subject.due().unix_s(), offset_minutes: 0 },
        fields: if draft.is_tls { &of_tls } else { &[] },
        boundary: &id,
        multipart: draft.multipart,
        text: &draft.text,
        content_type: draft.content_type,
        file_name: &file_name,
        data: &draft.file,
    };
    report.build()
}
