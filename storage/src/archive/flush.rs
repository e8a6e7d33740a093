//! Making chunks of a sealed generation.
//!
//! Everything here may be repeated: a generation whose log is still there after a crash is made into the same chunks
//! again, under the same first ids.

use super::chunk::{self, ChunkKey, Pointer};
use super::log::Logged;
use super::retention::Retention;
use super::tails::{Generation, Place, Sealed, Tails};
use super::walk::id_of;
use super::{CHUNKS, FAMILY, INDEX, index_rest, log};
use crate::engine::column;
use crate::reply::Failure;
use crate::tuning::Tuning;
use crate::{FailureKind, Family};
use rocksdb::{DB, IngestExternalFileOptions, IteratorMode, ReadOptions, SstFileWriter, WriteBatch};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a chunk has of messages, about: what is read to get one of them, and what is compressed together.
const CHUNK_BYTES_MAX: usize = 32 << 10;
/// The longest time from the first message of a chunk to its last, in microseconds: they go together.
const CHUNK_SPAN_MAX: u64 = 86_400_000_000;
/// Chunks up to this size are kept in `archive`: an archive that is written to now and then has many of them, which
/// come to lie next to each other there. Larger ones would be moved too often.
const HERE_BYTES_MAX: usize = 1 << 10;
/// The key in `archive` of the highest id that any chunk has: before that of every owner.
const NEWEST_KEY: &[u8] = &[0];
/// How many records are taken out of the log in one go.
const RELEASED_TOGETHER: u64 = 4096;

/// Makes chunks of a generation, sees to it that they are on the disk, and gives up its log.
pub(crate) fn flush(db: &DB, tuning: &Tuning, sealed: &Sealed) -> Result<(), Failure> {
    let retention = tuning.retention();
    let before = sealed.forgotten().clone();
    let mut made = make(db, tuning, &sealed.generation, &before)?;
    {
        // Who forgets an archive waits, so that nothing of it is stored afterwards.
        let forgotten = sealed.forgotten();
        if forgotten.len() > before.len() {
            made = make(db, tuning, &sealed.generation, &forgotten)?;
        }
        made.store(db)?;
    }
    release(db, &sealed.generation, &made.replaced)?;
    drop_expired(db, retention)
}

/// Writes the chunks of a generation to table files. `forgotten`: whose archives have gone since it was sealed.
fn make(db: &DB, tuning: &Tuning, generation: &Generation, forgotten: &HashSet<Box<[u8]>>) -> Result<Made, Failure> {
    let mut owners: Vec<_> = generation.owners().filter(|(owner, _)| !forgotten.contains(*owner)).collect();
    owners.sort_unstable_by_key(|(owner, _)| *owner);
    let options = [CHUNKS, FAMILY, INDEX].map(|family| tuning.family(family));
    let [chunks, pointers, index] = &options;
    let mut maker = Maker {
        db,
        time: tuning.retention().time(),
        number: 0,
        chunks: Table::new(CHUNKS, chunks, tuning.path())?,
        pointers: Table::new(FAMILY, pointers, tuning.path())?,
        index: Table::new(INDEX, index, tuning.path())?,
        replaced: Vec::new(),
        value: Vec::new(),
        indexed: Vec::new(),
    };
    maker.pointers.put(NEWEST_KEY, &generation.newest().to_be_bytes())?;
    for (owner, places) in owners {
        maker.owner(generation, owner, places)?;
    }
    let tables = [maker.chunks.finish()?, maker.pointers.finish()?, maker.index.finish()?];
    Ok(Made { time: maker.time, tables: tables.into_iter().flatten().collect(), replaced: maker.replaced })
}

/// A table file that is being written.
struct Table<'t> {
    family: Family,
    path: PathBuf,
    writer: SstFileWriter<'t>,
    is_empty: bool,
}

impl<'t> Table<'t> {
    fn new(family: Family, options: &'t rocksdb::Options, directory: &Path) -> Result<Table<'t>, Failure> {
        // One that a crash has left is overwritten.
        let path = directory.join(format!("NEW.{}", family.name()));
        let writer = SstFileWriter::create(options);
        writer.open(&path)?;
        Ok(Table { family, path, writer, is_empty: true })
    }

    /// To be called in the order of the keys.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.is_empty = false;
        Ok(self.writer.put(key, value)?)
    }

