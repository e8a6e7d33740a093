//! Making chunks of a sealed generation.
//!
//! Everything here may be repeated: a generation whose log is still there after a crash, or after an attempt that has
//! failed, is made into chunks again.

use super::chunk::{self, ChunkKey, Pointer};
use super::log::Logged;
use super::retention::Retention;
#[cfg(test)]
use super::seams;
use super::tails::{Generation, Place, Sealed, Tails};
use super::walk::id_of;
use super::{CHUNKS, FAMILY, ID_BYTES, INDEX, index_rest, log};
use crate::engine::column;
use crate::reply::{Failure, one_line};
use crate::tuning::Tuning;
use crate::{FailureKind, Family, Owner};
use rocksdb::{DB, Direction, IngestExternalFileOptions, IteratorMode, ReadOptions, SstFileWriter, WriteBatch};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a chunk has of messages, about: what is read to get one of them, and what is compressed together.
const CHUNK_BYTES_MAX: usize = 32 << 10;
/// The longest time from the first message of a chunk to its last, in microseconds: they go together.
const CHUNK_SPAN_MAX: u64 = 86_400_000_000;
/// Chunks up to this size are kept in `archive`: an archive that is written to now and then has many of them, which
/// come to lie next to each other there. Larger ones would be moved too often.
const HERE_BYTES_MAX: usize = 1 << 10;
/// The key in `archive` of the highest id that any chunk has: before that of every owner.
const NEWEST_KEY: &[u8] = &[0];
/// The key in `archive` of the keys of chunks that are still to go: behind that of every owner.
const REPLACED_KEY: &[u8] = &[0xFF];
/// How many records are taken out of the log in one go.
const RELEASED_TOGETHER: u64 = 4096;

/// Makes chunks of a generation, sees to it that they are on the disk, and gives up its log.
pub(crate) fn flush(db: &DB, tuning: &Tuning, sealed: &Sealed) -> Result<(), Failure> {
    let retention = tuning.retention();
    if sealed.begin_attempt() {
        drop_orphans(db)?;
    }
    let before = sealed.forgotten().clone();
    let mut made = make(db, tuning, &sealed.generation, &before)?;
    {
        // Who forgets an archive waits, so that nothing of it is stored afterwards.
        let _storing = sealed.storing();
        let forgotten = sealed.forgotten().clone();
        if forgotten.len() > before.len() {
            made = make(db, tuning, &sealed.generation, &forgotten)?;
        }
        made.store(db)?;
        retention.drop_useless(db)?;
    }
    #[cfg(test)]
    seams::attempt(made.tables.len())?;
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
        retention: tuning.retention(),
        time: tuning.retention().time(),
        number: 0,
        chunks: Table::new(CHUNKS, chunks, tuning.path())?,
        pointers: Table::new(FAMILY, pointers, tuning.path())?,
        index: Table::new(INDEX, index, tuning.path())?,
        replaced: replaced(db)?,
        value: Vec::new(),
        indexed: Vec::new(),
    };
    maker.pointers.put(NEWEST_KEY, &generation.newest().to_be_bytes())?;
    for (owner, places) in owners {
        maker.owner(generation, owner, places)?;
    }
    if !maker.replaced.is_empty() {
        maker.pointers.put(REPLACED_KEY, maker.replaced.as_flattened())?;
    }
    // What is pointed to comes first, and nothing is pointed to that the index does not have.
    let tables = [maker.chunks.finish()?, maker.index.finish()?, maker.pointers.finish()?];
    Ok(Made { tables: tables.into_iter().flatten().collect(), replaced: maker.replaced })
}

/// Chunks that have been replaced and are still to go.
fn replaced(db: &DB) -> Result<Vec<ChunkKey>, Failure> {
    let stored = db.get_pinned_cf(column(db, FAMILY)?, REPLACED_KEY)?;
    Ok(stored.map_or(Vec::new(), |keys| keys.as_chunks().0.to_vec()))
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
        let path = path(directory, family);
        remove(&path)?;
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

/// A table file before it is part of the database.
fn path(directory: &Path, family: Family) -> PathBuf {
    directory.join(format!("NEW.{}", family.name()))
}

/// Removes what a crash has left. It may be a second name of a file that is part of the database, so it must not be
/// written to.
fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(FailureKind::Io, one_line(&format!("{}: {error}", path.display()))))
        }
        _ => Ok(()),
    }
}

/// Table files that are not part of the database yet, in the order in which they become so.
struct Made {
    tables: Vec<(Family, PathBuf)>,
    /// Chunks whose messages are in others now.
    replaced: Vec<ChunkKey>,
}

impl Made {
    /// Makes the files part of the database. If that ends in between, what is there is what the log has as well.
    fn store(&self, db: &DB) -> Result<(), Failure> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        #[cfg(test)]
        let mut step = 0..;
        for (family, path) in &self.tables {
            #[cfg(test)]
            seams::attempt(step.next().unwrap_or(0))?;
            db.ingest_external_file_cf_opts(column(db, *family)?, &options, vec![path])?;
        }
        Ok(())
    }
}

