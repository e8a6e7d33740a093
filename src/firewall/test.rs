//! Whether a test holds for a stanza.

use std::borrow::Cow;
use std::ops::Range;
use std::task::Poll;

use smallvec::SmallVec;

use super::address::Parts;
use super::blocks::Needs;
use super::budget::Budget;
use super::definition::Zone;
use super::entries::hash_of;
use super::list_key;
use super::pattern::{Match, Pattern, Token};
use super::program::{Compiled, Rules, Search};
use super::stanza::Stanza;
use super::syntax::{Comparison, LOCAL, Limit, Permission, Place, Role, SearchId, Test, ZoneId};
use super::template::{AddressPart, Origin, Template};
use super::world::{Acquaintance, Key, Side, Trace, World};

/// What a test is made with.
pub(super) struct Tester<'t, 's, 'o, W> {
    pub rules: &'t Rules,
    /// The number of the first bucket of the chain.
    pub buckets: u32,
    pub stanza: &'t Stanza<'s>,
    pub origin: &'t Origin<'o>,
    pub world: &'t mut W,
    budget: &'t mut Budget,
    searched: &'t mut Searched,
    /// The parts of both addresses, once somebody has asked.
    sender: Option<Option<Parts<'t>>>,
    addressee: Option<Option<Parts<'t>>>,
    /// The hashes of their parts.
    hashes: [Option<u64>; AddressPart::COUNT],
}

/// What searches have found: looked for once in a run of a chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Searched(SmallVec<[Found; 1]>);

/// What one search has found.
#[derive(Clone, Debug)]
struct Found {
    search: SearchId,
    text: Text,
    /// Whether a pattern that begins with something fixed can be in it.
    may_begin: bool,
}

/// A text: where it stands in the stanza, or by itself.
#[derive(Clone, Debug)]
enum Text {
    There(Range<usize>),
    Own(Box<[u8]>),
}

impl Searched {
    /// The stanza is about to change: what was found in it stays what it is.
    pub fn keep(&mut self, stanza: &Stanza<'_>) {
        for found in &mut self.0 {
            if let Text::There(range) = &found.text {
                found.text = Text::Own(stanza.bytes().get(range.clone()).unwrap_or_default().into());
            }
        }
    }

    /// Looks, unless it has looked before. Answers the place of what was found.
    #[inline]
    pub fn look(&mut self, rules: &Rules, search: SearchId, stanza: &Stanza<'_>) -> usize {
        if let Some(place) = self.0.iter().position(|known| known.search == search) {
            return place;
        }
        let Search { path, beginnings } = &rules.searches[search.index()];
        let found = stanza.find(path);
        let bytes = found.as_ref().map_or(&b""[..], |found| found.as_bytes());
        let offset = (bytes.as_ptr() as usize).checked_sub(stanza.bytes().as_ptr() as usize);
        let text = match offset {
            Some(offset) if offset < stanza.bytes().len() => Text::There(offset..offset + bytes.len()),
            _ => Text::Own(bytes.into()),
        };
        let may_begin = beginnings.as_ref().is_none_or(|beginnings| beginnings.is_in(bytes));
        self.0.push(Found { search, text, may_begin });
        self.0.len() - 1
    }

    /// Whether one of the patterns that are looked for in a text can begin in it.
    fn may_begin(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(|found| found.may_begin)
    }

    /// The text that was found, for a pattern: nothing, if the pattern cannot be in it.
    #[inline]
    fn text_for<'t>(&'t self, place: usize, stanza: &'t Stanza<'_>, pattern: &Pattern) -> Option<&'t [u8]> {
        let may_begin = self.0.get(place).is_some_and(|found| found.may_begin);
        (may_begin || pattern.prefix().is_none()).then(|| self.text(place, stanza))
    }

    fn text<'t>(&'t self, place: usize, stanza: &'t Stanza<'_>) -> &'t [u8] {
        match self.0.get(place) {
            Some(Found { text: Text::There(range), .. }) => stanza.bytes().get(range.clone()).unwrap_or_default(),
            Some(Found { text: Text::Own(bytes), .. }) => bytes,
            None => b"",
        }
    }
}