    /// Completes and syncs the file, if there is anything in it.
    fn finish(mut self) -> Result<Option<(Family, PathBuf)>, Failure> {
        if self.is_empty {
            drop(self.writer);
            fs::remove_file(&self.path).ok();
            return Ok(None);
        }
        self.writer.finish()?;
        Ok(Some((self.family, self.path)))
    }
}

/// Table files that are not part of the database yet, chunks first.
struct Made {
    /// That of the chunks' keys.
    time: u64,
    tables: Vec<(Family, PathBuf)>,
    /// Chunks whose messages are in others now.
    replaced: Vec<ChunkKey>,
}

impl Made {
    /// Makes the files part of the database. If that ends in between, what is there is what the log has as well.
    fn store(&self, db: &DB) -> Result<(), Failure> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        for (family, path) in &self.tables {
            let stored = db.ingest_external_file_cf_opts(column(db, *family)?, &options, vec![path]);
            if stored.is_err() && *family == FAMILY {
                // Nothing leads to the chunks that are there already, and the next attempt makes its own.
                let (from, to) = (chunk::key(self.time, 0), chunk::key(self.time + 1, 0));
                db.delete_file_in_range_cf(column(db, CHUNKS)?, &from[..], &to[..]).ok();
            }
            stored?;
        }
        Ok(())
    }
}

/// What the log has, put into the tails. There may be two generations: one that was to become chunks, and the next.
pub(crate) fn recover(db: &DB, tuning: &Tuning, tails: &Tails) -> Result<(), Failure> {
    let newest = db.get_pinned_cf(column(db, FAMILY)?, NEWEST_KEY)?;
    let newest = newest.and_then(|bytes| Some(u64::from_be_bytes(bytes[..].try_into().ok()?))).unwrap_or(0);
    let mut records = Vec::new();
    for family in [log::family(0), log::family(1)] {
        for item in db.iterator_cf(column(db, family)?, IteratorMode::Start) {
            let (key, record) = item?;
            let damaged = || Failure::new(FailureKind::Corrupt, "a key in the log of archives cannot be read");
            let (generation, number) = log::split_key(&key).ok_or_else(damaged)?;
            records.push((generation, number, record.into_vec()));
        }
    }
    records.sort_unstable_by_key(|(generation, number, _)| (*generation, *number));
    let first = records.first().map_or_else(|| tuning.retention().time(), |(generation, ..)| *generation);
    tails.begin(first, newest);
    let forgets = records.iter().map(|(generation, _, record)| (*generation, forgotten(record)));
    let forgets: Vec<_> = forgets.filter(|(_, owners)| !owners.is_empty()).collect();
    for (generation, number, record) in records {
        if generation > tails.next_record().0 {
            tails.seal();
            if let Some(sealed) = tails.sealed() {
                let later = forgets.iter().filter(|(forgets, _)| *forgets >= generation);
                sealed.forgotten().extend(later.flat_map(|(_, owners)| owners.iter().cloned()));
                flush(db, tuning, &sealed)?;
                tails.released(Ok(()));
            }
            tails.begin(generation, tails.newest());
        }
        tails.replay(number, record);
    }
    Ok(())
}

/// Whose archives have gone by what a record says.
fn forgotten(record: &[u8]) -> Vec<Box<[u8]>> {
    let forgotten = log::entries(record).filter_map(|entry| match entry {
        Logged::Forget(owner) => Some(owner.into()),
        Logged::Append { .. } => None,
    });
    forgotten.collect()
}

/// Gives up the log of a generation, and the chunks that others have replaced.
fn release(db: &DB, generation: &Generation, replaced: &[ChunkKey]) -> Result<(), Failure> {
    if !replaced.is_empty() {
        let (chunks, mut batch) = (column(db, CHUNKS)?, WriteBatch::default());
        replaced.iter().for_each(|key| batch.delete_cf(chunks, key));
        db.write(batch)?;
    }
    let family = column(db, log::family(generation.number()))?;
    let mut number = 0;
    while number < generation.logged() {
        let end = generation.logged().min(number + RELEASED_TOGETHER);
        let mut batch = WriteBatch::default();
        // Each record was written once. Memtables drop it together with this, so that nothing of either gets to a file.
        (number..end).for_each(|number| batch.single_delete_cf(family, log::key(generation.number(), number)));
        db.write(batch)?;
        number = end;
    }
    Ok(db.flush_cf(family)?)
}

