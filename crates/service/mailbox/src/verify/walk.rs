//! Reading rows into what can be checked.

use super::Report;
use crate::rows::keys::Keys;
use crate::rows::{self, ChangeRow, FolderRow, ItemRow, ResultRow, Summary};
use crate::write::bulk;
use base::{Change, FolderId, ItemId, Result, Uid};
use bytes::Bytes;
use contract_blob::BlobId;
use contract_mailbox::{IndexBlock, IndexEntry, Keywords, MessageMeta};
use contract_store::KeyValue;
use contract_store::keys::{KeyBuilder, KeyReader};
use std::collections::{BTreeMap, BTreeSet};

/// What a meta row says that others repeat.
pub(super) struct MetaFacts {
    pub(super) size_bytes: u64,
    pub(super) blobs: Vec<BlobId>,
    pub(super) message_id: Option<u64>,
}

/// All that was read.
pub(super) struct Walk {
    pub(super) keys: Keys,
    pub(super) report: Report,
    pub(super) summary: Option<Summary>,
    pub(super) keywords: usize,
    pub(super) folders: BTreeMap<FolderId, FolderRow>,
    pub(super) entries: BTreeMap<(FolderId, Uid), IndexEntry>,
    pub(super) items: BTreeMap<ItemId, ItemRow>,
    pub(super) metas: BTreeMap<(FolderId, Uid), MetaFacts>,
    pub(super) changes: BTreeMap<(FolderId, Change), ChangeRow>,
    pub(super) tombstones: BTreeSet<(FolderId, Change)>,
    /// Kind (`g`, `v`), hash, item.
    pub(super) hashes: BTreeSet<(u8, u64, ItemId)>,
    /// The whole keys of date index rows, with the item.
    pub(super) received: BTreeMap<Bytes, ItemId>,
    /// Kind (`h`, `z`), folder, name, and the item.
    pub(super) names: BTreeMap<(u8, FolderId, Bytes), ItemId>,
    pub(super) associated: BTreeSet<(FolderId, ItemId)>,
    /// Search folder, folder, item, and the UID in the search folder.
    pub(super) members: BTreeMap<(FolderId, FolderId, ItemId), Option<Uid>>,
    /// Items that have tree rows, and those rows' kinds.
    pub(super) trees: BTreeSet<(ItemId, u8)>,
    /// Folders that per-user and per-device rows belong to.
    pub(super) referred: BTreeSet<(u8, FolderId)>,
    pub(super) job: Option<bulk::Progress>,
    /// The meta whose pieces are being read.
    open_meta: Option<((FolderId, Uid), Vec<u8>, u16)>,
}

