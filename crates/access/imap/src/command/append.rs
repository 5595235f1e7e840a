//! APPEND (RFC 3501 §6.3.11), with APPENDUID (RFC 4315 §3), of several messages (RFC 3502).
//!
//! The message is never whole in memory: as its literal comes, each piece goes to the blob store
//! and past the MIME scanner. What can be refused is refused before the literal is let come: an
//! unknown mailbox, a message too large, a full mailbox. Nothing of the messages can be seen before
//! the one transaction that files all of them, so a client that vanishes half-way leaves nothing but
//! chunks under a lease (attack 30).

use super::copy::in_ranges;
use super::{failed, no_such, unexpected, write_into};
use crate::flags;
use crate::others;
use crate::reply::{self, Answer, Ending, Reply, ReplyCode, Stop};
use crate::session::Session;
use crate::state::User;
use crate::sync::{self, Manner};
use crate::wire::Incoming;
use base::{Error, FolderId, Timestamp};
use codec_imap::command::{Append, AppendHead, append_head};
use codec_imap::framer::LiteralOffer;
use codec_imap::{Code, Command, CommandBody, Tag};
use codec_mime::{Limits, ParsedMessage, Scanner};
use contract_blob::{Content, Staged, Upload};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{NewMessage, Permission, Write, WriteReply};
use std::sync::Arc;

/// Numbers may change with APPEND, and UIDs need not be named.
const MANNER: Manner = Manner { expunges: true, uids: false };

/// An APPEND whose message did not come as a literal that could be streamed.
pub(crate) fn without_stream(session: &mut Session, _command: &Append) -> Answer {
    session.state.user()?;
    Err(Reply::bad("The message must be a literal").into())
}

/// APPEND, from the moment its first message is announced to its answer.
pub(crate) async fn receive(
    session: &mut Session,
    tag: &Tag,
    head: AppendHead,
    offer: LiteralOffer,
) -> Result<(), Ending> {
    let mut taken = Taken::default();
    let mut next = Some((head, offer));
    let mut answer = Ok(());
    while let Some((head, offer)) = next.take() {
        let prepared = match prepare(session, &head, offer, taken.size_bytes).await {
            Ok(prepared) => prepared,
            Err(stop) => return refuse(session, tag, stop).await,
        };
        session.wire.framer.stream();
        if offer.sync {
            session.wire.invite("Send the message");
        }
        match stream(session).await {
            Ok(streamed) => next = taken.take(prepared, streamed),
            Err(stop) => answer = Err(stop),
        }
    }
    let answer = match answer {
        Ok(()) => file(session, taken).await,
        Err(stop) => Err(stop),
    };
    match answer {
        Ok(reply) | Err(Stop::Reply(reply)) => session.finish(Some(tag), &reply, MANNER).await,
        Err(Stop::Last(reply, bye)) => {
            session.wire.condition(Some(tag), &reply);
            Err(Ending::bye(None, bye))
        }
        Err(Stop::Answered) => Ok(()),
        Err(Stop::End(ending)) => Err(ending),
    }
}

/// The messages that have come.
#[derive(Default)]
struct Taken {
    folder: FolderId,
    /// Where it is somebody else's mailbox.
    visitor: Option<Box<User>>,
    messages: Vec<NewMessage>,
    size_bytes: u64,
}

/// A message that has come, and the next one, if one is announced.
struct Streamed {
    staged: Staged,
    parsed: ParsedMessage,
    next: Option<(AppendHead, LiteralOffer)>,
}

impl Taken {
    /// Takes a message; gives what is announced behind it.
    fn take(
        &mut self,
        prepared: Prepared,
        streamed: Streamed,
    ) -> Option<(AppendHead, LiteralOffer)> {
        let Streamed { staged, parsed, next } = streamed;
        (self.folder, self.visitor) = (prepared.folder, prepared.visitor);
        self.size_bytes = self.size_bytes.saturating_add(staged.size_bytes);
        self.messages.push(NewMessage {
            content: Content::of(&staged),
            staged: vec![staged],
            parsed: Arc::new(parsed),
            flags: prepared.flags,
            received: prepared.received,
        });
        next
    }
}

/// What is known before the message comes.
struct Prepared {
    folder: FolderId,
    flags: NamedFlags,
    received: Option<Timestamp>,
    /// Where it is somebody else's mailbox.
    visitor: Option<Box<User>>,
}

