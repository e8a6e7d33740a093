//! What the server says of its own accord: to administrators, and to new accounts.

use std::sync::Arc;
use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::Owner;
use siphasher::sip::SipHasher13;

use super::message::Message;
use super::roster::now_micros;
use super::{Shard, TIMER_WATCH};
use crate::account::{Address, MessageType, SessionKey, StanzaKind};
use crate::jid::Jid;
use crate::registration::{NoticeType, Telling};
use crate::xml::escape;

/// Sessions that are told something in one turn: more would have the others wait.
const ANNOUNCED_AT_ONCE: usize = 500;

/// What is said to all who are available on a shard.
pub struct Announcement {
    /// The words.
    pub words: Arc<str>,
    /// Only to those of this domain.
    pub domain: Option<String>,
    /// To whom it has not been said yet; `None`: to nobody so far.
    pub left: Option<Vec<SessionKey>>,
}

impl Shard {
    /// An account was made: the watchers hear of it, together with what else comes soon. For the shard that counts.
    pub(super) fn watch_registration(&mut self, io: &mut Io<Shard>, words: String) {
        let telling = self.lookout.registered(words, now_micros());
        self.tell_or_wait(io, telling, Shard::tell_watchers);
    }

    /// Something has happened that administrators have to know: they hear of it, together with what else comes soon.
    /// For the shard that counts.
    pub(super) fn alert(&mut self, io: &mut Io<Shard>, words: String) {
        let telling = self.alerts.registered(words, now_micros());
        self.tell_or_wait(io, telling, Shard::tell_administrators);
    }

    fn tell_or_wait(&mut self, io: &mut Io<Shard>, telling: Telling, tell: fn(&mut Shard, &mut Io<Shard>, &str)) {
        match telling {
            Telling::Now(words) => tell(self, io, &words),
            Telling::In(wait_us) => io.schedule(Duration::from_micros(wait_us), TIMER_WATCH),
            Telling::Waits => {}
        }
    }

    /// Watchers and administrators hear of what has come meanwhile.
    pub(super) fn watch_due(&mut self, io: &mut Io<Shard>) {
        if let Some(words) = self.lookout.due(now_micros()) {
            self.tell_watchers(io, &words);
        }
        if let Some(words) = self.alerts.due(now_micros()) {
            self.tell_administrators(io, &words);
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

    fn tell_administrators(&mut self, io: &mut Io<Shard>, words: &str) {
        for administrator in self.settings.administrators() {
            self.say(io, administrator.domain(), &administrator, NoticeType::Chat, words);
        }
    }

    /// A new account is welcomed by its domain.
    pub(super) fn welcome(&mut self, io: &mut Io<Shard>, owner: &Owner) {
        let words = self.settings.welcome(owner.local(), owner.domain());
        let to = owner.to_string();
        if let (Some(words), Ok(to)) = (words, Jid::parse(&to)) {
            self.say(io, owner.domain(), &to, NoticeType::Chat, &words);
        }
    }

    /// A session that has become available gets the message of the day.
    pub(super) fn tell_message_of_the_day(&mut self, io: &mut Io<Shard>, address: &Address) {
        let words = self.settings.message_of_the_day();
        let Ok(to) = Jid::parse(address.as_str()) else { return };
        if words.is_empty() || self.settings.registration().notices.motd_once && !self.is_news(io, address, &words) {
            return;
        }
        self.say(io, address.domain(), &to, NoticeType::Headline, &words);
    }

    /// Whether an account was not told these words last; from now on it was.
    fn is_news(&mut self, io: &mut Io<Shard>, address: &Address, words: &str) -> bool {
        // The same on every start, and nobody gains anything by finding words with the same hash.
        let hash = SipHasher13::new().hash(words.as_bytes());
        let owner = self.owner_of(address.bare());
        let Some(account) = self.accounts.account_mut(address.bare()) else { return true };
        if account.told.replace(hash) == Some(hash) {
            return false;
        }
        if let Some(owner) = owner {
            self.keep_chosen(io, address.bare(), owner);
        }
        true
    }

    /// Says something to some of those who are available, and goes on with the others when those have been dealt with
    /// who have something to do.
    pub(super) fn announce(&mut self, io: &mut Io<Shard>, mut announcement: Box<Announcement>) {
        let Announcement { words, domain, left } = &mut *announcement;
        let left = left.get_or_insert_with(|| {
            let is_meant = |address: &Address| domain.as_deref().is_none_or(|domain| domain == address.domain());
            let all = self.accounts.all_sessions();
            let meant = all.filter(|(_, session)| session.presence.is_some() && is_meant(&session.address));
            meant.map(|(key, _)| key).collect()
        });
        for key in left.split_off(left.len().saturating_sub(ANNOUNCED_AT_ONCE)) {
            let Some(address) = self.accounts.session(key).map(|session| Arc::clone(&session.address)) else {
                continue;
            };
            if let Ok(to) = Jid::parse(address.as_str()) {
                self.say(io, address.domain(), &to, NoticeType::Headline, words);
            }
        }
        if !left.is_empty() {
            io.send(io.shard(), Message::Announce(announcement), 0);
        }
    }

    /// Says something to an account, now or when somebody comes.
    pub(super) fn tell_account(&mut self, io: &mut Io<Shard>, account: &str, words: &str) {
        if let Ok(to) = Jid::parse(account) {
            let domain = to.domain().to_owned();
            self.say(io, &domain, &to, NoticeType::Chat, words);
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
