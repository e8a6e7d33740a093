//! What the server says of its own accord: to administrators, and to new accounts.

use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::Owner;

use super::roster::now_micros;
use super::{Shard, TIMER_WATCH};
use crate::account::{MessageType, StanzaKind};
use crate::jid::Jid;
use crate::registration::{NoticeType, Telling};
use crate::xml::escape;

impl Shard {
    /// An account was made: the watchers hear of it, together with what else comes soon. For the shard that counts.
    pub(super) fn watch_registration(&mut self, io: &mut Io<Shard>, words: String) {
        match self.lookout.registered(words, now_micros()) {
            Telling::Now(words) => self.tell_watchers(io, &words),
            Telling::In(wait_us) => io.schedule(Duration::from_micros(wait_us), TIMER_WATCH),
            Telling::Waits => {}
        }
    }

    /// The watchers hear of what has come meanwhile.
    pub(super) fn watch_due(&mut self, io: &mut Io<Shard>) {
        if let Some(words) = self.lookout.due(now_micros()) {
            self.tell_watchers(io, &words);
        }
    }

    fn tell_watchers(&mut self, io: &mut Io<Shard>, words: &str) {
        let policy = self.settings.registration();
        let notices = &policy.notices;
        for watcher in &notices.watchers {
            let from = notices.from.as_ref().map_or(watcher.domain(), Jid::as_str);
            self.say(io, from, watcher, notices.kind, words);
        }
    }

    /// A new account is welcomed by its domain.
    pub(super) fn welcome(&mut self, io: &mut Io<Shard>, owner: &Owner) {
        let words = self.settings.registration().notices.welcome(owner.local(), owner.domain());
        let to = owner.to_string();
        if let (Some(words), Ok(to)) = (words, Jid::parse(&to)) {
            self.say(io, owner.domain(), &to, NoticeType::Chat, &words);
        }
    }

    /// Sends a message in the name of a domain or of whoever else is allowed to be named.
    fn say(&mut self, io: &mut Io<Shard>, from: &str, to: &Jid<'_>, kind: NoticeType, words: &str) {
        // Different for each message of this server.
        let id = format!("{:x}", self.noted_us(io));
        let (sender, addressee) = (escape::attribute_value(from), escape::attribute_value(to.as_str()));
        let mut stanza =
            format!("<message type='{}' from='{sender}' to='{addressee}' id='{id}'><body>", kind.as_str()).into_bytes();
        escape::text(&mut stanza, words);
        stanza.extend_from_slice(b"</body></message>");
        let kind = match kind {
            NoticeType::Chat => MessageType::Chat,
            NoticeType::Normal => MessageType::Normal,
            NoticeType::Headline => MessageType::Headline,
        };
        self.send(io, StanzaKind::Message(kind), from, to, &stanza);
    }
}
