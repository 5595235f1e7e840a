//! From recipients to mailboxes and next hops: resolving, expanding and routing, a piece at a time.

use crate::context::Context;
use crate::doors::{Closed, Doors};
use crate::follow::{End, Followed, Step, follow};
use crate::guard::{Guard, Refusal};
use crate::met::{self, Met};
use crate::relay::hand_over::{Remote, Through};
use crate::remote_domains;
use crate::routing::{self, Choice};
use crate::state::{Cursor, PIECE};
use base::{AccountId, Address, Error, Kind, Result};
use contract_directory::{Account, Group, Resolved};
use contract_transport::connector::Route;
use contract_transport::courier::Answer;
use contract_transport::relay::Hop;
use contract_transport::tracking::Event;
use contract_transport::{QueueEntry, Recipient};
use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// How many members of a group are looked up at once.
const LOOKUPS_AT_ONCE: usize = 32;

/// How many people may stand behind the groups that members of one piece of a group forward to:
/// they are resolved with the piece, beyond [`PIECE`].
const BEHIND_MAX: usize = 1_000;

/// In how many pieces they may come: dynamic groups look through the directory, and may find nobody
/// in most pieces.
const BEHIND_PIECES_MAX: usize = 1_000;

/// A mailbox that is to get the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) account: AccountId,
    /// The account's primary address, so that a mailbox reached in two ways gets one copy.
    pub(crate) address: Address,
    /// Through which recipient of the envelope.
    pub(crate) recipient: usize,
    /// Attempts before this one.
    pub(crate) attempts: u32,
}

/// A recipient that will never get the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) address: Address,
    pub(crate) recipient: usize,
    /// Enhanced status code (RFC 3463).
    pub(crate) status: Cow<'static, str>,
    /// For people.
    pub(crate) text: String,
    /// What another server said, where it was one.
    pub(crate) remote: Option<Answer>,
}

impl Failure {
    /// One of our own making.
    pub(crate) fn new(
        address: Address,
        recipient: usize,
        status: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self { address, recipient, status: status.into(), text: text.into(), remote: None }
    }

    /// A transport rule has refused the message.
    pub(crate) fn refused(address: Address, recipient: usize, status: &str, text: &str) -> Self {
        let (status, text) = (status.to_owned().into(), text.to_owned());
        Self { address, recipient, status, text, remote: None }
    }

    /// An administrator has removed the message.
    pub(crate) fn removed(address: Address, recipient: usize) -> Self {
        let text = "An administrator removed the message from the queue";
        Self::new(address, recipient, "5.3.0", text)
    }

    /// What a courier has brought back.
    pub(crate) fn of(address: Address, recipient: usize, answer: &Answer) -> Self {
        let status = match answer.status.starts_with("5.") {
            true => answer.status.clone().into(),
            false => "5.0.0".into(),
        };
        let text = answer.text.clone();
        Self { address, recipient, status, text, remote: Some(answer.clone()) }
    }

    /// No connector was there for too long; `answer` says so.
    pub(crate) fn unroutable(address: Address, recipient: usize, answer: &Answer) -> Self {
        let text = format!("A way was looked for until the message expired: {}", answer.text);
        Self::new(address, recipient, "5.4.4", text)
    }

    /// It has been tried for too long; `answer` is what came of it last.
    pub(crate) fn expired(address: Address, recipient: usize, answer: &Answer) -> Self {
        let text = format!("Delivery was tried until the message expired: {}", answer.text);
        let remote = Some(answer.clone());
        Self { address, recipient, status: "4.4.7".into(), text, remote }
    }
}

/// A group, and members of it that it became.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Expanded {
    pub(crate) group: Address,
    /// Through which recipient of the envelope.
    pub(crate) recipient: usize,
    /// Whether it stands in that recipient's place: no mailbox has a copy.
    pub(crate) is_instead: bool,
    pub(crate) members: Vec<Address>,
}

