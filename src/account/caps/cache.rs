//! What hashes stand for, and who is being asked about those that are unknown.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Caps, Interests, Verification};
use crate::xml::Element;

/// What bounds the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CapsLimits {
    /// Hashes remembered. The one that was not asked for the longest goes first.
    pub entries_max: usize,
    /// Nodes that one client is notified of; the first ones in the order of their names count.
    pub interests_max: usize,
    /// Bytes of their names.
    pub interests_bytes_max: usize,
    /// Hashes that somebody is being asked about. Beyond, everybody who advertises one is asked.
    pub pending_max: usize,
    /// Resources that wait for what others are asked about. Beyond, they are asked themselves.
    pub waiting_max: usize,
}

impl Default for CapsLimits {
    fn default() -> CapsLimits {
        CapsLimits {
            entries_max: 2048,
            interests_max: 64,
            interests_bytes_max: 4 << 10,
            pending_max: 256,
            waiting_max: 1024,
        }
    }
}

/// What is known about a client's capabilities.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// What it wants to be notified of.
    Known(Arc<Interests>),
    /// Nothing: it has to be asked, at its full address, about [`Caps::query_node`].
    Ask,
    /// Nothing yet, but somebody else who advertises the same is being asked. [`Answered::waiting`] will name it.
    Waiting,
}

/// What came of an answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answered {
    /// What the one who answered wants to be notified of.
    pub interests: Arc<Interests>,
    /// The resources that waited for it: the same holds for them.
    pub waiting: Vec<Box<str>>,
    /// A resource that waits and has to be asked itself, because the answer holds for nobody else.
    pub ask: Option<Box<str>>,
}

/// What hashes stand for.
#[derive(Debug)]
pub struct CapsCache {
    limits: CapsLimits,
    known: HashMap<Key, Entry>,
    pending: HashMap<Key, Pending>,
    /// Counts lookups: the time by which the least recently used is found.
    clock: u64,
}

/// A hash: its function and itself.
type Key = (Box<str>, Box<str>);

#[derive(Debug)]
struct Entry {
    interests: Arc<Interests>,
    used: u64,
}

/// A hash that somebody is being asked about.
#[derive(Debug)]
struct Pending {
    asked: Box<str>,
    waiting: Vec<Box<str>>,
}

fn key(caps: &Caps) -> Key {
    (caps.hash.clone(), caps.ver.clone())
}

impl CapsCache {
    /// An empty cache.
    pub fn new(limits: CapsLimits) -> CapsCache {
        CapsCache { limits, known: HashMap::new(), pending: HashMap::new(), clock: 0 }
    }

    /// Hashes remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Looks up what a resource advertises, whose full address is `jid`.
    pub fn lookup(&mut self, caps: &Caps, jid: &str) -> Lookup {
        if !Verification::speaks(&caps.hash) {
            // Nobody can verify it: it says nothing about others (XEP-0115 §5.4).
            return Lookup::Ask;
        }
        let key = key(caps);
        self.clock += 1;
        if let Some(entry) = self.known.get_mut(&key) {
            entry.used = self.clock;
            return Lookup::Known(Arc::clone(&entry.interests));
        }
        let is_full =
            self.pending.values().map(|pending| pending.waiting.len()).sum::<usize>() >= self.limits.waiting_max;
        match self.pending.get_mut(&key) {
            Some(pending) if *pending.asked == *jid => Lookup::Ask,
            Some(pending) if pending.waiting.iter().any(|waiting| **waiting == *jid) => Lookup::Waiting,
            Some(pending) if !is_full => {
                pending.waiting.push(jid.into());
                Lookup::Waiting
            }
            Some(_) => Lookup::Ask,
            None => {
                if self.pending.len() < self.limits.pending_max {
                    self.pending.insert(key, Pending { asked: jid.into(), waiting: Vec::new() });
                }
                Lookup::Ask
            }
        }
    }

    /// Takes the answer of a resource to the query about what it advertises: `<query/>` of service discovery.
    pub fn answered(&mut self, caps: &Caps, jid: &str, query: &Element) -> Answered {
        let Ok(verification) = Verification::of(query) else {
            return Answered { ask: self.failed(caps, jid), ..Answered::default() };
        };
        let names = verification.interests.iter().map(String::as_str);
        let interests = Interests::new(names, self.limits.interests_max, self.limits.interests_bytes_max);
        let interests = Arc::new(interests);
        let is_true = verification.hash(&caps.hash).as_deref() == Some(&*caps.ver);
        if !is_true || !verification.is_certain {
            return Answered { interests, waiting: Vec::new(), ask: self.failed(caps, jid) };
        }
        let key = key(caps);
        let waiting = self.pending.remove(&key).map_or(Vec::new(), |pending| pending.waiting);
        self.remember(key, Arc::clone(&interests));
        let waiting = waiting.into_iter().filter(|waiting| **waiting != *jid).collect();
        Answered { interests, waiting, ask: None }
    }

    /// A resource has not answered, or is gone. If others wait for what it was asked, one of them is to be asked now.
    pub fn failed(&mut self, caps: &Caps, jid: &str) -> Option<Box<str>> {
        let key = key(caps);
        let pending = self.pending.get_mut(&key)?;
        if *pending.asked != *jid {
            pending.waiting.retain(|waiting| **waiting != *jid);
            return None;
        }
        match pending.waiting.pop() {
            Some(next) => {
                pending.asked = next.clone();
                Some(next)
            }
            None => {
                self.pending.remove(&key);
                None
            }
        }
    }

    fn remember(&mut self, key: Key, interests: Arc<Interests>) {
        if self.known.len() >= self.limits.entries_max && !self.known.contains_key(&key) {
            // Seldom: new versions of clients come one by one.
            let oldest = self.known.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.known.remove(&oldest);
            }
        }
        self.clock += 1;
        self.known.insert(key, Entry { interests, used: self.clock });
    }
}
