//! What of a dump belongs to which account, and where it is.

use std::collections::HashMap;

use super::records::{self, Kind, Record};
use super::terms::Term;
use crate::transfer::Found;

/// Tables of what is made anew by itself, or holds only as long as a session or a token.
const DERIVED: [&str; 10] = [
    "caps_features",
    "muc_registered",
    "oauth_client",
    "oauth_token",
    "pubsub_index",
    "pubsub_last_item",
    "pubsub_orphan",
    "push_session",
    "roster_version",
    "vcard_search",
];

/// Where something of an account is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The number of the account.
    pub account: u32,
    /// What it is.
    pub kind: Kind,
    /// Before others of its kind with a larger one.
    order: u64,
    /// Bytes of the file before it.
    pub offset: u64,
}

/// Where something of a node is. Whose the node is, is told by another table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct OfNode {
    kind: Kind,
    node: u64,
    order: u64,
    offset: u64,
}

/// What of a dump belongs to whom.
#[derive(Default)]
pub struct Index {
    /// What the fields of each table are called.
    tables: HashMap<String, Vec<String>>,
    /// The number of each account, by bare address.
    numbers: HashMap<String, u32>,
    /// Whether it has a password, by number.
    has_password: Vec<bool>,
    /// The account and the name of each node.
    nodes: HashMap<u64, (u32, String)>,
    places: Vec<Place>,
    of_nodes: Vec<OfNode>,
}

impl Index {
    /// Whether nothing was taken note of.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Takes note of what the fields of all tables are called, which a dump begins with.
    pub fn tables(&mut self, term: &Term) -> Result<(), String> {
        self.tables = records::tables(term).filter(|tables| !tables.is_empty()).ok_or("it names no tables")?;
        Ok(())
    }

    /// A term as a record of its table.
    pub fn record<'t>(&'t self, term: &'t Term) -> Record<'t> {
        Record::new(&self.tables, term)
    }

    /// The name of a node.
    pub fn node(&self, number: u64) -> Option<&str> {
        self.nodes.get(&number).map(|(_, name)| &**name)
    }

    /// Takes note of a record. An error if it is not as its table has it.
    pub fn note(&mut self, term: &Term, offset: u64, found: &mut Found) -> Result<(), String> {
        let record = Record::new(&self.tables, term);
        let Some(table) = record.table() else { return Err("it is in no table".into()) };
        let wrong = || format!("a record of {table} is not as they are");
        let Some(kind) = Kind::of(table) else {
            match (table, record.room()) {
                ("muc_room", Some(room)) => found.rooms.add(room),
                _ if DERIVED.contains(&table) => {}
                _ => *found.unknown.entry(table.to_owned()).or_default() += 1,
            }
            return Ok(());
        };
        if matches!(kind, Kind::State | Kind::Item) {
            let (node, order) = record.of_node(kind).ok_or_else(wrong)?;
            self.of_nodes.push(OfNode { kind, node, order, offset });
            return Ok(());
        }
        let Some(whose) = record.whose(kind) else {
            // Nodes of a service that belongs to nobody have a domain in its place.
            if kind != Kind::Node {
                return Err(wrong());
            }
            *found.unknown.entry("pubsub_node of a service".into()).or_default() += 1;
            return Ok(());
        };
        let next = self.has_password.len() as u32;
        let account = *self.numbers.entry(whose).or_insert(next);
        if account == next {
            self.has_password.push(false);
        }
        if kind == Kind::Password {
            self.has_password[account as usize] = true;
        }
        if kind == Kind::Node {
            let (number, name) = record.node().ok_or_else(wrong)?;
            self.nodes.insert(number, (account, name));
        }
        self.places.push(Place { account, kind, order: record.order(kind), offset });
        Ok(())
    }

    /// Where everything is, account by account.
    pub fn take_places(&mut self, found: &mut Found) -> Vec<Place> {
        let mut of_nodes = std::mem::take(&mut self.of_nodes);
        of_nodes.sort_unstable();
        let mut places = std::mem::take(&mut self.places);
        let mut left_out = |kind: Kind| {
            *found.unknown.entry(format!("{} of no account", kind.table())).or_default() += 1;
        };
        for (order, OfNode { kind, node, offset, .. }) in of_nodes.into_iter().enumerate() {
            match self.nodes.get(&node) {
                Some((account, _)) => places.push(Place { account: *account, kind, order: order as u64, offset }),
                None => left_out(kind),
            }
        }
        places.retain(|place| {
            let is_kept = self.has_password[place.account as usize];
            if !is_kept {
                left_out(place.kind);
            }
            is_kept
        });
        places.sort_unstable();
        places
    }

    /// The names of all accounts, by number.
    pub fn names(&self) -> Vec<&str> {
        let mut names = vec![""; self.numbers.len()];
        for (name, number) in &self.numbers {
            names[*number as usize] = name;
        }
        names
    }
}
