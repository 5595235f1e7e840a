//! The parent: starts workers, feeds them, and ends them.

use crate::talk::{ANSWER_BYTES_MAX, GREETING, QUESTION_BYTES_MAX, Question, WORD_BYTES_MAX};
use async_trait::async_trait;
use base::{Deadline, Error, Result, wire};
use contract_transport::inspection::{Attachment, Extract, Inspector, Outcome};
use futures::StreamExt;
use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program that calls [`crate::work`].
    pub program: PathBuf,
    /// With what.
    pub arguments: Vec<OsString>,
    /// How many run at once.
    pub at_once: usize,
    /// How long one may take.
    pub time: Duration,
}

impl Config {
    /// This very program, even where its file has been replaced since, with one argument: one
    /// worker for each processor, four at most, ten seconds each.
    pub fn own_program(argument: &str) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            program: PathBuf::from("/proc/self/exe"),
            arguments: vec![argument.into()],
            at_once: processors.min(4),
            time: Duration::from_secs(10),
        }
    }
}

/// Looks into attachments, each in a process of its own.
#[derive(Clone, Debug)]
pub struct Workers {
    config: Arc<Config>,
    free: Arc<Semaphore>,
}

impl Workers {
    /// None runs before there is something to look into.
    pub fn new(config: Config) -> Self {
        let free = Arc::new(Semaphore::new(config.at_once.max(1)));
        Self { config: Arc::new(config), free }
    }

    /// A worker; `None` where none can be started.
    fn start(&self) -> Option<Child> {
        let started = Command::new(&self.config.program)
            .args(&self.config.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        match started {
            Ok(child) => Some(child),
            Err(error) => {
                tracing::error!(%error, "no worker for attachments can be started");
                None
            }
        }
    }
}

#[async_trait]
impl Inspector for Workers {
    async fn inspect(&self, attachment: Attachment, deadline: Deadline) -> Result<Extract> {
        let failed = || Extract::failed(Outcome::Failed);
        let free = tokio::time::timeout_at(deadline.instant(), self.free.acquire()).await;
        let Ok(Ok(_permit)) = free else { return Ok(told(failed(), "no worker is free")) };
        let Some(mut child) = self.start() else { return Ok(told(failed(), "no worker starts")) };
        let name = attachment.name.clone();
        let ends = deadline.within(self.config.time);
        let asked = tokio::time::timeout_at(ends.instant(), ask(&mut child, attachment)).await;
        // Whatever it still does, it does it no more; and it leaves no trace in the table of
        // processes when its number is given to somebody else.
        if let Err(error) = child.kill().await {
            tracing::debug!(%error, "a worker has ended before it was killed");
        }
        let status = child.try_wait().ok().flatten();
        match asked {
            Ok(Ok(Some(extract))) => Ok(told(extract, "")),
            Ok(Ok(None)) => {
                tracing::warn!(attachment = %name, ?status, "a worker has given no answer");
                Ok(told(failed(), "it gave no answer"))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                tracing::warn!(attachment = %name, "a worker has taken too long");
                Ok(told(failed(), "it took too long"))
            }
        }
    }
}

/// Counts an answer.
fn told(extract: Extract, why: &'static str) -> Extract {
    let outcome = match extract.outcome {
        Outcome::Whole => "whole",
        Outcome::Unsupported => "unsupported",
        Outcome::Damaged => "damaged",
        Outcome::Exceeded => "exceeded",
        Outcome::Failed => "failed",
    };
    metrics::counter!("rialto_inspections_total", "outcome" => outcome, "why" => why).increment(1);
    extract
}

/// Gives a worker its file and hears what it has to say; `None` where that is no answer.
async fn ask(child: &mut Child, attachment: Attachment) -> Result<Option<Extract>> {
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(None);
    };
    let mut feeding = pin!(feed(input, attachment));
    let mut hearing = pin!(hear(output));
    tokio::select! {
        // It may know enough before it has read everything.
        answer = &mut hearing => Ok(answer),
        fed = &mut feeding => {
            fed?;
            Ok(hearing.await)
        }
    }
}

/// Writes the question and the file, and ends the input. Where the worker does not want any more, it
/// gets no more.
async fn feed(mut input: impl AsyncWrite + Unpin, attachment: Attachment) -> Result<()> {
    let Attachment { name, media_type, charset, mut bytes } = attachment;
    let question = wire::encode(&Question {
        name: shortened(&name),
        media_type: shortened(&media_type),
        charset: shortened(&charset),
    })?;
    let length = u32::try_from(question.len()).ok();
    let length = length.filter(|length| *length as usize <= QUESTION_BYTES_MAX);
    let length = length.ok_or_else(|| Error::internal("a long question"))?;
    let mut head = length.to_le_bytes().to_vec();
    head.extend_from_slice(&question);
    if input.write_all(&head).await.is_err() {
        return Ok(());
    }
    while let Some(piece) = bytes.next().await {
        if input.write_all(&piece?).await.is_err() {
            return Ok(());
        }
    }
    // What cannot be ended has ended.
    let _ = input.shutdown().await;
    Ok(())
}

/// The end of a name says what it is, and its beginning who wrote it.
fn shortened(text: &str) -> String {
    match text.len() <= WORD_BYTES_MAX {
        true => text.to_owned(),
        false => {
            let from = text.ceil_char_boundary(text.len() - WORD_BYTES_MAX);
            text.get(from..).unwrap_or_default().to_owned()
        }
    }
}

/// Reads an answer, and no more than there can be of one.
async fn hear(output: impl AsyncRead + Unpin) -> Option<Extract> {
    let mut bytes = Vec::new();
    let most = GREETING.len() + ANSWER_BYTES_MAX;
    output.take(most as u64 + 1).read_to_end(&mut bytes).await.ok()?;
    if bytes.len() > most {
        return None;
    }
    wire::decode(bytes.strip_prefix(&GREETING)?).ok()
}