/// What addresses became on their way, for those who look what happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Became {
    pub(crate) expanded: Vec<Expanded>,
    pub(crate) steps: Vec<Step>,
    /// To whom it is not forwarded, while others have it.
    pub(crate) held_back: Vec<Address>,
    /// What the pieces that follow are to know.
    pub(crate) met: Vec<Met>,
}

impl Became {
    /// Whether all are what they were.
    pub(crate) fn is_empty(&self) -> bool {
        self.expanded.is_empty() && self.steps.is_empty()
    }
}

/// What one address came to.
pub(crate) enum Found {
    Mailbox(Target),
    Remote(Remote),
    Nobody(Failure),
}

/// A piece of a message's recipients.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) targets: Vec<Target>,
    pub(crate) remotes: Vec<Remote>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) became: Became,
    /// Where the next piece begins; `None` at the end.
    pub(crate) next: Option<Cursor>,
}

/// Resolves the next recipients of a message, at most [`PIECE`]. What can never be resolved is a
/// failure; before what cannot be resolved now the piece ends, unless it would be empty. Who was
/// met by earlier pieces is passed over; where there is but one, nothing is read or kept for that.
///
/// # Errors
/// Temporary ones of the directory and the store.
pub(crate) async fn next_piece(
    context: &Context,
    entry: &QueueEntry,
    cursor: Cursor,
) -> Result<Piece> {
    let is_first = cursor == Cursor::default();
    let closed = if is_first { HashSet::new() } else { met::closed(context, entry).await? };
    let guard = Guard::new(context, entry);
    let doors = Doors::new(&guard, closed);
    let mut piece = gather((context, entry), (&guard, &doors), cursor).await?;
    if !is_first && !piece.remotes.is_empty() {
        let addresses = piece.remotes.iter().map(|remote| remote.address.clone()).collect();
        let served = met::served(context, entry, addresses).await?;
        piece.remotes.retain(|remote| !served.contains(&remote.address));
    }
    match is_first && piece.next.is_none() {
        true => piece.became.met.clear(),
        false => {
            let served = piece.remotes.iter().map(|remote| Met::Outside(remote.address.clone()));
            piece.became.met.extend(served);
        }
    }
    Ok(piece)
}

async fn gather(
    (context, entry): (&Context, &QueueEntry),
    (guard, doors): (&Guard<'_>, &Doors<'_>),
    mut cursor: Cursor,
) -> Result<Piece> {
    let mut piece = Piece::default();
    let mut seen = Seen::default();
    while let Some(recipient) = entry.envelope.recipients.get(cursor.recipient) {
        // Groups may have the same members again and again.
        let expanded: usize = piece.became.expanded.iter().map(|one| one.members.len()).sum();
        let room = PIECE.saturating_sub(piece.len().max(expanded));
        if room == 0 {
            piece.next = Some(cursor);
            return Ok(piece);
        }
        let look = Look::new((guard, doors), (context, entry), cursor.recipient);
        let next = match look.up(&recipient.address, cursor.member, room).await {
            Ok((Look { found, became, .. }, next)) => {
                piece.became.expanded.extend(became.expanded);
                piece.became.steps.extend(became.steps);
                piece.became.held_back.extend(became.held_back);
                piece.became.met.extend(became.met);
                found.into_iter().for_each(|found| piece.take(found, &mut seen));
                next
            }
            Err(error) if !error.is_temporary() => {
                piece.failures.push(unresolvable(&recipient.address, cursor.recipient, &error));
                None
            }
            Err(error) if piece.len() == 0 => {
                return Err(error);
            }
            Err(_) => {
                piece.next = Some(cursor);
                return Ok(piece);
            }
        };
        cursor = match next {
            // Whoever has looked far and found few is not to look on and on.
            Some(member) => {
                piece.next = Some(Cursor { member, ..cursor });
                return Ok(piece);
            }
            None => Cursor { recipient: cursor.recipient + 1, member: 0 },
        };
    }
    Ok(piece)
}

