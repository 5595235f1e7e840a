//! Finding stories: by the marks of a person or a Message-ID, a day at a time, or by looking
//! through what was accepted last.

use crate::context::Context;
use base::{QueueId, Result, Timestamp};
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, KeyValue, RangeRead, Transaction, transact,
};
use contract_transport::tracking::rows::{self, Mark};
use contract_transport::tracking::{FOUND_MAX, Found, Search, Tracked};
use futures::future::BoxFuture;
use std::collections::BTreeSet;

/// How many rows one transaction reads.
const ROWS: usize = 1_000;

/// How many stories one transaction reads.
const STORIES: usize = 50;

/// How many messages a search looks at, marked ones or not.
const LOOKED_AT_MAX: usize = 20_000;

/// See [`contract_transport::tracking::MessageTracking::story`].
///
/// # Errors
/// The store's.
pub(crate) async fn story(context: &Context, queue: QueueId) -> Result<Vec<Tracked>> {
    let found = stories(context, &[queue]).await?;
    if let Some(story) = found.into_iter().next().filter(|story| !story.is_empty()) {
        return Ok(story);
    }
    // It may be its name in the queue of a next hop.
    let range = rows::marked(rows::day(queue.accepted_at()), Mark::Related(queue));
    let origins = marked(context, range).await?;
    for origin in origins {
        let story = stories(context, &[origin]).await?.pop().unwrap_or_default();
        if story.iter().any(|event| event.related == Some(queue)) {
            return Ok(story);
        }
    }
    Ok(Vec::new())
}

/// See [`contract_transport::tracking::MessageTracking::search`].
///
/// # Errors
/// The store's.
pub(crate) async fn search(context: &Context, search: &Search) -> Result<Found> {
    let now = context.env.clock.now();
    let before = search.before_ms.map(|before| now.plus_ms(before.saturating_neg()));
    // Clocks of other nodes may be ahead.
    let latest = now.plus_ms(rows::DAY_MS);
    let until = [search.until, before].into_iter().flatten().min().unwrap_or(latest).min(latest);
    let kept = i64::from(rows::first_kept(now)) * rows::DAY_MS;
    let within = search.within_ms.map(|within| now.plus_ms(within.saturating_neg()));
    let since = [search.since, within].into_iter().flatten().max().unwrap_or_default();
    let since = since.max(Timestamp { unix_ms: kept });
    let limit = if search.limit == 0 { FOUND_MAX } else { search.limit.min(FOUND_MAX) };
    let looking = Looking { context, search, since, until, limit };
    let marks = looking.marks();
    let mut found = Found::default();
    let mut looked_at = 0;
    for day in (rows::day(since)..=rows::day(until)).rev() {
        let more = match marks.is_empty() {
            true => looking.through(day, &mut found, &mut looked_at).await?,
            false => looking.among(day, &marks, &mut found, &mut looked_at).await?,
        };
        if more {
            break;
        }
    }
    Ok(found)
}

/// Forgets what has been kept long enough: one range, whatever there is in it.
///
/// # Errors
/// The store's.
pub(crate) async fn forget_old(context: &Context) -> Result<()> {
    let range = rows::outdated(context.env.clock.now());
    transact(&context.store, Clear(range)).await
}

/// A search under way.
struct Looking<'a> {
    context: &'a Context,
    search: &'a Search,
    since: Timestamp,
    until: Timestamp,
    limit: usize,
}