/// Drops the files that have nothing but what is too old. What else is too old goes in compactions.
fn drop_expired(db: &DB, retention: &Retention) -> Result<(), Failure> {
    let floor = retention.floor_by_age();
    if floor > 0 {
        db.delete_file_in_range_cf(column(db, CHUNKS)?, &chunk::key(0, 0)[..], &chunk::key(floor, 0)[..])?;
    }
    Ok(())
}

/// Makes chunks.
struct Maker<'m> {
    db: &'m DB,
    time: u64,
    number: u32,
    chunks: Table<'m>,
    pointers: Table<'m>,
    index: Table<'m>,
    replaced: Vec<ChunkKey>,
    // For reuse: a chunk, and the contacts of an owner's chunks with the first and the last ids.
    value: Vec<u8>,
    indexed: Vec<(u64, u64, Option<u64>)>,
}

impl Maker<'_> {
    /// The chunks of an owner, given as `owner 0x00`.
    fn owner(&mut self, generation: &Generation, owner: &[u8], places: &[Place]) -> Result<(), Failure> {
        let new = places.partition_point(|place| place.id <= generation.watermark);
        let message = |place: &Place| Message { id: place.id, with: place.with, value: generation.value(place).into() };
        if new > 0 {
            self.among(owner, places[..new].iter().map(message).collect())?;
        }
        let mut rest = &places[new..];
        while let Some(first) = rest.first() {
            let mut bytes = 0;
            let fits = |place: &&Place| {
                bytes += chunk::message_bytes(generation.value(place));
                bytes <= CHUNK_BYTES_MAX && place.id - first.id <= CHUNK_SPAN_MAX
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (chunk, behind) = rest.split_at(count);
            self.chunk(owner, chunk.iter().map(|place| (place.id, place.with, generation.value(place))))?;
            rest = behind;
        }
        self.index(owner)
    }

    /// Adds messages that may have their place among chunks that exist, or replace what these have.
    fn among(&mut self, owner: &[u8], mut messages: Vec<Message>) -> Result<(), Failure> {
        while let Some(first) = messages.first().map(|message| message.id) {
            let (before, next) = self.around(owner, first)?;
            // What is in the chunk's range belongs in it; otherwise what comes before the next chunk is new.
            let end = match &before {
                Some(before) if before.last >= first => before.last.saturating_add(1),
                _ => next.unwrap_or(u64::MAX),
            };
            let count = messages.partition_point(|message| message.id < end).max(1);
            let behind = messages.split_off(count);
            let mut all = std::mem::replace(&mut messages, behind);
            if let Some(before) = before.filter(|before| before.last >= first) {
                all = merge(before.messages, all);
                self.replaced.extend(before.key);
            }
            let mut rest = &all[..];
            while let Some(first) = rest.first() {
                let mut bytes = 0;
                let fits = |message: &&Message| {
                    bytes += chunk::message_bytes(&message.value);
                    bytes <= CHUNK_BYTES_MAX && message.id - first.id <= CHUNK_SPAN_MAX
                };
                let count = rest.iter().take_while(fits).count().max(1);
                let (chunk, behind) = rest.split_at(count);
                self.chunk(owner, chunk.iter().map(|message| (message.id, message.with, &message.value[..])))?;
                rest = behind;
            }
        }
        Ok(())
    }

    /// The chunk that begins at this id or before it, and where the next one begins.
    fn around(&self, owner: &[u8], id: u64) -> Result<(Option<Existing>, Option<u64>), Failure> {
        let mut options = ReadOptions::default();
        let end = [&owner[..owner.len() - 1], &[1]].concat();
        options.set_iterate_lower_bound(owner);
        options.set_iterate_upper_bound(end);
        let mut iterator = self.db.raw_iterator_cf_opt(column(self.db, FAMILY)?, options);
        iterator.seek_for_prev([owner, &id.to_be_bytes()].concat());
        let before = match iterator.item() {
            Some((key, value)) => Some(self.existing(id_of(key).unwrap_or(0), value)?),
            None => None,
        };
        iterator.status()?;
        match id.checked_add(1) {
            Some(next) => iterator.seek([owner, &next.to_be_bytes()].concat()),
            None => return Ok((before, None)),
        }
        iterator.status()?;
        Ok((before, iterator.key().and_then(id_of)))
    }

    fn existing(&self, first: u64, value: &[u8]) -> Result<Existing, Failure> {
        let pointer = Pointer::of(value);
        let last = pointer.last(first);
        let owned = |messages: &[u8]| chunk::messages(messages).map(|(id, value)| Message::read(id, value)).collect();
        Ok(match pointer {
            Pointer::Single(value) => Existing { last, key: None, messages: vec![Message::read(first, value)] },
            Pointer::Here { messages, .. } => Existing { last, key: None, messages: owned(messages) },
            Pointer::Elsewhere { key, .. } => {
                let value = self.db.get_pinned_cf(column(self.db, CHUNKS)?, key)?;
                let messages = value.as_deref().and_then(chunk::split).map_or(Vec::new(), |(.., all)| owned(all));
                Existing { last, key: key.try_into().ok(), messages }
            }
        })
    }

    /// One chunk. There is at least one message.
    fn chunk<'m>(
        &mut self,
        owner: &[u8],
        messages: impl Iterator<Item = (u64, u64, &'m [u8])> + Clone,
    ) -> Result<(), Failure> {
        let (mut count, mut bytes, mut first, mut last) = (0, 0, 0, 0);
        let contacts_at = self.indexed.len();
        for (id, with, value) in messages.clone() {
            if count == 0 {
                first = id;
            }
            last = id;
            count += 1;
            bytes += chunk::message_bytes(value);
            // Most messages are with whom the one before was with.
            if self.indexed[contacts_at..].last().is_none_or(|(latest, ..)| *latest != with) {
                self.indexed.push((with, first, None));
            }
        }
        if count > 1 {
            self.indexed[contacts_at..].iter_mut().for_each(|(.., indexed)| *indexed = Some(last));
        }
        let value = &mut self.value;
        value.clear();
        let key = [owner, &first.to_be_bytes()].concat();
        if bytes > HERE_BYTES_MAX {
            let there = chunk::key(self.time, self.number);
            self.number += 1;
            chunk::begin(value, owner, last);
            messages.for_each(|(id, _, message)| chunk::push(value, id, message));
            self.chunks.put(&there, value)?;
            return self.pointers.put(&key, &chunk::elsewhere(last, bytes, &there));
        }
        if count == 1 {
            messages.for_each(|(.., message)| value.extend_from_slice(message));
        } else {
            chunk::begin_here(value, last);
            messages.for_each(|(id, _, message)| chunk::push(value, id, message));
        }
        self.pointers.put(&key, value)
    }

    /// The index of the chunks that were made of an owner's messages.
    fn index(&mut self, owner: &[u8]) -> Result<(), Failure> {
        self.indexed.sort_unstable();
        self.indexed.dedup();
        let mut key = owner.to_vec();
        for (with, first, last) in self.indexed.drain(..) {
            key.truncate(owner.len());
            key.extend_from_slice(&index_rest(with, first));
            match last {
                Some(last) => self.index.put(&key, &last.to_be_bytes())?,
                None => self.index.put(&key, &[])?,
            }
        }
        Ok(())
    }
}

/// A chunk that exists.
struct Existing {
    last: u64,
    /// Where it is in `archive_chunks`.
    key: Option<ChunkKey>,
    messages: Vec<Message>,
}

struct Message {
    id: u64,
    with: u64,
    value: Box<[u8]>,
}

impl Message {
    fn read(id: u64, value: &[u8]) -> Message {
        let with = super::entry::split(value).map_or(0, |(with, _)| super::hash(with));
        Message { id, with, value: value.into() }
    }
}

/// The messages of both, in the order of their ids; of two with one id the new one.
fn merge(old: Vec<Message>, new: Vec<Message>) -> Vec<Message> {
    let mut all: Vec<_> = old.into_iter().map(|message| (message, 0)).collect();
    all.extend(new.into_iter().map(|message| (message, 1)));
    all.sort_by_key(|(message, age)| (message.id, *age));
    all.dedup_by(|later, earlier| {
        let same = later.0.id == earlier.0.id;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    all.into_iter().map(|(message, _)| message).collect()
}
