//! The names in scripts as numbers, given when a name is first seen: what it names may be defined later, in another
//! script.

use hashbrown::HashMap;

use super::mistake::Mistake;
use super::syntax::{ChainName, ListId, MarkId, PatternId, RateId, SearchId, ZoneId};

/// Where something is used.
#[derive(Clone, Debug)]
pub(super) struct Use {
    /// The number of the script.
    pub script: usize,
    /// What is wrong if there is nothing of this name.
    pub mistake: Mistake,
}

/// Names of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    ids: HashMap<Box<str>, u32>,
    /// Each name, and where it was used first.
    pub names: Vec<(Box<str>, Option<Use>)>,
}

impl Table {
    /// The number of a name.
    pub fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len() as u32;
        self.ids.insert(name.into(), id);
        self.names.push((name.into(), None));
        id
    }

    /// The number of a name that is used here.
    pub fn used(&mut self, name: &str, used: impl FnOnce() -> Use) -> u32 {
        let id = self.id(name);
        if let Some((_, first)) = self.names.get_mut(id as usize)
            && first.is_none()
        {
            *first = Some(used());
        }
        id
    }

    /// The number of a name, if it has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }
}

/// All names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub zones: Table,
    pub rates: Table,
    pub lists: Table,
    pub patterns: Table,
    pub searches: Table,
    pub marks: Table,
    pub chains: Table,
}

/// The name of the zone of all domains that are served here.
pub(super) const LOCAL_NAME: &str = "$local";

impl Default for Names {
    fn default() -> Names {
        let mut zones = Table::default();
        zones.id(LOCAL_NAME);
        Names {
            zones,
            rates: Table::default(),
            lists: Table::default(),
            patterns: Table::default(),
            searches: Table::default(),
            marks: Table::default(),
            chains: Table::default(),
        }
    }
}

impl Names {
    pub fn zone(&mut self, name: &str, used: impl FnOnce() -> Use) -> ZoneId {
        ZoneId(self.zones.used(name, used))
    }

    pub fn rate(&mut self, name: &str, used: impl FnOnce() -> Use) -> RateId {
        RateId(self.rates.used(name, used))
    }

    pub fn list(&mut self, name: &str, used: impl FnOnce() -> Use) -> ListId {
        ListId(self.lists.used(name, used))
    }

    pub fn pattern(&mut self, name: &str, used: impl FnOnce() -> Use) -> PatternId {
        PatternId(self.patterns.used(name, used))
    }

    pub fn search(&mut self, name: &str, used: impl FnOnce() -> Use) -> SearchId {
        SearchId(self.searches.used(name, used))
    }

    pub fn mark(&mut self, name: &str) -> MarkId {
        MarkId(self.marks.id(name))
    }

    pub fn chain(&mut self, name: &str, used: impl FnOnce() -> Use) -> ChainName {
        ChainName(self.chains.used(name, used))
    }
}