/// What one recipient of the envelope comes to.
struct Look<'a> {
    guard: &'a Guard<'a>,
    /// Those of groups within groups.
    doors: &'a Doors<'a>,
    context: &'a Context,
    entry: &'a QueueEntry,
    /// Its place in the envelope.
    recipient: usize,
    found: Vec<Found>,
    became: Became,
    /// Groups that members of the recipient's group forward to.
    behind: VecDeque<Arc<Group>>,
}

impl<'a> Look<'a> {
    fn new(
        (guard, doors): (&'a Guard<'a>, &'a Doors<'a>),
        (context, entry): (&'a Context, &'a QueueEntry),
        recipient: usize,
    ) -> Self {
        let (found, became, behind) = Default::default();
        Self { guard, doors, context, entry, recipient, found, became, behind }
    }

    /// Looks up what an address comes to: of a group, `room` members from a place on, and where
    /// the next ones begin.
    async fn up(
        mut self,
        address: &Address,
        member: u64,
        room: usize,
    ) -> Result<(Self, Option<u64>)> {
        let directory = &*self.context.directory;
        let Followed { copies, end, steps } = follow(directory, Some(self.guard), address).await?;
        let group = match end {
            End::Group(group) => group,
            end => {
                self.take(Followed { copies, end, steps }, false).await?;
                return Ok((self, None));
            }
        };
        if member == 0 {
            self.became.steps.extend(steps);
            let recipient = self.recipient;
            self.found.extend(copies.iter().map(|account| mailbox(account, recipient)));
        }
        let page = directory.expand_admitted(group.id, member, room, self.doors).await;
        self.take_closed();
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                self.take_lost(&group, error)?;
                return Ok((self, None));
            }
        };
        self.take_all(&page.members).await?;
        let is_whole = member == 0 && page.next.is_none();
        self.became.expanded.push(Expanded {
            group: group.address.clone(),
            recipient: self.recipient,
            is_instead: copies.is_empty(),
            members: page.members,
        });
        self.take_behind(&group).await?;
        let led_somewhere = self.became.expanded.iter().any(|one| !one.members.is_empty());
        if is_whole && self.found.is_empty() && led_somewhere {
            self.found.push(Found::Nobody(round(address.clone(), self.recipient)));
        }
        Ok((self, page.next))
    }

    /// The members of groups that members forward to. Each group once; what is behind those that
    /// came already, or behind the recipient itself, gets the message anyway.
    async fn take_behind(&mut self, root: &Group) -> Result<()> {
        let mut seen = HashSet::from([root.id]);
        let mut room = BEHIND_MAX;
        while let Some(group) = self.behind.pop_front() {
            if !seen.insert(group.id) {
                continue;
            }
            let members = match self.all_of(&group, room).await {
                Ok(members) => members,
                Err(error) => {
                    self.take_lost(&group, error)?;
                    continue;
                }
            };
            let Some(members) = members else {
                room = 0;
                let text = "Too many people stand behind a member of the group who forwards";
                let failure = Failure::new(group.address.clone(), self.recipient, "5.4.6", text);
                self.found.push(Found::Nobody(failure));
                continue;
            };
            room -= members.len();
            self.take_all(&members).await?;
            self.became.expanded.push(Expanded {
                group: group.address.clone(),
                recipient: self.recipient,
                is_instead: false,
                members,
            });
        }
        Ok(())
    }

    /// All members of a group; `None` where they are more than there is room for.
    async fn all_of(&mut self, group: &Group, room: usize) -> Result<Option<Vec<Address>>> {
        let (mut members, mut from) = (Vec::new(), 0);
        for _ in 0..BEHIND_PIECES_MAX {
            let directory = &self.context.directory;
            let page = directory.expand_admitted(group.id, from, BEHIND_MAX, self.doors).await;
            self.take_closed();
            let page = page?;
            members.extend(page.members);
            if members.len() > room {
                return Ok(None);
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(Some(members)),
            }
        }
        Ok(None)
    }

    /// Groups within groups that do not take the message.
    fn take_closed(&mut self) {
        for Closed { group, address, refusal: Refusal { status, text } } in self.doors.take() {
            self.became.met.push(Met::Closed(group));
            let failure = Failure::new(address, self.recipient, status, text);
            self.found.push(Found::Nobody(failure));
        }
    }

    /// A group that cannot be expanded, which is nobody's fault but its own; one that has gone while
    /// it was still known here is nobody.
    fn take_lost(&mut self, group: &Group, error: Error) -> Result<()> {
        let (address, recipient) = (&group.address, self.recipient);
        let failure = match error.kind {
            _ if error.is_temporary() => return Err(error),
            Kind::NotFound => Failure::new(address.clone(), recipient, "5.1.1", NOBODY),
            _ => unresolvable(address, recipient, &error),
        };
        self.found.push(Found::Nobody(failure));
        Ok(())
    }

    /// Members of a group. One that can never be resolved fails alone.
    async fn take_all(&mut self, members: &[Address]) -> Result<()> {
        let directory = &*self.context.directory;
        for some in members.chunks(LOOKUPS_AT_ONCE) {
            let lookups = some.iter().map(|member| follow(directory, Some(self.guard), member));
            let all = futures::future::join_all(lookups).await;
            for (member, followed) in some.iter().zip(all) {
                let taken = match followed {
                    Ok(followed) => self.take(followed, true).await,
                    Err(error) => Err(error),
                };
                match taken {
                    Err(error) if !error.is_temporary() => {
                        let failure = unresolvable(member, self.recipient, &error);
                        self.found.push(Found::Nobody(failure));
                    }
                    taken => taken?,
                }
            }
        }
        Ok(())
    }

    async fn take(&mut self, followed: Followed, is_member: bool) -> Result<()> {
        let Followed { copies, end, steps } = followed;
        let through = match (is_member, copies.is_empty(), steps.is_empty()) {
            (true, ..) => Through::Member,
            (_, false, _) => Through::Copy,
            (_, _, false) => Through::Alias,
            _ => Through::Itself,
        };
        let is_forwarded = steps.iter().any(|step| step.event == Event::Redirect);
        let end = match end {
            End::Outside(address) if is_forwarded => self.held_back(address, &copies).await?,
            end => end,
        };
        self.became.steps.extend(steps);
        let recipient = self.recipient;
        self.found.extend(copies.iter().map(|account| mailbox(account, recipient)));
        let nobody =
            |address, status, text| Found::Nobody(Failure::new(address, recipient, status, text));
        let found = match end {
            End::Mailbox(account) => mailbox(&account, recipient),
            End::Outside(address) => match self.route(&address).await? {
                Found::Remote(remote) => Found::Remote(Remote { through, ..remote }),
                other => other,
            },
            End::Nobody(address) => nobody(address, "5.1.1", NOBODY),
            End::Refused(address, Refusal { status, text }) => {
                Found::Nobody(Failure::new(address, recipient, status, text))
            }
            End::Round(address) => Found::Nobody(round(address, recipient)),
            End::Again => return Ok(()),
            End::Group(group) => {
                self.behind.push_back(group);
                return Ok(());
            }
        };
        self.found.push(found);
        Ok(())
    }

    /// Ends what must not be forwarded to a domain. Where a mailbox has a copy, the sender need not
    /// hear of it.
    async fn held_back(&mut self, address: Address, copies: &[Arc<Account>]) -> Result<End> {
        if remote_domains::allows(self.context, &address.domain, |one| one.forwards).await? {
            return Ok(End::Outside(address));
        }
        if !copies.is_empty() {
            self.became.held_back.push(address);
            return Ok(End::Again);
        }
        let text = HELD_BACK.to_owned();
        Ok(End::Refused(address, Refusal { status: "5.7.1", text }))
    }

    async fn route(&self, address: &Address) -> Result<Found> {
        route(self.context, self.entry, address, self.recipient).await
    }
}

