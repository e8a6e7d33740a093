//! The catalogue of column families: one row per kind of data.
//!
//! A new family is one row in the table below. Rows are never removed: a family that is no longer written stays until
//! a migration has dropped it from every data directory, because RocksDB opens a database only with all its families.

use crate::Owner;

/// How a family is written, which decides its memtables and compaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WritePattern {
    /// Keys arrive in any order and are overwritten (accounts, rosters).
    Random,
    /// Keys arrive roughly in their order and are rarely overwritten (logs, archives).
    Sequential,
}

/// How much a family is expected to hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Size {
    /// Kilobytes to some tens of megabytes: small write buffers, small files.
    Small,
    /// Most of the disk: larger write buffers, files and blocks.
    Large,
}

/// What a family's keys are made of. See [`Family::key`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyShape {
    /// A fixed name; the data belong to the whole store.
    Named,
    /// `owner 0x00`: one value per owner.
    Owner,
    /// `owner 0x00 rest`: many values per owner, one range.
    OwnerItem,
    /// `time owner`: a log in the order of time (8 bytes, microseconds since 1970, big endian).
    TimeOwner,
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct Descriptor {
    /// The column family's name on disk. It never changes.
    pub name: &'static str,
    /// How it is written.
    pub pattern: WritePattern,
    /// How much it holds.
    pub size: Size,
    /// What its keys are made of.
    pub keys: KeyShape,
    /// Whether the time that a lookup takes must not tell whether the key exists: then there are no filters, and the
    /// lookup of what does not exist reads the block in which it would be.
    pub hides_absence: bool,
    /// Whether the data go when their owner's account is removed.
    pub removed_with_account: bool,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident = $row:expr;)*) => {
        /// A column family. The rows of the catalogue, by name.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Family { $($(#[$doc])* $variant,)* }

        static ROWS: &[Descriptor] = &[$($row,)*];

        impl Family {
            /// Every family there is.
            pub const ALL: &[Family] = &[$(Family::$variant,)*];
        }
    };
}