impl Walk {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            report: Report::default(),
            summary: None,
            keywords: 0,
            folders: BTreeMap::new(),
            entries: BTreeMap::new(),
            items: BTreeMap::new(),
            metas: BTreeMap::new(),
            changes: BTreeMap::new(),
            tombstones: BTreeSet::new(),
            hashes: BTreeSet::new(),
            received: BTreeMap::new(),
            names: BTreeMap::new(),
            associated: BTreeSet::new(),
            members: BTreeMap::new(),
            trees: BTreeSet::new(),
            referred: BTreeSet::new(),
            job: None,
            open_meta: None,
        }
    }

    /// Takes one row; they come in the order of their keys.
    pub(super) fn row(&mut self, row: &KeyValue) {
        self.report.rows += 1;
        self.report.bytes += (row.key.len() + row.value.len()) as u64;
        let read = match self.read(row) {
            Ok(Some(())) => return,
            Ok(None) => "no key of a mailbox".to_owned(),
            Err(error) => error.to_string(),
        };
        let key = row.key.escape_ascii();
        self.report.problem(format!("row {key}: {read}"));
    }

    /// `None` if the key cannot be understood.
    fn read(&mut self, row: &KeyValue) -> Result<Option<()>> {
        let prefix = KeyBuilder::new(b"A").u64(self.keys.0.0).build();
        let Some(reader) = KeyReader::new(&row.key, &prefix) else {
            return Ok(None);
        };
        let rest = reader.rest();
        let Some((kind, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if *kind != b'm' {
            self.end_meta()?;
        }
        let Some(mut key) = KeyReader::new(rest, b"") else {
            return Ok(None);
        };
        match kind {
            b's' => self.summary = Some(rows::decode(&row.value, "summary")?),
            b'k' => {
                let Keywords(names) = rows::decode_keywords(&row.value)?;
                self.keywords = names.len();
            }
            b'f' => return self.folder(&mut key, &row.value),
            b'b' => return self.block(&mut key, &row.value),
            b'm' => return self.meta(&mut key, &row.value),
            b'c' => {
                let (Some(folder), Some(change)) = (key.u64(), key.u64()) else {
                    return Ok(None);
                };
                let step = rows::decode(&row.value, "change")?;
                self.changes.insert((FolderId(folder), Change(change)), step);
            }
            b'e' => {
                let (Some(folder), Some(change)) = (key.u64(), key.u64()) else {
                    return Ok(None);
                };
                self.tombstones.insert((FolderId(folder), Change(change)));
            }
            b'n' => {
                let _marks: crate::compact::Marks = rows::decode(&row.value, "marks")?;
            }
            b'i' => {
                let Some(item) = key.u64() else {
                    return Ok(None);
                };
                self.items.insert(ItemId(item), rows::decode(&row.value, "item")?);
            }
            b'x' => {
                let _result: ResultRow = rows::decode(&row.value, "result")?;
            }
            b'j' => {
                self.report.unfinished_job = true;
                if rest == [0, 0] {
                    self.job = Some(bulk::decode_progress(&row.value)?);
                }
            }
            b'd' | b'p' | b'w' => {}
            _ => return Ok(self.index(*kind, row, &mut key)),
        }
        Ok(Some(()))
    }

    fn folder(&mut self, key: &mut KeyReader<'_>, value: &[u8]) -> Result<Option<()>> {
        let Some(id) = key.u64() else { return Ok(None) };
        let folder: FolderRow = rows::decode(value, "folder")?;
        if folder.info.id != FolderId(id) {
            let text = format!("the row of {} is that of {}", FolderId(id), folder.info.id);
            self.report.problem(text);
        }
        self.folders.insert(FolderId(id), folder);
        Ok(Some(()))
    }

    fn block(&mut self, key: &mut KeyReader<'_>, value: &[u8]) -> Result<Option<()>> {
        let (Some(folder), Some(number)) = (key.u64(), key.u32()) else {
            return Ok(None);
        };
        let (folder, block) = (FolderId(folder), rows::decode_block(value)?);
        let fits = |entry: &IndexEntry| entry.uid.0 / IndexBlock::UIDS == number;
        if block.number != number || block.entries.is_empty() || !block.entries.iter().all(fits) {
            let text = format!("index row {number} of {folder} has other messages, or none");
            self.report.problem(text);
        }
        for entry in block.entries {
            self.entries.insert((folder, entry.uid), entry);
        }
        Ok(Some(()))
    }

    fn meta(&mut self, key: &mut KeyReader<'_>, value: &[u8]) -> Result<Option<()>> {
        let (Some(folder), Some(uid), Some(piece)) = (key.u64(), key.u32(), key.u16()) else {
            return Ok(None);
        };
        let place = (FolderId(folder), Uid(uid));
        match &mut self.open_meta {
            Some((open, bytes, pieces)) if *open == place && *pieces == piece => {
                bytes.extend_from_slice(value);
                *pieces += 1;
            }
            _ => {
                self.end_meta()?;
                self.open_meta = Some((place, value.to_vec(), piece + 1));
                if piece != 0 {
                    let text = format!("the meta of {} of {} lacks a piece", place.1, place.0);
                    self.report.problem(text);
                }
            }
        }
        Ok(Some(()))
    }

    fn end_meta(&mut self) -> Result<()> {
        let Some((place, bytes, _)) = self.open_meta.take() else {
            return Ok(());
        };
        let meta: MessageMeta = rows::decode(&bytes, "meta")?;
        let message_id = meta.parsed.message_id.as_deref();
        let facts = MetaFacts {
            size_bytes: meta.content.size_bytes(),
            blobs: meta.content.blobs(),
            message_id: message_id.map(|id| rows::keys::hash64(&[id])),
        };
        if meta.parsed.size_bytes != facts.size_bytes {
            let text = format!(
                "{} of {} was parsed with {} bytes and has {}",
                place.1, place.0, meta.parsed.size_bytes, facts.size_bytes
            );
            self.report.problem(text);
        }
        self.metas.insert(place, facts);
        Ok(())
    }

    /// Rows that only point to others.
    fn index(&mut self, kind: u8, row: &KeyValue, key: &mut KeyReader<'_>) -> Option<()> {
        let first = key.u64()?;
        match kind {
            b'g' | b'v' => {
                self.hashes.insert((kind, first, ItemId(key.u64()?)));
            }
            b'r' => {
                let _time = key.u64()?;
                self.received.insert(row.key.clone(), ItemId(key.u64()?));
            }
            b'h' | b'z' => {
                let name = Bytes::copy_from_slice(key.clone().rest());
                let item = u64::from_be_bytes(row.value.as_ref().try_into().ok()?);
                self.names.insert((kind, FolderId(first), name), ItemId(item));
            }
            b'o' => {
                self.associated.insert((FolderId(first), ItemId(key.u64()?)));
            }
            b'y' => {
                let (folder, item) = (FolderId(key.u64()?), ItemId(key.u64()?));
                let uid = row.value.as_ref().try_into().ok().map(u32::from_be_bytes).map(Uid);
                self.members.insert((FolderId(first), folder, item), uid);
            }
            b't' | b'a' => {
                self.trees.insert((ItemId(first), kind));
            }
            b'q' | b'u' => {
                self.referred.insert((kind, FolderId(first)));
            }
            _ => return None,
        }
        Some(())
    }

    /// Ends the walk: the last meta may still be open.
    pub(super) fn end(&mut self) {
        if let Err(error) = self.end_meta() {
            self.report.problem(format!("the last meta: {error}"));
        }
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys
    }
}
