//! An account's archiving preferences (XEP-0441): with whom messages are archived. They have the last word behind
//! [`archive`](super::archive), which decides by what a message is.

use rondel_storage::preferences::{ArchiveDefault, ArchivePreferences};

use super::traits::Verdict;
use crate::jid::Jid;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// What happens to messages with somebody who is on neither list (§2.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DefaultPolicy {
    /// They are archived.
    #[default]
    Always,
    /// They are not.
    Never,
    /// They are, if the contact list has the contact.
    Roster,
}

impl DefaultPolicy {
    const ALL: [(DefaultPolicy, &'static str); 3] =
        [(DefaultPolicy::Always, "always"), (DefaultPolicy::Never, "never"), (DefaultPolicy::Roster, "roster")];

    fn name(self) -> &'static str {
        DefaultPolicy::ALL.into_iter().find(|(policy, _)| *policy == self).map_or("always", |(_, name)| name)
    }
}

/// What bounds an account's preferences.
#[derive(Clone, Copy, Debug)]
pub struct PreferencesLimits {
    /// Addresses on both lists together.
    pub addresses_max: usize,
}

/// An account's preferences. Those of most accounts are the default and own no memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preferences {
    /// For whoever is on neither list.
    pub default: DefaultPolicy,
    /// The addresses of both lists in normal form, each with a line end behind it, which no address has in it.
    addresses: Box<str>,
    /// Where in them the second list begins.
    never_at: usize,
}

/// Why preferences cannot be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PreferencesError {
    /// There is no such default: `<bad-request/>`.
    Default,
    /// Something on a list is no address: `<jid-malformed/>`.
    Address,
    /// The lists are longer than they may be: `<policy-violation/>`.
    TooMany,
}

impl From<PreferencesError> for Refusal {
    fn from(error: PreferencesError) -> Refusal {
        match error {
            PreferencesError::Default => Refusal::bad_request().with_text("default is always, never or roster"),
            PreferencesError::Address => Refusal::jid_malformed(),
            PreferencesError::TooMany => Refusal::policy_violation().with_text("too many addresses"),
        }
    }
}

impl From<&ArchivePreferences> for Preferences {
    fn from(stored: &ArchivePreferences) -> Preferences {
        let default = match stored.default {
            ArchiveDefault::Always => DefaultPolicy::Always,
            ArchiveDefault::Never => DefaultPolicy::Never,
            ArchiveDefault::Roster => DefaultPolicy::Roster,
        };
        Preferences::new(default, &stored.always, &stored.never)
    }
}

impl From<&Preferences> for ArchivePreferences {
    fn from(preferences: &Preferences) -> ArchivePreferences {
        let default = match preferences.default {
            DefaultPolicy::Always => ArchiveDefault::Always,
            DefaultPolicy::Never => ArchiveDefault::Never,
            DefaultPolicy::Roster => ArchiveDefault::Roster,
        };
        let list = |addresses: &str| addresses.lines().map(str::to_owned).collect();
        ArchivePreferences { default, always: list(preferences.always()), never: list(preferences.never()) }
    }
}

impl Preferences {
    /// Those of an account that has chosen nothing.
    pub fn of_server(default: DefaultPolicy) -> Preferences {
        Preferences { default, ..Preferences::default() }
    }

    /// Preferences with these addresses in normal form: always and never.
    pub fn new<S: AsRef<str>>(default: DefaultPolicy, always: &[S], never: &[S]) -> Preferences {
        let mut addresses = String::new();
        let mut never_at = 0;
        for (index, address) in always.iter().chain(never).enumerate() {
            addresses.push_str(address.as_ref());
            addresses.push('\n');
            if index < always.len() {
                never_at = addresses.len();
            }
        }
        Preferences { default, addresses: addresses.into_boxed_str(), never_at }
    }

    /// Reads `<prefs/>`.
    pub fn parse(prefs: &Element, limits: &PreferencesLimits) -> Result<Preferences, PreferencesError> {
        let default = DefaultPolicy::ALL.into_iter().find(|(_, name)| prefs.attribute("default") == Some(*name));
        let (default, _) = default.ok_or(PreferencesError::Default)?;
        let mut left = limits.addresses_max;
        let mut list = |name: &str| -> Result<Vec<String>, PreferencesError> {
            let mut addresses = Vec::new();
            let Some(element) = prefs.child(name, ns::ARCHIVE) else { return Ok(addresses) };
            for item in element.children().filter(|item| item.name == "jid") {
                left = left.checked_sub(1).ok_or(PreferencesError::TooMany)?;
                let text = item.text();
                let address = Jid::parse(text.trim()).map_err(|_| PreferencesError::Address)?;
                addresses.push(address.as_str().to_owned());
            }
            Ok(addresses)
        };
        let (always, never) = (list("always")?, list("never")?);
        Ok(Preferences::new(default, &always, &never))
    }

    /// `<prefs/>`, as it is answered.
    pub fn to_element(&self) -> Element {
        let list = |name: &str, addresses: &str| {
            let empty = Element::new(name, ns::ARCHIVE);
            addresses.lines().fold(empty, |list, jid| list.with_child(Element::new("jid", ns::ARCHIVE).with_text(jid)))
        };
        Element::new("prefs", ns::ARCHIVE)
            .with_attribute("default", self.default.name())
            .with_child(list("always", self.always()))
            .with_child(list("never", self.never()))
    }

