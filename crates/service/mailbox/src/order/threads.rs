//! Putting messages into threads (RFC 5256 §3).
//!
//! Nothing here recurses: a thread may be as deep as the folder is long.

use super::keys::sent_s;
use base::Uid;
use codec_mime::casemap::casemap;
use codec_mime::subject;
use contract_mailbox::order::ThreadEntry;
use contract_mailbox::{IndexEntry, MessageMeta};
use std::collections::HashMap;

/// The hash of an id or a subject; that two are the same by chance need not be feared.
type Hash = u128;

/// What threads are made from.
pub(super) struct Message {
    uid: Uid,
    sent_s: i64,
    id: Option<Hash>,
    /// From the oldest to the one that it answers.
    references: Box<[Hash]>,
    /// The base subject; `None` where it is empty.
    subject: Option<Hash>,
    is_reply: bool,
}

impl Message {
    pub(super) fn of(entry: &IndexEntry, meta: Option<&MessageMeta>) -> Self {
        let parsed = meta.map(|meta| &meta.parsed);
        let references = parsed.map_or(&[][..], |parsed| match &parsed.references[..] {
            // The first of In-Reply-To where there are no References.
            [] => &parsed.in_reply_to[..parsed.in_reply_to.len().min(1)],
            references => references,
        });
        let base = parsed
            .and_then(|parsed| parsed.envelope.subject.as_ref())
            .map(|subject| subject::base(subject));
        let text = base.as_ref().map_or("", |base| &base.text);
        Self {
            uid: entry.uid,
            sent_s: sent_s(entry, meta),
            id: parsed.and_then(|parsed| parsed.message_id.as_deref()).map(hash),
            references: references.iter().map(|id| hash(id)).collect(),
            subject: (!text.is_empty()).then(|| hash(casemap(text).as_bytes())),
            is_reply: base.is_some_and(|base| base.is_reply_or_forward),
        }
    }
}

fn hash(bytes: &[u8]) -> Hash {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    u128::from_le_bytes(half)
}

/// ORDEREDSUBJECT: each base subject is a thread, all below its first message. `messages` are in
/// order of UID.
pub(super) fn by_subject(messages: &[Message]) -> Vec<ThreadEntry> {
    let mut order: Vec<&Message> = messages.iter().collect();
    order.sort_by_key(|message| (message.sent_s, message.uid));
    let mut threads: Vec<Vec<Uid>> = Vec::new();
    let mut of_subject: HashMap<Option<Hash>, usize> = HashMap::new();
    for message in order {
        let thread = *of_subject.entry(message.subject).or_insert_with(|| {
            threads.push(Vec::new());
            threads.len() - 1
        });
        threads[thread].push(message.uid);
    }
    let entries = threads.iter().flat_map(|thread| {
        let depth = |place: usize| u32::from(place > 0);
        thread.iter().enumerate().map(move |(place, uid)| (depth(place), *uid))
    });
    entries.map(|(depth, uid)| ThreadEntry { depth, uid: Some(uid) }).collect()
}

/// REFERENCES. `messages` are in order of UID.
pub(super) fn by_references(messages: &[Message]) -> Vec<ThreadEntry> {
    let mut forest = Forest::linked(messages);
    let mut roots = forest.pruned_roots();
    forest.sort(&mut roots);
    let mut roots = forest.merged(roots);
    forest.sort_all();
    forest.sort(&mut roots);
    forest.in_order(&roots)
}

/// Messages by their place in `nodes`: first those that are there, then the missing ones.
struct Forest<'m> {
    messages: &'m [Message],
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Whether something has been put below a node.
    has_children: Vec<bool>,
    /// How many steps may still be walked up in search of loops.
    steps_left: u64,
}

/// Steps that are walked up to find loops, for all messages together. Only ids that were made for
/// the purpose need many; what they link is left apart.
const STEPS_MAX: u64 = 20_000_000;

impl<'m> Forest<'m> {
    /// Step 1: every message below the one that it answers.
    fn linked(messages: &'m [Message]) -> Self {
        let count = messages.len();
        let mut forest = Self {
            messages,
            parent: vec![None; count],
            children: Vec::new(),
            has_children: vec![false; count],
            steps_left: STEPS_MAX,
        };
        let mut places: HashMap<Hash, usize> = HashMap::new();
        // Of several with the same id the first has it; the others have none.
        for (place, message) in messages.iter().enumerate() {
            if let Some(id) = message.id {
                places.entry(id).or_insert(place);
            }
        }
        for (place, message) in messages.iter().enumerate() {
            let mut above = None;
            for reference in &message.references {
                let next = *places.entry(*reference).or_insert_with(|| {
                    forest.parent.push(None);
                    forest.has_children.push(false);
                    forest.parent.len() - 1
                });
                if let Some(above) = above
                    && forest.parent[next].is_none()
                    && !forest.is_above(next, above)
                {
                    forest.put(next, Some(above));
                }
                above = Some(next);
            }
            // Its own last reference counts more than what others made of theirs.
            match above {
                Some(above) if forest.is_above(place, above) => {}
                above => forest.put(place, above),
            }
        }
        forest.children = vec![Vec::new(); forest.parent.len()];
        for place in 0..forest.parent.len() {
            if let Some(above) = forest.parent[place] {
                forest.children[above].push(place);
            }
        }
        forest
    }

    fn put(&mut self, node: usize, above: Option<usize>) {
        self.parent[node] = above;
        if let Some(above) = above {
            self.has_children[above] = true;
        }
    }

    /// Whether a node is another, or above it; or whether that would take too long to know.
    fn is_above(&mut self, node: usize, mut other: usize) -> bool {
        if node != other && !self.has_children[node] {
            return false;
        }
        loop {
            if other == node || self.steps_left == 0 {
                return true;
            }
            self.steps_left -= 1;
            match self.parent[other] {
                Some(parent) => other = parent,
                None => return false,
            }
        }
    }