impl Looking<'_> {
    /// By what messages are found: what fits the fewest first.
    fn marks(&self) -> Vec<Mark<'_>> {
        let Search { senders, recipients, message_id, .. } = self.search;
        match message_id {
            Some(id) => vec![Mark::MessageId(id)],
            None if !recipients.is_empty() => recipients.iter().map(Mark::Recipient).collect(),
            None => senders.iter().map(Mark::Sender).collect(),
        }
    }

    /// Looks at the marked messages of a day; answers whether that is enough.
    async fn among(
        &self,
        day: u32,
        marks: &[Mark<'_>],
        found: &mut Found,
        looked_at: &mut usize,
    ) -> Result<bool> {
        let mut queues = BTreeSet::new();
        for mark in marks {
            queues.extend(marked(self.context, rows::marked(day, *mark)).await?);
        }
        queues.retain(|queue| self.is_in_time(*queue));
        let queues: Vec<QueueId> = queues.into_iter().rev().collect();
        for some in queues.chunks(STORIES) {
            *looked_at += some.len();
            if *looked_at > LOOKED_AT_MAX {
                found.more_before = some.first().map(|queue| queue.accepted_at().plus_ms(1));
                return Ok(true);
            }
            for story in stories(self.context, some).await? {
                if self.take(story, found) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Looks at all messages of a day; answers whether that is enough.
    async fn through(&self, day: u32, found: &mut Found, looked_at: &mut usize) -> Result<bool> {
        let mut rest = Some(rows::events(day, self.since, self.until));
        while let Some(range) = rest.take() {
            let (mut page, more) = transact(&self.context.store, Backwards(range.clone())).await?;
            page.reverse();
            let Some(first) = page.first().and_then(|row| rows::parse_event(&row.key)) else {
                return Ok(false);
            };
            if more {
                // The first story may have begun before.
                let is_other = |row: &KeyValue| rows::parse_event(&row.key) != Some(first);
                let end = match page.iter().position(is_other) {
                    Some(place) => {
                        page.drain(..place);
                        page.first().map(|row| row.key.clone())
                    }
                    None => {
                        page.clear();
                        let story = stories(self.context, &[first]).await?.pop();
                        if self.take(story.unwrap_or_default(), found) {
                            return Ok(true);
                        }
                        Some(rows::story(first).begin)
                    }
                };
                rest = end.map(|end| KeyRange::new(range.begin, end));
            }
            for story in by_message(&rows::decode(&page)?) {
                *looked_at += 1;
                if *looked_at > LOOKED_AT_MAX {
                    let next = story.first().map(|event| event.queue.accepted_at().plus_ms(1));
                    found.more_before = next;
                    return Ok(true);
                }
                if self.take(story, found) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_in_time(&self, queue: QueueId) -> bool {
        (self.since..self.until).contains(&queue.accepted_at())
    }

    /// Takes a story if it fits; answers whether that is enough.
    fn take(&self, story: Vec<Tracked>, found: &mut Found) -> bool {
        if !self.fits(&story) {
            return false;
        }
        if found.stories.len() >= self.limit {
            let next = story.first().map(|event| event.queue.accepted_at().plus_ms(1));
            found.more_before = next;
            return true;
        }
        found.stories.push(story);
        false
    }

    fn fits(&self, story: &[Tracked]) -> bool {
        let Search { senders, recipients, message_id, subject, .. } = self.search;
        let Some(begun) = story.iter().find(|event| event.event.begins() || event.is_refusal())
        else {
            return false;
        };
        let is = |one: &base::Address, other: &base::Address| {
            one.to_string().to_lowercase() == other.to_string().to_lowercase()
        };
        let by = |sender| begun.sender.as_ref().is_some_and(|known| is(known, sender));
        let to = |one| story.iter().any(|event| rows::concerns(&event.recipients, one));
        let named = |id: &String| begun.message_id.as_deref() == Some(rows::trimmed(id));
        let called = |part: &String| {
            let known = begun.subject.as_deref().unwrap_or_default().to_lowercase();
            known.contains(&part.to_lowercase())
        };
        (senders.is_empty() || senders.iter().any(by))
            && (recipients.is_empty() || recipients.iter().any(to))
            && message_id.as_ref().is_none_or(named)
            && subject.as_ref().is_none_or(called)
    }
}

/// Splits events into stories, the newest message first.
fn by_message(events: &[Tracked]) -> Vec<Vec<Tracked>> {
    let mut stories: Vec<Vec<Tracked>> =
        events.chunk_by(|one, next| one.queue == next.queue).map(<[Tracked]>::to_vec).collect();
    stories.reverse();
    stories
}

/// The messages of a range of marks.
async fn marked(context: &Context, range: KeyRange) -> Result<BTreeSet<QueueId>> {
    let mut queues = BTreeSet::new();
    let mut rest = Some(range);
    while let Some(range) = rest {
        let (page, next) = transact(&context.store, Forwards(range)).await?;
        queues.extend(page.iter().filter_map(|row| rows::parse_marked(&row.key)));
        rest = next;
    }
    Ok(queues)
}

/// The stories of some messages, in order.
async fn stories(context: &Context, queues: &[QueueId]) -> Result<Vec<Vec<Tracked>>> {
    transact(&context.store, Stories(queues)).await
}

/// The first rows of a range, and what is left of it.
struct Forwards(KeyRange);

impl Body<(Vec<KeyValue>, Option<KeyRange>)> for Forwards {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(Vec<KeyValue>, Option<KeyRange>), BodyError>> {
        Box::pin(async move {
            let read = RangeRead::all(&self.0).limit(ROWS);
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            let last = page.rows.last().map(|row| KeyRange::single(&row.key).end);
            let begin = last.unwrap_or_else(|| self.0.begin.clone());
            let rest = page.more.then(|| KeyRange::new(begin, self.0.end.clone()));
            Ok((page.rows, rest))
        })
    }
}

/// The last rows of a range, the last one first, and whether there may be more.
struct Backwards(KeyRange);

impl Body<(Vec<KeyValue>, bool)> for Backwards {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(Vec<KeyValue>, bool), BodyError>> {
        Box::pin(async move {
            let mut found: Vec<KeyValue> = Vec::new();
            let mut next = Some(RangeRead::all(&self.0).limit(ROWS).reverse());
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                next = read.after(&page);
                found.extend(page.rows);
                if found.len() >= ROWS {
                    return Ok((found, true));
                }
            }
            Ok((found, false))
        })
    }
}

struct Stories<'q>(&'q [QueueId]);

impl Body<Vec<Vec<Tracked>>> for Stories<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Vec<Vec<Tracked>>, BodyError>> {
        Box::pin(async move {
            let mut stories = Vec::with_capacity(self.0.len());
            for queue in self.0 {
                let range = rows::story(*queue);
                let (mut found, mut next) = (Vec::new(), Some(RangeRead::all(&range)));
                while let Some(read) = next {
                    let page = tx.get_range(&read, Isolation::Snapshot).await?;
                    next = read.after(&page);
                    found.extend(page.rows);
                }
                stories.push(rows::decode(&found)?);
            }
            Ok(stories)
        })
    }
}

struct Clear(KeyRange);

impl Body<()> for Clear {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            tx.clear_range(&self.0);
            Ok(())
        })
    }
}