    /// Whether messages with `peer` are archived: who has sent them, or whom they are addressed to (§2.3). `is_contact`
    /// tells whether the contact list has its bare address.
    ///
    /// A full address on a list has precedence over a bare one, and on the same terms *never* has it over *always*:
    /// the specification does not say.
    pub fn archives(&self, peer: &Jid<'_>, is_contact: impl FnOnce() -> bool) -> Verdict {
        let has = |list: &str, address: &str| list.lines().any(|listed| listed == address);
        if !self.addresses.is_empty() {
            let forms = [peer.as_str(), peer.bare()];
            for form in forms.iter().take(if peer.is_full() { 2 } else { 1 }) {
                if has(self.never(), form) {
                    return Verdict::No("on the list of those never archived");
                }
                if has(self.always(), form) {
                    return Verdict::Yes("on the list of those always archived");
                }
            }
        }
        match self.default {
            DefaultPolicy::Always => Verdict::Yes("archived by default"),
            DefaultPolicy::Never => Verdict::No("not archived by default"),
            DefaultPolicy::Roster if is_contact() => Verdict::Yes("a contact"),
            DefaultPolicy::Roster => Verdict::No("no contact"),
        }
    }

    /// The addresses with whom messages are always archived, one a line.
    pub fn always(&self) -> &str {
        self.addresses.get(..self.never_at).unwrap_or_default()
    }

    /// The same for never.
    pub fn never(&self) -> &str {
        self.addresses.get(self.never_at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PreferencesLimits = PreferencesLimits { addresses_max: 3 };

    fn parse(prefs: &str) -> Result<Preferences, PreferencesError> {
        Preferences::parse(&Element::parse(prefs.as_bytes()).unwrap(), &LIMITS)
    }

    #[test]
    fn lists_and_defaults_decide() {
        use DefaultPolicy::*;
        let (romeo, full) = ("romeo@montague.lit", "romeo@montague.lit/orchard");
        // Default, always, never, peer, whether a contact; whether archived.
        type Row<'a> = (DefaultPolicy, &'a [&'a str], &'a [&'a str], &'a str, bool, bool);
        let rows: [Row<'_>; 16] = [
            (Always, &[], &[], full, false, true),
            (Never, &[], &[], full, true, false),
            (Roster, &[], &[], full, true, true),
            (Roster, &[], &[], full, false, false),
            (Roster, &[romeo], &[], full, false, true),
            (Roster, &[], &[romeo], full, true, false),
            (Never, &[romeo], &[], romeo, false, true),
            (Never, &[romeo], &[], "romeo@montague.li", false, false),
            (Never, &["montague.lit"], &[], romeo, false, false),
            (Never, &["montague.lit"], &[], "montague.lit/echo", false, true),
            // A listed full address means that resource alone.
            (Never, &[full], &[], full, false, true),
            (Never, &[full], &[], romeo, false, false),
            (Never, &[full], &[], "romeo@montague.lit/garden", false, false),
            // Both lists.
            (Always, &[romeo], &[romeo], romeo, false, false),
            (Never, &[full], &[romeo], full, false, true),
            (Always, &[romeo], &[full], full, false, false),
        ];
        for (default, always, never, peer, is_contact, archived) in rows {
            let preferences = Preferences::new(default, always, never);
            let verdict = preferences.archives(&Jid::parse(peer).unwrap(), || is_contact);
            assert_eq!(verdict.is_yes(), archived, "{default:?} {always:?} {never:?} {peer}");
        }
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let text = "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>Romeo@Montague.lit</jid></always>\
                    <never><jid> montague@montague.lit </jid><jid>a@b/c</jid></never></prefs>";
        let preferences = parse(text).unwrap();
        assert_eq!(
            preferences,
            Preferences::new(DefaultPolicy::Roster, &["romeo@montague.lit"], &["montague@montague.lit", "a@b/c"])
        );
        let again = preferences.to_element();
        assert_eq!(Preferences::from(&ArchivePreferences::from(&preferences)), preferences);
        assert_eq!(Preferences::parse(&again, &LIMITS), Ok(preferences));
        let mut out = Vec::new();
        Preferences::default().to_element().write_to(&mut out, ns::CLIENT);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>"
        );
    }

    #[test]
    fn what_cannot_be_set() {
        let jids = |count: usize| "<jid>a@b</jid>".repeat(count);
        let prefs = |default: &str, always: &str, never: &str| {
            parse(&format!(
                "<prefs xmlns='urn:xmpp:mam:2' {default}><always>{always}</always><never>{never}</never></prefs>"
            ))
        };
        assert_eq!(prefs("", "", ""), Err(PreferencesError::Default));
        assert_eq!(prefs("default='sometimes'", "", ""), Err(PreferencesError::Default));
        assert_eq!(prefs("default='never'", "<jid>a@@b</jid>", ""), Err(PreferencesError::Address));
        assert_eq!(prefs("default='never'", "", "<jid/>"), Err(PreferencesError::Address));
        assert_eq!(prefs("default='never'", &jids(2), &jids(2)), Err(PreferencesError::TooMany));
        assert!(prefs("default='never'", &jids(2), &jids(1)).is_ok());
        assert_eq!(parse("<prefs xmlns='urn:xmpp:mam:2' default='always'/>"), Ok(Preferences::default()));
    }
}