catalogue! {
    /// What is true of the whole store: the schema version, and [`crate::meta`].
    Meta = Descriptor {
        name: "meta",
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Named,
        hides_absence: false,
        removed_with_account: false,
    };
    /// Accounts: SCRAM keys, creation, suspension. See [`crate::accounts`].
    Accounts = Descriptor {
        name: "accounts",
        // Read at each login in no order at all, written seldom. A million accounts are some 300 MB, of which the
        // block cache keeps those that log in.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Owner,
        // Strangers may ask for any name.
        hides_absence: true,
        removed_with_account: true,
    };
    /// The log of registrations. See [`crate::registrations`].
    Registrations = Descriptor {
        name: "registrations",
        // Written once, in the order of time; read by an operator who looks for abuse.
        pattern: WritePattern::Sequential,
        size: Size::Small,
        keys: KeyShape::TimeOwner,
        hides_absence: false,
        // Who registered from where must outlive the account: abusers remove theirs.
        removed_with_account: false,
    };
    /// Attempts to register that were refused. See [`crate::attempts`].
    Attempts = Descriptor {
        name: "attempts",
        // As the log of registrations, but most of it is spam, and goes after a while.
        pattern: WritePattern::Sequential,
        size: Size::Small,
        keys: KeyShape::TimeOwner,
        hides_absence: false,
        removed_with_account: false,
    };
    /// What people have said when they registered, and who of them waits. See [`crate::applicants`].
    Applicants = Descriptor {
        name: "applicants",
        // Written once or twice for an account that was asked anything; read by an administrator.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Owner,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Names of accounts that are gone. See [`crate::names`].
    Tombstones = Descriptor {
        name: "tombstones",
        // Some forty bytes for each account that has ever gone; one is read at each registration.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Named,
        // That a name was somebody's is told by the error anyway.
        hides_absence: false,
        removed_with_account: false,
    };
    /// What the names of accounts look like. See [`crate::names`].
    Lookalikes = Descriptor {
        name: "lookalikes",
        // A key for each account; a few are read at each registration.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Named,
        hides_absence: false,
        // Its keys do not begin with an owner. It goes with `names::bury`.
        removed_with_account: false,
    };
    /// Invitations. See [`crate::invites`].
    Invites = Descriptor {
        name: "invites",
        // Few at a time, each for some days.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Named,
        // Strangers may try tokens, but there is nothing to be learnt from how long the lookup of a hash takes.
        hides_absence: false,
        removed_with_account: false,
    };
    /// Addresses that are not let in. See [`crate::bans`].
    Bans = Descriptor {
        name: "bans",
        // Few; read as a whole when one changes.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Named,
        hides_absence: false,
        removed_with_account: false,
    };
    /// Who is on block lists of others. See [`crate::listed`].
    Listed = Descriptor {
        name: "listed",
        // Written a few at a time, and a whole list at once; read at the start.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Named,
        hides_absence: false,
        removed_with_account: false,
    };
    /// Reports of spam and abuse. See [`crate::reports`].
    Reports = Descriptor {
        name: "reports",
        // Written in the order of time, and once more when somebody has seen to it.
        pattern: WritePattern::Sequential,
        size: Size::Small,
        keys: KeyShape::Named,
        hides_absence: false,
        // Whoever is reported would remove the account otherwise, and with it what was said.
        removed_with_account: false,
    };
    /// Accounts that go after a while. See [`crate::departures`].
    Departures = Descriptor {
        name: "departures",
        // Written when somebody goes, removed some days later.
        pattern: WritePattern::Sequential,
        size: Size::Small,
        keys: KeyShape::TimeOwner,
        hides_absence: false,
        // Its keys begin with a time. It goes with the tick that finds that there is no such account.
        removed_with_account: false,
    };
    /// What administrators have done. See [`crate::audit`].
    Audit = Descriptor {
        name: "audit",
        pattern: WritePattern::Sequential,
        size: Size::Small,
        keys: KeyShape::Named,
        hides_absence: false,
        removed_with_account: false,
    };
    /// Archives of messages. See [`crate::archive`].
    Archive = Descriptor {
        name: "archive",
        // A key per chunk, some dozens of messages of one owner. What chunks there are is written in the order of keys.
        pattern: WritePattern::Sequential,
        size: Size::Large,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// The archives' index by contact: keys without values. See [`crate::archive`].
    ArchiveWith = Descriptor {
        name: "archive_with",
        // A key per chunk and contact.
        pattern: WritePattern::Sequential,
        size: Size::Large,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// The larger chunks of archives. See [`crate::archive`].
    ArchiveChunks = Descriptor {
        name: "archive_chunks",
        // Most of the disk. A new key is always the last one.
        pattern: WritePattern::Sequential,
        size: Size::Large,
        keys: KeyShape::Named,
        hides_absence: false,
        // What is there has its keys in `archive`, which go. See `archive_forgotten`.
        removed_with_account: false,
    };
    /// The log of what is not in a chunk yet, for every second generation. See [`crate::archive`].
    ArchiveLogEven = Descriptor {
        name: "archive_log_even",
        // What is written goes before it gets to a file.
        pattern: WritePattern::Sequential,
        size: Size::Large,
        keys: KeyShape::Named,
        hides_absence: false,
        removed_with_account: false,
    };
    /// The log for the generations in between.
    ArchiveLogOdd = Descriptor {
        name: "archive_log_odd",
        pattern: WritePattern::Sequential,
        size: Size::Large,
        keys: KeyShape::Named,
        hides_absence: false,
        removed_with_account: false,
    };
    /// Since when an archive is forgotten. See [`crate::archive`].
    ArchiveForgotten = Descriptor {
        name: "archive_forgotten",
        // One value per removed account, for some months; read once, when the store is opened.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Owner,
        hides_absence: false,
        removed_with_account: false,
    };
    /// Below which id an archive has been given up because it was too large. See [`crate::archive`].
    ArchiveFloors = Descriptor {
        name: "archive_floors",
        // Only accounts whose archive has reached its limit; read once, when the store is opened.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Owner,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Messages that wait for their addressee to come online. See [`crate::offline`].
    Offline = Descriptor {
        name: "offline",
        // A queue per owner, written at one end and removed at the other; most of it goes before it is compacted.
        pattern: WritePattern::Sequential,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// What an account has chosen, and what is remembered of it. See [`crate::preferences`].
    Preferences = Descriptor {
        name: "preferences",
        // Read at each login, overwritten now and then.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::Owner,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Rosters: one value per contact. See [`crate::roster`].
    Roster = Descriptor {
        name: "roster",
        // Read whole when an account's first session binds; a contact is overwritten now and then.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        // Only an account's own shard asks for its contacts.
        hides_absence: false,
        removed_with_account: true,
    };
    /// Blocklists. See [`crate::blocks`].
    Blocks = Descriptor {
        name: "blocks",
        // Read as a whole when an account is loaded, changed one address at a time.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Marks that rules have set on accounts. See [`crate::marks`].
    Marks = Descriptor {
        name: "marks",
        // Few, and few of an account; read with it.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// What clients keep for themselves. See [`crate::private`].
    Private = Descriptor {
        name: "private",
        // Read at login by the clients that use it, written seldom.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// vCards. See [`crate::vcards`].
    Vcards = Descriptor {
        name: "vcards",
        // Most of a card is its photo, some tens of kilobytes, so that a million accounts fill tens of gigabytes.
        pattern: WritePattern::Random,
        size: Size::Large,
        keys: KeyShape::OwnerItem,
        // Strangers may ask for any card. But whoever has one shows it to them, and for lack of a card an account is
        // told from none by nothing: only this family is asked.
        hides_absence: false,
        removed_with_account: true,
    };
    /// Nodes of publish-subscribe services. See [`crate::pubsub`].
    PubsubNodes = Descriptor {
        name: "pubsub_nodes",
        // Some hundred bytes each, a dozen per account; rewritten whenever an item is published.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        // Whoever asks for one has passed the account's own checks.
        hides_absence: false,
        removed_with_account: true,
    };
    /// Items of nodes. See [`crate::pubsub`].
    PubsubItems = Descriptor {
        name: "pubsub_items",
        // Avatars and keys of every account: up to some hundred kilobytes each.
        pattern: WritePattern::Random,
        size: Size::Large,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Items of nodes in the order of publishing. See [`crate::pubsub`].
    PubsubOrder = Descriptor {
        name: "pubsub_order",
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Affiliations and subscriptions of nodes. See [`crate::pubsub`].
    PubsubPeople = Descriptor {
        name: "pubsub_people",
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        hides_absence: false,
        removed_with_account: true,
    };
    /// Tokens of clients. See [`crate::tokens`].
    Tokens = Descriptor {
        name: "tokens",
        // Read at each login with a token; written once a day and client. A client's are some 150 bytes.
        pattern: WritePattern::Random,
        size: Size::Small,
        keys: KeyShape::OwnerItem,
        // Strangers may ask for any name and client.
        hides_absence: true,
        removed_with_account: true,
    };
}

impl Family {
    /// This family's row in the catalogue.
    pub fn descriptor(self) -> &'static Descriptor {
        &ROWS[self as usize]
    }

    /// The family's name on disk.
    pub fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// The full key of `rest` for `owner`, in this family's [`KeyShape`].
    ///
    /// `Named`: `rest` alone. `Owner` and `OwnerItem`: `owner 0x00 rest`. `TimeOwner`: `rest`, which is the time, then
    /// the owner.
    pub fn key(self, owner: &Owner, rest: &[u8]) -> Vec<u8> {
        match self.descriptor().keys {
            KeyShape::Named => rest.to_vec(),
            KeyShape::Owner | KeyShape::OwnerItem => owner.key(rest),
            KeyShape::TimeOwner => [rest, &owner.encode(0)].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_distinct_and_not_the_default_family() {
        let names: HashSet<_> = Family::ALL.iter().map(|family| family.name()).collect();
        assert_eq!(names.len(), ROWS.len());
        assert!(!names.contains("default"));
    }

    #[test]
    fn what_goes_with_an_account_is_found_by_its_owner() {
        for family in Family::ALL.iter().filter(|family| family.descriptor().removed_with_account) {
            assert!(matches!(family.descriptor().keys, KeyShape::Owner | KeyShape::OwnerItem), "{family:?}");
        }
    }

    #[test]
    fn keys_follow_their_shape() {
        let owner = Owner::parse("a@b").unwrap();
        assert_eq!(Family::Meta.key(&owner, b"schema"), b"schema");
        assert_eq!(Family::Accounts.key(&owner, b""), b"b\0a\0");
        assert_eq!(Family::Registrations.key(&owner, b"12345678"), b"12345678b\0a");
    }
}
