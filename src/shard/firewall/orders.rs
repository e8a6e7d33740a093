//! What administrators want of rules on a shard.

use std::sync::Arc;

use rondel_shards::Io;

use crate::shard::Shard;

/// Asks what is in a list.
pub struct AskListEntries {
    /// Its name.
    pub name: Box<str>,
    /// Where the answer goes; none if there is no such list.
    pub answer: crossbeam::channel::Sender<Option<Vec<String>>>,
}

/// A mark that was set on an account, or taken away, and stored.
pub struct SetMark {
    /// The bare JID.
    pub account: String,
    /// The name of the mark.
    pub name: String,
    /// When it was set, in milliseconds since 1970; none: it was taken away.
    pub at_ms: Option<u64>,
    /// Where it is answered that it holds.
    pub answer: crossbeam::channel::Sender<()>,
}

impl Shard {
    /// Tells what is in a list.
    pub(in crate::shard) fn tell_list_entries(&self, asked: &AskListEntries) {
        let entries = self.firewall.as_deref().and_then(|firewall| {
            let list = firewall.lists.get(firewall.running.rules.list(&asked.name)?)?;
            Some(list.iter().map(str::to_owned).collect())
        });
        // Whoever asked may have stopped waiting.
        let _ = asked.answer.send(entries);
    }

    /// A mark of an account has changed: what is in memory of it follows.
    pub(in crate::shard) fn set_mark(&mut self, io: &mut Io<Shard>, order: Box<SetMark>) {
        if self.is_loading(&order.account) {
            // What was read of it may be older.
            return self.load_to_mark(io, order);
        }
        if let Some(account) = self.accounts.account_mut(&order.account) {
            let marks = Arc::clone(account.marks.get_or_insert_default());
            match order.at_ms {
                Some(at_ms) => marks.set(&order.name, at_ms),
                None => marks.clear(&order.name),
            }
        }
        let _ = order.answer.send(());
    }
}