fn mailbox(account: &Account, recipient: usize) -> Found {
    let (account, address) = (account.id, account.address.clone());
    Found::Mailbox(Target { account, address, recipient, attempts: 0 })
}

/// Why something is not forwarded.
pub(crate) const HELD_BACK: &str = "Nothing may be forwarded to that domain";

const NOBODY: &str = "There is no mailbox of that address here";

/// The failure of an address whose mail comes back to it.
fn round(address: Address, recipient: usize) -> Failure {
    let text = "It is forwarded in a circle, in which nobody keeps a copy";
    Failure::new(address, recipient, "5.4.6", text)
}

/// The failure of an address that the directory will never resolve.
pub(crate) fn unresolvable(address: &Address, recipient: usize, error: &Error) -> Failure {
    Failure::new(address.clone(), recipient, "5.4.6", error.text.to_string())
}

/// Resolves again what was resolved before and had to wait: a mailbox gets the message whatever
/// forwarding says, which was heeded then, and must not be twice.
///
/// # Errors
/// Temporary ones of the directory.
pub(crate) async fn resolve_again(
    context: &Context,
    entry: &QueueEntry,
    address: &Address,
    recipient: usize,
) -> Result<Found> {
    let (status, text) = match context.directory.resolve(address).await? {
        Resolved::Account(account) => return Ok(mailbox(&account, recipient)),
        // A group that was a plain address when its recipient was accepted; the sender may try
        // again.
        Resolved::Group(_) => ("5.1.0", "The address has become a group meanwhile"),
        Resolved::Unknown => ("5.1.1", NOBODY),
        Resolved::Contact(contact) => {
            let external = contact.flow.external.as_ref().unwrap_or(address);
            return route(context, entry, external, recipient).await;
        }
        Resolved::Elsewhere => return route(context, entry, address, recipient).await,
    };
    Ok(Found::Nobody(Failure::new(address.clone(), recipient, status, text)))
}