/// Drops chunks of the last attempt that nothing leads to: it has ended too early.
fn drop_orphans(db: &DB) -> Result<(), Failure> {
    match look_for_orphans(db) {
        // They stay where they are, in nobody's way.
        Err(failure) if failure.kind == FailureKind::Corrupt => {
            tracing::error!(target: "storage", %failure, "chunks of archives cannot be read");
            Ok(())
        }
        other => other,
    }
}

fn look_for_orphans(db: &DB) -> Result<(), Failure> {
    let (chunks, pointers) = (column(db, CHUNKS)?, column(db, FAMILY)?);
    let last = db.iterator_cf(chunks, IteratorMode::End).next().transpose()?;
    let Some(time) = last.and_then(|(key, _)| chunk::key_time(&key)) else { return Ok(()) };
    let mut batch = WriteBatch::default();
    for item in db.iterator_cf(chunks, IteratorMode::From(&chunk::key(time, 0), Direction::Forward)) {
        let (key, value) = item?;
        let Some((owner, _, messages)) = chunk::split(&value) else { continue };
        let Some((first, _)) = chunk::messages(messages).next() else { continue };
        let pointer = db.get_pinned_cf(pointers, [owner, &first.to_be_bytes()].concat())?;
        let there = pointer.as_deref().map(Pointer::of);
        if !matches!(there, Some(Pointer::Elsewhere { key: there, .. }) if *there == *key) {
            batch.delete_cf(chunks, &key);
        }
    }
    Ok(db.write(batch)?)
}

/// What the log has, put into the tails. There may be two generations: one that is to become chunks, and the next.
pub(crate) fn recover(db: &DB, tuning: &Tuning, tails: &Tails) -> Result<(), Failure> {
    for family in [CHUNKS, FAMILY, INDEX] {
        remove(&path(tuning.path(), family))?;
    }
    let newest = match newest(db) {
        Err(failure) if failure.kind == FailureKind::Corrupt => {
            tracing::error!(target: "storage", %failure, "the highest id of all archives cannot be read");
            // What is too high costs time, no more.
            tuning.retention().time()
        }
        newest => newest?,
    };
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
            if let Some(sealed) = tails.sealed() {
                // There cannot be a third one, as the log of the first is given up before that.
                flush(db, tuning, &sealed)?;
                tails.released();
            }
            tails.seal();
            if let Some(sealed) = tails.sealed() {
                let later = forgets.iter().filter(|(forgets, _)| *forgets >= generation);
                sealed.forgotten().extend(later.flat_map(|(_, owners)| owners.iter().cloned()));
            }
            tails.begin(generation, tails.newest());
        }
        tails.replay(number, record);
    }
    Ok(())
}

/// The highest id that any chunk has had.
fn newest(db: &DB) -> Result<u64, Failure> {
    let archives = column(db, FAMILY)?;
    if let Some(bytes) = db.get_pinned_cf(archives, NEWEST_KEY)?
        && let Ok(bytes) = bytes[..].try_into()
    {
        return Ok(u64::from_be_bytes(bytes));
    }
    // No generation has become chunks yet. Archives from before there were any have their last message last.
    let mut newest = 0;
    let mut iterator = db.raw_iterator_cf(archives);
    iterator.seek([1]);
    while let Some(key) = iterator.key() {
        let Some(owner) = key.len().checked_sub(ID_BYTES).map(|end| key[..end].to_vec()) else { break };
        iterator.seek_for_prev([&owner[..], &[0xFF; ID_BYTES]].concat());
        newest = newest.max(iterator.key().and_then(id_of).unwrap_or(0));
        iterator.seek(end_of(&owner));
    }
    iterator.status()?;
    Ok(newest)
}

