//! MAIL, RCPT and DATA, in as few writes as the host allows (RFC 2920 §3.1).

use crate::limits::{BLOCK_TIME, COMMAND_TIME, DATA_TIME, PIPELINED_MAX, RECIPIENT_TIME};
use crate::plan::Plan;
use crate::session::Session;
use crate::verdicts::{Verdicts, refused};
use crate::wire::Trouble;
use codec_smtp::{Command, Reply};
use contract_transport::courier::{Answer, Verdict};
use std::time::Duration;

/// How far the envelope got.
#[derive(Default)]
pub(crate) struct Introduced {
    /// The recipients that the host takes, by their place in the message's list.
    pub(crate) accepted: Vec<usize>,
    /// The answer to DATA, if it was said.
    pub(crate) data: Option<Reply>,
    sender_refused: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Reset,
    Mail,
    Recipient(usize),
    Data,
}

/// Says the envelope, behind RSET where something is left of the message before, and with DATA
/// where the message follows that way. Refused recipients are settled.
///
/// # Errors
/// [`Trouble`]: the session is of no more use.
pub(crate) async fn introduce(
    session: &mut Session,
    plan: &Plan,
    with_reset: bool,
    with_data: bool,
    verdicts: &mut Verdicts,
) -> Result<Introduced, Trouble> {
    let mut steps = Vec::with_capacity(plan.recipients.len() + 3);
    if with_reset {
        steps.push((Step::Reset, &Command::Rset));
    }
    steps.push((Step::Mail, &plan.mail));
    steps.extend(plan.recipients.iter().map(|(index, rcpt)| (Step::Recipient(*index), rcpt)));
    if with_data {
        steps.push((Step::Data, &Command::Data));
    }
    let host = session.wire.host().to_owned();
    let at_once = if session.offer.pipelining { PIPELINED_MAX } else { 1 };
    let mut introduced = Introduced::default();
    for batch in steps.chunks(at_once) {
        let only_data = matches!(batch, [(Step::Data, _)]);
        if introduced.sender_refused || (only_data && introduced.accepted.is_empty()) {
            break;
        }
        let commands = batch.iter().map(|(_, command)| *command);
        session.wire.send_commands(commands, BLOCK_TIME).await?;
        for (step, _) in batch {
            let reply = session.wire.reply(step.time()).await?;
            introduced.take(*step, reply, &host, verdicts)?;
        }
    }
    Ok(introduced)
}

impl Introduced {
    fn take(
        &mut self,
        step: Step,
        reply: Reply,
        host: &str,
        verdicts: &mut Verdicts,
    ) -> Result<(), Trouble> {
        match step {
            _ if reply.code() == 421 => return Err(Trouble::Closing(reply)),
            Step::Reset | Step::Mail if reply.is_positive() => {}
            Step::Reset => return Err(Trouble::Unexpected(reply.code())),
            Step::Mail => {
                self.sender_refused = true;
                verdicts.settle_rest(&refused(&reply, host)?);
            }
            Step::Recipient(_) if self.sender_refused => {}
            Step::Recipient(index) if reply.is_positive() => self.accepted.push(index),
            Step::Recipient(index) => {
                let verdict = match refused(&reply, host)? {
                    Verdict::Failed(answer) if too_many(&reply) => {
                        Verdict::Later(Answer { status: "4.5.3".to_owned(), ..answer })
                    }
                    verdict => verdict,
                };
                verdicts.settle(index, verdict);
            }
            Step::Data => self.data = Some(reply),
        }
        Ok(())
    }
}

impl Step {
    fn time(self) -> Duration {
        match self {
            Self::Reset | Self::Mail => COMMAND_TIME,
            Self::Recipient(_) => RECIPIENT_TIME,
            Self::Data => DATA_TIME,
        }
    }
}

/// A 552 to RCPT means 452, "too many recipients" (RFC 5321 §4.5.3.1.10), unless its enhanced code
/// says otherwise: a full mailbox, say.
fn too_many(reply: &Reply) -> bool {
    reply.code() == 552 && reply.enhanced().is_none_or(|code| code.to_string() == "5.5.3")
}
