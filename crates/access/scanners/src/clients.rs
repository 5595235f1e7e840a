//! A message's way past all scanners that are to see it.

use crate::ask::{self, Target};
use crate::edits::Header;
use crate::message::Message;
use crate::outcome::{Answer, Trouble, Verdict};
use crate::standing::Lines;
use crate::trial;
use async_trait::async_trait;
use base::env::Env;
use contract_blob::Blobs;
use contract_transport::authentication::junk_field;
use contract_transport::scanner::scanning::{
    Fate, Mail, Reply, Scanned, Scanners, Standing, Trial, note, plain,
};
use contract_transport::scanner::{OnFailure, Scanner, ScannerSettings};
use std::sync::Arc;
use std::time::Duration;

/// What a client is told whose message could not be scanned; why is for the log.
const LATER: &str = "the message could not be checked, try again later";

/// How long all scanners together may take for one message: a client waits ten minutes for the
/// reply (RFC 5321 §4.5.3.2.6), and the commit comes behind them. Those that have no turn then
/// have failed.
const TOTAL: Duration = Duration::from_secs(300);

/// Speaks with the scanners of the organisation; cheap to clone.
#[derive(Clone)]
pub struct Clients {
    shared: Arc<Shared>,
}

struct Shared {
    env: Env,
    settings: Arc<dyn ScannerSettings>,
    blobs: Arc<dyn Blobs>,
    lines: Lines,
}

/// What becomes of a message while it goes from one scanner to the next.
struct Walk {
    header: Header,
    notes: String,
    junk: Option<String>,
    fate: Fate,
    reason: String,
}

impl Clients {
    /// Asks the scanners of these settings; messages are read from `blobs`.
    pub fn new(env: Env, settings: Arc<dyn ScannerSettings>, blobs: Arc<dyn Blobs>) -> Self {
        let lines = Lines::default();
        Self { shared: Arc::new(Shared { env, settings, blobs, lines }) }
    }

    /// Asks one, if it is in a state to be asked.
    async fn ask(&self, scanner: &Arc<Scanner>, message: &Message<'_>) -> Result<Answer, Trouble> {
        let Shared { env, lines, .. } = &*self.shared;
        let line = lines.of(scanner);
        let attempt = line.admit(&*env.clock).map_err(Trouble::Failed)?;
        let limit = Duration::from_millis(scanner.deadline_ms);
        let begun = env.clock.monotonic();
        let mut has_place = false;
        let work = async {
            let place = attempt.place().await;
            has_place = place.is_some();
            // Without one, it has begun to rest meanwhile, or a probe finds it full.
            let _place = place.ok_or(Trouble::Busy)?;
            ask::ask(Target { env, scanner }, message).await
        };
        let late = tokio::time::timeout(limit, Box::pin(work)).await;
        let answered = match late {
            Ok(answered) => answered,
            Err(_) if has_place => Err(Trouble::TimedOut),
            Err(_) => Err(Trouble::Busy),
        };
        let took = env.clock.monotonic().saturating_sub(begun);
        let name = || scanner.name.clone();
        metrics::histogram!("rialto_scanner_seconds", "scanner" => name())
            .record(took.as_secs_f64());
        attempt.settle(answered.as_ref().err(), &*env.clock);
        answered
    }
}