/// Checks what is known of a message before it comes; `before_bytes` are those of the same command.
async fn prepare(
    session: &mut Session,
    head: &AppendHead,
    offer: LiteralOffer,
    before_bytes: u64,
) -> Result<Prepared, Stop> {
    if head.options.utf8 && !session.state.user()?.enabled.utf8 {
        return Err(Reply::bad("Enable UTF8=ACCEPT first").into());
    }
    if offer.len_bytes > session.shared.config.message_bytes_max {
        return Err(Reply::no(Code::TooBig, "The message is too large").into());
    }
    if offer.len_bytes == 0 {
        return Err(Reply::no(Code::Cannot, "A message cannot be empty").into());
    }
    let flags = flags::named(&head.options.flags)?;
    let user = session.state.user()?;
    let missing = || Stop::from(reply::of_target_error(&no_such(&head.mailbox)));
    let located = others::locate(&session.shared, user, head.mailbox.as_str()).await?;
    let located = located.ok_or_else(missing)?;
    let folder = located.find().ok_or_else(missing)?.id;
    let rights = located.rights(folder).await?;
    let received = head.options.date.map(|date| Timestamp::from_unix_s(date.to_unix_seconds()));
    if let Some(visitor) = located.place.visitor() {
        // How full somebody else's mailbox is, is told by the mailbox when the message is filed.
        if rights & Permission::CREATE == 0 {
            return Err(Reply::no(Code::NoPerm, "You may not put messages there").into());
        }
        let may = |right| rights & right != 0;
        let flags = flags::limited(flags, may(Permission::EDIT_ANY), may(Permission::DELETE_ANY));
        return Ok(Prepared { folder, flags, received, visitor: Some(visitor) });
    }
    let account = session.shared.directory.account(user.account.id).await;
    let quota = account.map_err(|error| failed("APPEND", error))?.quota;
    if let Some(max) = quota.no_receive_bytes {
        let usage = user.mailbox.usage().await.map_err(|error| failed("APPEND", error))?;
        if usage.size_bytes.saturating_add(before_bytes).saturating_add(offer.len_bytes) > max {
            return Err(Reply::no(Code::OverQuota, "The mailbox is full").into());
        }
    }
    Ok(Prepared { folder, flags, received, visitor: None })
}

/// Answers an APPEND whose message will not be taken.
async fn refuse(session: &mut Session, tag: &Tag, stop: Stop) -> Result<(), Ending> {
    let reply = match stop {
        Stop::Reply(reply) | Stop::Last(reply, _) => reply,
        Stop::End(ending) => return Err(ending),
        Stop::Answered => return Ok(()),
    };
    let refused = session.refuse_literal();
    session.finish(Some(tag), &reply, MANNER).await?;
    refused
}

/// Takes the message in. On an error the rest of the command is skipped.
async fn stream(session: &mut Session) -> Result<Streamed, Stop> {
    let mut upload = session.shared.blobs.upload();
    let mut scanner = Scanner::new(Limits::default());
    let (patience, mut nul) = (session.patience(), false);
    loop {
        match session.wire.next(patience).await? {
            Incoming::Chunk(chunk) => {
                // Only a literal8 can hold NUL, which our messages cannot (RFC 3516 §4.4).
                nul |= chunk.contains(&0);
                scanner.push(&chunk);
                if let Err(error) = upload.write(chunk).await {
                    session.refuse_literal()?;
                    return Err(failed("APPEND", error));
                }
            }
            Incoming::Command(raw) => match Command::parse_with(&raw, session.wire.names) {
                Ok(Command { body: CommandBody::Append(_), .. }) => {
                    return finish(upload, scanner, nul, None).await;
                }
                Ok(_) => return Err(Reply::bad("That is no APPEND").into()),
                Err(error) => return Err(Reply::bad(error.to_string()).into()),
            },
            Incoming::Literal(offer) => {
                let next = append_head(session.wire.framer.pending(), session.wire.names);
                let Some((_, head)) = next else {
                    session.refuse_literal()?;
                    return Err(Reply::bad("That is no message").into());
                };
                let finished = finish(upload, scanner, nul, Some((head, offer))).await;
                if finished.is_err() {
                    session.refuse_literal()?;
                }
                return finished;
            }
            Incoming::Broken(error) if error.is_fatal() => {
                return Err(Ending::bye(None, "Too much that is no command").into());
            }
            Incoming::Broken(error) => return Err(Reply::bad(error.to_string()).into()),
        }
    }
}

async fn finish(
    upload: Box<dyn Upload>,
    scanner: Scanner,
    nul: bool,
    next: Option<(AppendHead, LiteralOffer)>,
) -> Result<Streamed, Stop> {
    if nul {
        return Err(Reply::no(Code::UnknownCte, "Messages with NUL are not taken").into());
    }
    let staged = upload.finish().await.map_err(|error| failed("APPEND", error))?;
    let parsed = scanner.finish();
    if parsed.size_bytes != staged.size_bytes {
        return Err(failed("APPEND", Error::internal("scanner and upload differ in size")));
    }
    Ok(Streamed { staged, parsed, next })
}

/// Files the messages, all or none.
async fn file(session: &mut Session, taken: Taken) -> Answer {
    let Taken { folder, messages, visitor, .. } = taken;
    let user = match &visitor {
        Some(visitor) => visitor,
        None => session.state.user()?,
    };
    let request = Write::Append { folder, messages };
    let appended = write_into(user, "APPEND", folder, request).await?;
    if let Ok((user, selected)) = session.state.selected() {
        sync::catch_up_own(user, selected, folder).await;
    }
    match appended {
        Some(WriteReply::Appended { uid_validity, uids }) => {
            let uids = in_ranges(uids.into_iter());
            Ok(Reply::ok("Appended").code(ReplyCode::AppendUid { uid_validity, uids }))
        }
        None => Ok(Reply::ok("Appended")),
        Some(_) => unexpected("APPEND"),
    }
}