/// What a piece has met.
#[derive(Default)]
struct Seen {
    accounts: HashSet<AccountId>,
    /// At other servers; what they make of upper and lower case is theirs.
    addresses: HashSet<Address>,
}

impl Piece {
    fn len(&self) -> usize {
        self.targets.len() + self.remotes.len() + self.failures.len()
    }

    fn take(&mut self, found: Found, seen: &mut Seen) {
        match found {
            Found::Mailbox(target) if !seen.accounts.insert(target.account) => {}
            Found::Mailbox(target) => self.targets.push(target),
            Found::Remote(remote) if !seen.addresses.insert(remote.address.clone()) => {}
            Found::Remote(remote) => self.remotes.push(remote),
            Found::Nobody(failure) => self.failures.push(failure),
        }
    }
}

/// The way to an address that is not ours.
async fn route(
    context: &Context,
    entry: &QueueEntry,
    address: &Address,
    recipient: usize,
) -> Result<Found> {
    let choice = match context.courier {
        Some(_) => context.connectors.choose(&address.domain, entry.content.size_bytes()).await?,
        None => Choice::Nowhere,
    };
    let failure = |status, text: String| {
        Ok(Found::Nobody(Failure::new(address.clone(), recipient, status, text)))
    };
    if context.courier.is_none() || !routing::is_routable(&address.domain) {
        // No connector will ever change that.
        return failure("5.4.4", "There is no route to that domain".to_owned());
    }
    // The last byte of a queue id is random.
    let shard = (entry.queue.0 & 0xff) as u8 % context.config.hop_shards.max(1);
    let hop = match choice {
        Choice::Connector(connector) => {
            let domain = match connector.route {
                Route::MailExchangers => Some(address.domain.clone()),
                Route::SmartHosts(_) => None,
            };
            Hop { connector: connector.name.clone(), domain, shard }
        }
        // Its sender can do something about it at once; waiting does nothing.
        Choice::TooLarge(limit) => {
            return failure("5.3.4", format!("No more than {limit} bytes are sent to that domain"));
        }
        Choice::Nowhere => Hop::unreachable(&address.domain, shard),
    };
    let is_named = |named: &Recipient| named.address == *address;
    let through = match entry.envelope.recipients.get(recipient).is_some_and(is_named) {
        true => Through::Itself,
        false => Through::Member,
    };
    Ok(Found::Remote(Remote { address: address.clone(), recipient, hop, through, attempts: 0 }))
}