impl<'t, 's, 'o, W: World> Tester<'t, 's, 'o, W> {
    /// For one stanza, as long as it does not change.
    pub fn new(
        rules: &'t Rules,
        stanza: &'t Stanza<'s>,
        origin: &'t Origin<'o>,
        world: &'t mut W,
        budget: &'t mut Budget,
        searched: &'t mut Searched,
    ) -> Tester<'t, 's, 'o, W> {
        let (sender, addressee, hashes) = (None, None, [None; AddressPart::COUNT]);
        Tester { rules, buckets: 0, stanza, origin, world, budget, searched, sender, addressee, hashes }
    }

    /// Tells those who follow of a rule, and of what holds because it is visited.
    pub fn follow_rule(&mut self, rule: &Compiled) {
        self.world.follow(Trace::Rule(rule.line));
        let [decided, _] = &rule.sources;
        decided.iter().for_each(|source| self.world.follow(Trace::Condition(source, true)));
    }

    /// Whether none of the rules of a block can hold, because of what all of them need.
    #[inline]
    pub fn has_none(&mut self, needs: &Needs) -> bool {
        match needs {
            // It is tested as one of theirs, and remembered.
            Needs::Test(_) => false,
            Needs::Part(part, hashes) => self.parts(part.side).is_none() || !hashes.contains(&self.hash_of_part(*part)),
            Needs::Listed(part) => {
                let hash = self.hash_of_part(*part);
                !self.world.may_be_listed(hash)
            }
            Needs::Beginning(search) => {
                let place = self.searched.look(self.rules, *search, self.stanza);
                !self.searched.may_begin(place)
            }
        }
    }

    #[inline]
    fn hash_of_part(&mut self, part: AddressPart) -> u64 {
        if let Some(hash) = self.hashes[part.place()] {
            return hash;
        }
        let hash = hash_of(self.address_part(part).as_bytes());
        self.hashes[part.place()] = Some(hash);
        hash
    }

    /// Whether it holds; or what it depends on is not known yet.
    pub fn test(&mut self, test: &Test) -> Poll<bool> {
        Poll::Ready(match test {
            Test::Kind(names) => names.iter().any(|name| **name == *self.stanza.name()),
            Test::Type(names) => {
                self.stanza.effective_type().is_some_and(|kind| names.iter().any(|name| **name == *kind))
            }
            // Addresses are short: what the stanza says does not keep them from being looked at.
            Test::To(pattern) => pattern.fits(self.parts(Side::Addressee).as_ref(), &mut Budget::default()),
            Test::From(pattern) => pattern.fits(self.parts(Side::Sender).as_ref(), &mut Budget::default()),
            Test::ToExactly(template) => self.jid(Side::Addressee) == Some(&*self.expand(template)),
            Test::FromExactly(template) => self.stanza.from() == Some(&*self.expand(template)),
            Test::ToSelf => self.stanza.to().is_none(),
            Test::ToFullJid => {
                let is_full = self.parts(Side::Addressee).is_some_and(|to| to.resource.is_some());
                return if is_full && self.stanza.to().is_some() {
                    self.acquaintance(|known| known.is_connected)
                } else {
                    Poll::Ready(false)
                };
            }
            Test::FromFullJid => self.parts(Side::Sender).is_some_and(|from| from.resource.is_some()),
            Test::Entering(zone) => self.is_in(*zone, Side::Addressee) && !self.is_in(*zone, Side::Sender),
            Test::Leaving(zone) => self.is_in(*zone, Side::Sender) && !self.is_in(*zone, Side::Addressee),
            Test::Payload(namespace) => self.stanza.has_payload(namespace),
            Test::Inspect(path, comparison) => {
                let found = self.stanza.find(path);
                let Some(comparison) = comparison else { return Poll::Ready(found.is_some()) };
                let text = found.as_ref().map_or(&b""[..], |found| found.as_bytes());
                match comparison {
                    Comparison::Is(template) => found.is_some() && text == self.expand(template).as_bytes(),
                    Comparison::Has(template) => memchr::memmem::find(text, self.expand(template).as_bytes()).is_some(),
                    Comparison::Fits(pattern) => pattern.is_in(text, self.budget),
                    Comparison::FitsDynamic(template) => {
                        let pattern = Pattern::parse(self.expand(template).as_bytes());
                        pattern.is_ok_and(|pattern| pattern.is_in(text, self.budget))
                    }
                }
            }
            Test::InRoster => return self.acquaintance(|known| known.in_roster),
            Test::InRosterGroup(group) => {
                let is_account = self.parts(Side::Addressee).is_some_and(|to| to.node.is_some());
                return if is_account { self.world.in_roster_group(self.stanza, group) } else { Poll::Ready(false) };
            }
            Test::Subscribed if self.is_own() => true,
            Test::Subscribed => return self.acquaintance(|known| known.is_subscribed),
            Test::PendingSubscriptionFromSender if self.is_own() => true,
            Test::PendingSubscriptionFromSender => return self.acquaintance(|known| known.is_pending),
            Test::SentDirectedPresenceToSender => return self.acquaintance(|known| known.has_directed),
            Test::FromGroup(group) => self.bare(Side::Sender).is_some_and(|bare| self.world.in_group(bare, group)),
            Test::ToGroup(group) => self.bare(Side::Addressee).is_some_and(|bare| self.world.in_group(bare, group)),
            Test::CrossingGroups(groups) => {
                let sides = [self.bare(Side::Sender), self.bare(Side::Addressee)];
                let world = &*self.world;
                let is_in = |side: &Option<&str>, group| side.is_some_and(|bare| world.in_group(bare, group));
                !groups.iter().any(|group| sides.iter().all(|side| is_in(side, group)))
            }
            Test::May(Permission::Federate) => {
                return self.role(Side::Sender, |role| role.is_some_and(|role| role >= Role::Registered));
            }
            Test::FromRole(expected) => return self.role(Side::Sender, |role| role == Some(*expected)),
            Test::ToRole(expected) => return self.role(Side::Addressee, |role| role == Some(*expected)),
            Test::FromAdmin => return self.role(Side::Sender, |role| role == Some(Role::Admin)),
            Test::ToAdmin => return self.role(Side::Addressee, |role| role == Some(Role::Admin)),
            Test::FromAdminOf(host) => return self.is_admin_of(host, Side::Sender),
            Test::ToAdminOf(host) => return self.is_admin_of(host, Side::Addressee),
            Test::Day(days) => days.has(self.world.clock()),
            Test::Time(times) => times.has(self.world.clock()),
            Test::Limit(limit) => return self.limit(limit),
            Test::OriginMarked(mark, age_ms) => {
                let since_ms = self.world.origin_marked(*mark);
                self.is_marked(since_ms, *age_ms)
            }
            Test::UserMarked(mark, age_ms) => match self.world.user_marked(*mark) {
                Poll::Ready(since_ms) => self.is_marked(since_ms, *age_ms),
                Poll::Pending => return Poll::Pending,
            },
            Test::CheckList(list, template) => {
                let (_, spec) = &self.rules.lists[list.index()];
                match template.address_part().filter(|_| spec.is_plain()) {
                    Some(part) => {
                        let text = self.address_part(part);
                        let hash = *self.hashes[part.place()].get_or_insert_with(|| hash_of(text.as_bytes()));
                        self.world.is_listed(*list, text, hash)
                    }
                    None => {
                        let text = list_key(spec, self.expand(template), true);
                        self.world.is_listed(*list, &text, hash_of(text.as_bytes()))
                    }
                }
            }
            Test::Scan(search, pattern, list) => {
                let (_, spec) = &self.rules.lists[list.index()];
                let place = self.searched.look(self.rules, *search, self.stanza);
                let pattern = &self.rules.patterns[pattern.index()];
                let text = self.searched.text_for(place, self.stanza, pattern);
                let Some(text) = text else { return Poll::Ready(false) };
                let mut found = pattern.matches(text, self.budget);
                found.any(|found| {
                    let text = list_key(spec, token(text, &found), true);
                    self.world.is_listed(*list, &text, hash_of(text.as_bytes()))
                })
            }
            Test::Count(pattern, search, operator, number) => {
                let place = self.searched.look(self.rules, *search, self.stanza);
                let pattern = &self.rules.patterns[pattern.index()];
                let text = self.searched.text_for(place, self.stanza, pattern);
                let count = text.map_or(0, |text| pattern.matches(text, self.budget).count());
                operator.holds(count as u64, *number)
            }
            Test::FromIp(address) => {
                self.origin.address.is_some_and(|from| from.to_canonical() == address.to_canonical())
            }
            Test::FromSubnet(network) => self.origin.address.is_some_and(|from| network.contains(&from.to_canonical())),
            Test::FromCountry(place) => {
                let location = self.origin.address.map(|address| self.world.location(address)).unwrap_or_default();
                match place {
                    Place::Known => location.country.is_some(),
                    Place::Country(code) if **code == *"--" => location.country.is_none(),
                    Place::Country(code) => location.country.as_deref() == Some(code),
                    Place::Country3(code) => location.country3.as_deref() == Some(code),
                    Place::Continent(code) => location.continent.as_deref() == Some(code),
                }
            }
        })
    }

    fn expand<'x>(&'x self, template: &'x Template) -> Cow<'x, str> {
        template.expand(self.stanza, self.origin)
    }

    /// An address of the stanza: without an addressee it is for the client's own account.
    #[inline]
    fn jid(&self, side: Side) -> Option<&'t str> {
        let (stanza, origin) = (self.stanza, self.origin);
        match side {
            Side::Sender => stanza.from(),
            Side::Addressee => stanza.to().or_else(|| origin.account()),
        }
    }

    /// The parts of an address.
    #[inline]
    fn parts(&mut self, side: Side) -> Option<Parts<'t>> {
        let known = if side == Side::Sender { self.sender } else { self.addressee };
        if let Some(parts) = known {
            return parts;
        }
        let parts = self.jid(side).and_then(Parts::of);
        *(if side == Side::Sender { &mut self.sender } else { &mut self.addressee }) = Some(parts);
        parts
    }

    /// A part of an address, as expressions name it.
    #[inline]
    fn address_part(&mut self, part: AddressPart) -> &'t str {
        let parts = self.parts(part.side);
        part.of(self.jid(part.side), parts.as_ref())
    }

    #[inline]
    fn bare(&mut self, side: Side) -> Option<&'t str> {
        self.parts(side).map(|parts| parts.bare)
    }

    /// Whether somebody writes to the own account.
    fn is_own(&mut self) -> bool {
        self.stanza.to().is_none() || self.bare(Side::Sender) == self.bare(Side::Addressee)
    }

    fn is_in(&mut self, zone: ZoneId, side: Side) -> bool {
        let Some(parts) = self.parts(side) else { return false };
        if zone == LOCAL {
            return self.world.serves(parts.host);
        }
        let Zone(members) = &self.rules.zones[zone.index()];
        let has = |text: &str| members.contains(text);
        has(parts.host) || has(parts.bare) || self.jid(side).is_some_and(has)
    }

    fn acquaintance(&mut self, holds: impl FnOnce(Acquaintance) -> bool) -> Poll<bool> {
        let is_account = self.parts(Side::Addressee).is_some_and(|to| to.node.is_some());
        match is_account {
            true => self.world.acquaintance(self.stanza).map(holds),
            false => Poll::Ready(false),
        }
    }

    fn role(&mut self, side: Side, holds: impl FnOnce(Option<Role>) -> bool) -> Poll<bool> {
        self.world.role(self.stanza, side).map(holds)
    }

    fn is_admin_of(&mut self, host: &Template, side: Side) -> Poll<bool> {
        let host = self.expand(host);
        let is_here = &*host == "*" || self.world.serves(&host);
        if is_here { self.role(side, |role| role == Some(Role::Admin)) } else { Poll::Ready(false) }
    }

    fn limit(&mut self, limit: &Limit) -> Poll<bool> {
        let Some(bucket) = self.rules.buckets.get((self.buckets + limit.bucket) as usize) else {
            return Poll::Ready(false);
        };
        match &limit.on {
            None => self.world.is_over(bucket.id, &bucket.spec, None),
            Some(template) => match template.address_part() {
                Some(part) => {
                    let text = self.address_part(part);
                    let hash = *self.hashes[part.place()].get_or_insert_with(|| hash_of(text.as_bytes()));
                    self.world.is_over(bucket.id, &bucket.spec, Some(Key { text, hash }))
                }
                None => {
                    let key = template.expand(self.stanza, self.origin);
                    self.world.is_over(bucket.id, &bucket.spec, Some(Key::of(&key)))
                }
            },
        }
    }

    fn is_marked(&self, since_ms: Option<u64>, age_ms: Option<u64>) -> bool {
        since_ms
            .is_some_and(|since_ms| age_ms.is_none_or(|age_ms| self.world.now_ms().saturating_sub(since_ms) < age_ms))
    }
}

/// What a match yields, as text.
fn token<'t>(text: &'t [u8], found: &Match) -> Cow<'t, str> {
    match found.token {
        Token::Text(start, end) => String::from_utf8_lossy(text.get(start..end).unwrap_or_default()),
        Token::Place(place) => Cow::Owned(place.to_string()),
    }
}