/// The first key behind all of an owner, given as `owner 0x00`.
fn end_of(owner: &[u8]) -> Vec<u8> {
    [owner.strip_suffix(&[0]).unwrap_or(owner), &[1]].concat()
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
        batch.delete_cf(column(db, FAMILY)?, REPLACED_KEY);
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
    retention: &'m Retention,
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
        self.chunks(owner, &places[new..], |place| (place.id, place.with, generation.value(place)), 0)?;
        self.index(owner)
    }

    /// Chunks of messages that have none yet, each read by `message`: its id, its contact's hash, its value. `last` is
    /// as in [`Maker::chunk`].
    fn chunks<'m, M>(
        &mut self,
        owner: &[u8],
        messages: &'m [M],
        message: impl Fn(&'m M) -> (u64, u64, &'m [u8]) + Copy,
        last: u64,
    ) -> Result<(), Failure> {
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let (first, mut bytes) = (message(first).0, 0);
            let fits = |each: &&'m M| {
                let (id, _, value) = message(each);
                bytes += chunk::message_bytes(value);
                bytes <= CHUNK_BYTES_MAX && id - first <= CHUNK_SPAN_MAX
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (chunk, behind) = rest.split_at(count);
            self.chunk(owner, chunk.iter().map(message), last)?;
            rest = behind;
        }
        Ok(())
    }

    /// Adds messages that may have their place among chunks that exist, or replace what these have.
    fn among(&mut self, owner: &[u8], mut messages: Vec<Message>) -> Result<(), Failure> {
        while let Some(first) = messages.first().map(|message| message.id) {
            let (before, next) = self.around(owner, first)?;
            // What is in the chunk's range belongs in it; otherwise what comes before the next chunk is new.
            let last = before.as_ref().map(|before| before.last);
            let end = last.map_or(next.unwrap_or(u64::MAX), |last| last.saturating_add(1));
            let count = messages.partition_point(|message| message.id < end).max(1);
            let behind = messages.split_off(count);
            let mut all = std::mem::replace(&mut messages, behind);
            if let Some(before) = before {
                all = merge(before.messages, all);
                self.replaced.extend(before.key);
            }
            self.chunks(owner, &all, |each| (each.id, each.with, &each.value[..]), last.unwrap_or(0))?;
        }
        Ok(())
    }

    /// The chunk that this id belongs in, and where the next one begins.
    fn around(&self, owner: &[u8], id: u64) -> Result<(Option<Existing>, Option<u64>), Failure> {
        match self.look_around(owner, id) {
            Err(failure) if failure.kind == FailureKind::Corrupt => {
                let of = owner.strip_suffix(&[0]).and_then(Owner::decode);
                tracing::error!(target: "storage", ?of, id, %failure, "a part of an archive cannot be read");
                // Others go on. This message comes beside what cannot be read, alone, so that it is in nobody's way.
                Ok((None, id.checked_add(1)))
            }
            other => other,
        }
    }

    fn look_around(&self, owner: &[u8], id: u64) -> Result<(Option<Existing>, Option<u64>), Failure> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(owner);
        options.set_iterate_upper_bound(end_of(owner));
        let mut iterator = self.db.raw_iterator_cf_opt(column(self.db, FAMILY)?, options);
        iterator.seek_for_prev([owner, &id.to_be_bytes()].concat());
        let mut before = None;
        if let Some((key, value)) = iterator.item() {
            let (first, pointer) = (id_of(key).unwrap_or(0), Pointer::of(value));
            if pointer.last(first) >= id {
                before = self.existing(owner, first, &pointer)?;
            }
        }
        iterator.status()?;
        match id.checked_add(1) {
            Some(next) => iterator.seek([owner, &next.to_be_bytes()].concat()),
            None => return Ok((before, None)),
        }
        iterator.status()?;
        Ok((before, iterator.key().and_then(id_of)))
    }

    /// Reads a chunk. `None` if it has gone because it is too old.
    fn existing(&self, owner: &[u8], first: u64, pointer: &Pointer<'_>) -> Result<Option<Existing>, Failure> {
        let last = pointer.last(first);
        let damaged = |text: &str| Failure::new(FailureKind::Corrupt, text);
        let owned = |bytes: &[u8]| {
            let messages: Vec<_> = chunk::messages(bytes).map(|(id, value)| Message::read(id, value)).collect();
            let is_whole = messages.last().is_some_and(|message| message.id == last);
            if is_whole { Ok(messages) } else { Err(damaged("a chunk is cut off")) }
        };
        let (key, messages) = match pointer {
            Pointer::Single(value) => (None, vec![Message::read(first, value)]),
            Pointer::Here { messages, .. } => (None, owned(messages)?),
            Pointer::Elsewhere { key, .. } => {
                let Some(value) = self.db.get_pinned_cf(column(self.db, CHUNKS)?, key)? else {
                    let is_expired = last < self.retention.floor_now(owner);
                    return if is_expired { Ok(None) } else { Err(damaged("a chunk is missing")) };
                };
                let (.., messages) =
                    chunk::split(&value).ok_or_else(|| damaged("a chunk cannot be told from other bytes"))?;
                ((*key).try_into().ok(), owned(messages)?)
            }
        };
        Ok(Some(Existing { last, key, messages }))
    }

    /// One chunk. There is at least one message. `before`: the last id of the chunk that this one is a part of.
    fn chunk<'m>(
        &mut self,
        owner: &[u8],
        messages: impl Iterator<Item = (u64, u64, &'m [u8])> + Clone,
        before: u64,
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
        // The index is there before the chunks are, and must not hide what the chunk has that is still in their place.
        let indexed_last = last.max(before);
        if indexed_last > first {
            self.indexed[contacts_at..].iter_mut().for_each(|(.., indexed)| *indexed = Some(indexed_last));
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