    fn message(&self, node: usize) -> Option<&'m Message> {
        self.messages.get(node)
    }

    /// Steps 2 and 3: those without a parent, and the missing ones out of the way. A missing one
    /// stays at the top if it has several children.
    fn pruned_roots(&mut self) -> Vec<usize> {
        // Children before their parents.
        for node in self.bottom_up() {
            let mut kept = Vec::with_capacity(self.children[node].len());
            for child in std::mem::take(&mut self.children[node]) {
                match self.message(child) {
                    Some(_) => kept.push(child),
                    None => {
                        // The shorter into the longer: their order is made later.
                        let mut below = std::mem::take(&mut self.children[child]);
                        if below.len() > kept.len() {
                            std::mem::swap(&mut below, &mut kept);
                        }
                        kept.append(&mut below);
                    }
                }
            }
            self.children[node] = kept;
        }
        let mut roots = Vec::new();
        for node in (0..self.parent.len()).filter(|node| self.parent[*node].is_none()) {
            match (self.message(node), &self.children[node][..]) {
                (None, []) => {}
                (None, [only]) => roots.push(*only),
                _ => roots.push(node),
            }
        }
        roots
    }

    /// All nodes, each after everything below it.
    fn bottom_up(&self) -> Vec<usize> {
        let roots = (0..self.parent.len()).filter(|node| self.parent[*node].is_none());
        let mut order: Vec<usize> = roots.collect();
        let mut next = 0;
        while let Some(node) = order.get(next) {
            order.extend_from_slice(&self.children[*node]);
            next += 1;
        }
        order.reverse();
        order
    }

    /// When a node was sent, and its place in the folder; of a missing one its first child.
    fn sent(&self, node: usize) -> (i64, Uid) {
        let there = self
            .message(node)
            .or_else(|| self.children[node].first().and_then(|child| self.message(*child)));
        there.map_or((i64::MAX, Uid(u32::MAX)), |message| (message.sent_s, message.uid))
    }

    /// Step 4, and the end of step 6: siblings in order of their dates.
    fn sort(&mut self, roots: &mut [usize]) {
        for root in roots.iter().copied() {
            if self.message(root).is_none() {
                self.sort_children(root);
            }
        }
        roots.sort_by_key(|root| self.sent(*root));
    }

    fn sort_children(&mut self, node: usize) {
        let mut children = std::mem::take(&mut self.children[node]);
        children.sort_by_key(|child| self.sent(*child));
        self.children[node] = children;
    }

    /// Step 6: all siblings. No message that is missing is below another.
    fn sort_all(&mut self) {
        for node in 0..self.children.len() {
            self.sort_children(node);
        }
    }

    /// The subject of a thread, and whether its first message is a reply.
    fn subject(&self, root: usize) -> Option<(Hash, bool)> {
        let first = self
            .message(root)
            .or_else(|| self.children[root].first().and_then(|child| self.message(*child)))?;
        Some((first.subject?, first.is_reply))
    }

    /// Step 5: threads of the same subject become one.
    fn merged(&mut self, roots: Vec<usize>) -> Vec<usize> {
        let mut of_subject: HashMap<Hash, usize> = HashMap::new();
        for root in roots.iter().copied() {
            let Some((subject, is_reply)) = self.subject(root) else { continue };
            let known = of_subject.entry(subject).or_insert(root);
            let missing = self.messages.get(root).is_none();
            let known_missing = self.messages.get(*known).is_none();
            let known_is_reply = self.subject(*known).is_some_and(|(_, is_reply)| is_reply);
            if (missing && !known_missing) || (known_is_reply && !is_reply) {
                *known = root;
            }
        }
        let mut gone = vec![false; self.children.len()];
        let mut made = Vec::new();
        for root in roots.iter().copied() {
            // The one that others were merged with may have been put below a new one.
            if gone[root] {
                continue;
            }
            let Some((subject, is_reply)) = self.subject(root) else { continue };
            let Some(into) = of_subject.get(&subject).copied().filter(|into| *into != root) else {
                continue;
            };
            let into_is_reply = self.subject(into).is_some_and(|(_, is_reply)| is_reply);
            match (self.message(root), self.message(into)) {
                (None, None) => {
                    let mut children = std::mem::take(&mut self.children[root]);
                    self.children[into].append(&mut children);
                }
                (Some(_), None) => self.children[into].push(root),
                (None, Some(_)) => {
                    self.children[root].push(into);
                    of_subject.insert(subject, root);
                    gone[into] = true;
                    continue;
                }
                (Some(_), Some(_)) if is_reply && !into_is_reply => self.children[into].push(root),
                _ => {
                    self.children.push(vec![into, root]);
                    gone.push(false);
                    made.push(self.children.len() - 1);
                    of_subject.insert(subject, self.children.len() - 1);
                    gone[into] = true;
                }
            }
            gone[root] = true;
        }
        roots.into_iter().chain(made).filter(|root| !gone[*root]).collect()
    }

    /// The threads as they are told.
    fn in_order(&self, roots: &[usize]) -> Vec<ThreadEntry> {
        let mut entries = Vec::with_capacity(self.messages.len());
        let mut waiting: Vec<(usize, u32)> = roots.iter().rev().map(|root| (*root, 0)).collect();
        while let Some((node, depth)) = waiting.pop() {
            let uid = self.message(node).map(|message| message.uid);
            entries.push(ThreadEntry { depth, uid });
            let children = self.children[node].iter().rev();
            waiting.extend(children.map(|child| (*child, depth + 1)));
        }
        entries
    }
}

#[cfg(test)]
mod tests;