impl Walk {
    /// Takes what one scanner said; whether the next one is to be asked.
    fn take(&mut self, scanner: &Scanner, said: Result<Answer, Trouble>) -> bool {
        let (name, result);
        match said {
            Ok(answer) => {
                let refused = self.header.apply(&answer.edits);
                if refused > 0 {
                    tracing::warn!(scanner = scanner.name, refused, "changes of a header");
                }
                let text = plain(&answer.text);
                (name, result) = match answer.verdict {
                    Verdict::Clean => ("clean", self.pass(scanner, "clean", &text)),
                    Verdict::Junk => ("junk", self.junk(scanner, "junk", &text)),
                    Verdict::Refused(reply) if reply.code < 500 => {
                        ("deferred", self.end(scanner, &text, Fate::Refused(reply)))
                    }
                    Verdict::Refused(reply) => {
                        ("refused", self.end(scanner, &text, Fate::Refused(reply)))
                    }
                    Verdict::Discarded => ("discarded", self.end(scanner, &text, Fate::Discarded)),
                };
            }
            Err(Trouble::TooLarge) => {
                let text = "the message is too large for it";
                (name, result) = ("skipped", self.pass(scanner, "skipped", text));
            }
            Err(trouble) => {
                let text = format!("not scanned: {trouble}");
                tracing::warn!(scanner = scanner.name, %trouble, "a message is not scanned");
                let later = || Fate::Refused(Reply::later(LATER));
                (name, result) = match scanner.on_failure {
                    OnFailure::Accept => ("failed", self.pass(scanner, "failed", &text)),
                    OnFailure::Junk => ("failed", self.junk(scanner, "failed", &text)),
                    OnFailure::Defer => ("failed", self.end(scanner, &text, later())),
                };
            }
        }
        let scanner = scanner.name.clone();
        metrics::counter!("rialto_scanner_messages_total", "scanner" => scanner, "result" => name)
            .increment(1);
        result
    }

    fn pass(&mut self, scanner: &Scanner, result: &str, text: &str) -> bool {
        self.notes.push_str(&note(&scanner.name, result, text));
        true
    }

    fn junk(&mut self, scanner: &Scanner, result: &str, text: &str) -> bool {
        let why = if text.is_empty() { result } else { text };
        // Parentheses would end the comment that it stands in.
        let why = plain(&format!("{}: {why}", scanner.name)).replace(['(', ')', '\\'], "_");
        self.junk.get_or_insert(why);
        self.pass(scanner, result, text)
    }

    fn end(&mut self, scanner: &Scanner, text: &str, fate: Fate) -> bool {
        self.fate = fate;
        self.reason = format!("{}: {text}", scanner.name);
        false
    }

    fn finish(self) -> Scanned {
        if self.fate != Fate::Accepted {
            return Scanned { fate: self.fate, reason: self.reason, ..Scanned::default() };
        }
        let (added, header) = self.header.finish();
        // What is ours stands in front, so that nothing else is taken for it.
        let mut front = self.notes.into_bytes();
        if let Some(why) = self.junk {
            front.extend_from_slice(junk_field(&why).as_bytes());
        }
        front.extend_from_slice(&added);
        Scanned { fate: Fate::Accepted, front: front.into(), header, reason: String::new() }
    }
}

#[async_trait]
impl Scanners for Clients {
    fn see(&self, is_ours: bool) -> bool {
        self.shared.settings.scanner_table().iter().any(|scanner| scanner.wants(is_ours))
    }

    async fn scan(&self, mail: Mail) -> Scanned {
        let Shared { env, settings, blobs, lines } = &*self.shared;
        let table = settings.scanner_table();
        lines.keep(&table);
        let mut walk = Walk {
            header: Header::new(&mail.header),
            notes: String::new(),
            junk: None,
            fate: Fate::Accepted,
            reason: String::new(),
        };
        let begun = env.clock.monotonic();
        for scanner in table.iter().filter(|scanner| scanner.wants(mail.facts.is_ours)) {
            let message = Message::new(&mail, walk.header.text(), blobs);
            let is_late = env.clock.monotonic().saturating_sub(begun) > TOTAL;
            let said = if is_late {
                Err(Trouble::Busy)
            } else if message.size_bytes() > scanner.size_bytes_max {
                Err(Trouble::TooLarge)
            } else {
                self.ask(scanner, &message).await
            };
            if !walk.take(scanner, said) {
                break;
            }
        }
        walk.finish()
    }

    fn standing(&self, name: &str) -> Standing {
        self.shared.lines.standing(name, &*self.shared.env.clock)
    }

    async fn test(&self, scanner: &Scanner) -> Vec<Trial> {
        let Shared { env, blobs, .. } = &*self.shared;
        trial::run(Target { env, scanner }, blobs).await
    }
}
