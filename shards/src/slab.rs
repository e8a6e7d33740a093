//! Connections by id: a slab in chunks, so that growing neither copies nor doubles, with generations, so that the id of
//! a connection that is gone never names its successor.

use crate::connection::ConnectionId;

const CHUNK: usize = 256;

/// Chunks that are looked at in one go: a fraction of a millisecond.
const CHUNKS_AT_ONCE: usize = 16;

pub(crate) struct Slab<T> {
    chunks: Vec<Box<[Slot<T>]>>,
    free: Vec<u32>,
    len: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Slab { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, value: T) -> ConnectionId {
        if self.free.is_empty() {
            let first = self.chunks.len() * CHUNK;
            self.chunks.push((0..CHUNK).map(|_| Slot { generation: 0, value: None }).collect());
            self.free.extend((first..first + CHUNK).rev().map(|index| index as u32));
        }
        // The list was just filled if it was empty.
        let index = self.free.pop().unwrap_or_default();
        let slot = &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK];
        slot.generation = slot.generation.wrapping_add(1);
        slot.value = Some(value);
        self.len += 1;
        ConnectionId { index, generation: slot.generation }
    }

    fn slot(&mut self, id: ConnectionId) -> Option<&mut Slot<T>> {
        let slot = self.chunks.get_mut(id.index as usize / CHUNK)?.get_mut(id.index as usize % CHUNK)?;
        (slot.generation == id.generation).then_some(slot)
    }

    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        self.slot(id)?.value.as_mut()
    }

    pub fn get(&self, id: ConnectionId) -> Option<&T> {
        let slot = self.chunks.get(id.index as usize / CHUNK)?.get(id.index as usize % CHUNK)?;
        if slot.generation == id.generation { slot.value.as_ref() } else { None }
    }

    pub fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let value = self.slot(id)?.value.take()?;
        self.len -= 1;
        self.free.push(id.index);
        Some(value)
    }

    /// What is here of some thousand places, beginning with the given one, and the place to go on from.
    pub fn part(&self, from: usize) -> (impl Iterator<Item = &T>, Option<usize>) {
        let first = from / CHUNK;
        let end = (first + CHUNKS_AT_ONCE).min(self.chunks.len());
        let chunks = self.chunks.get(first..end).unwrap_or_default();
        let here = chunks.iter().flat_map(|chunk| chunk.iter()).filter_map(|slot| slot.value.as_ref());
        (here, (end < self.chunks.len()).then_some(end * CHUNK))
    }

    /// Bytes that the places in that part take, used or not.
    pub fn part_bytes(&self, from: usize) -> usize {
        self.chunks.iter().skip(from / CHUNK).take(CHUNKS_AT_ONCE).map(|chunk| size_of_val::<[Slot<T>]>(chunk)).sum()
    }

    /// The ids of all that is here now.
    pub fn ids(&self) -> Vec<ConnectionId> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter()).enumerate();
        slots
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(index, slot)| ConnectionId { index: index as u32, generation: slot.generation })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_never_names_a_successor() {
        let mut slab = Slab::new();
        let first = slab.insert("a");
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b");
        assert_eq!(first.index, second.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"b"));
        let many: Vec<_> = (0..1000).map(|_| slab.insert("c")).collect();
        assert_eq!(slab.len(), 1001);
        assert_eq!(slab.ids().len(), 1001);
        assert!(many.iter().all(|&id| slab.get(id).is_some()));
    }
}
