//! What the server answers itself: questions to a served domain, and questions to an account that its server answers
//! for it (RFC 6121 §8.5.2.1.3). One file per protocol; the table below is both what is answered and what service
//! discovery advertises.
//!
//! Values in, values out: an answer depends on the question and on a [`Context`], never on a socket.

pub mod admin_commands;
pub mod commands;
mod disco;
mod ping;
pub mod server_info;
mod time;
pub mod user_commands;
mod version;

use crate::account::{activity, private};
use crate::pubsub::ACCOUNT_FEATURES;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces};
use user_commands::Rights;

/// Whom a question is addressed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressee {
    /// A served domain.
    Server,
    /// The asker's own account.
    OwnAccount,
}

/// What an answer may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whom the question is for.
    pub addressee: Addressee,
    /// Its JID.
    pub address: &'a str,
    /// Whether the asker has no account of its own.
    pub anonymous: bool,
    /// Whether accounts have archives.
    pub archive: bool,
    /// Which of the commands of [`user_commands`] the asker may run there.
    pub rights: Rights,
    /// What the server says of those who run it.
    pub server_info: &'a [Element],
    /// Seconds since 1970.
    pub now_s: u64,
    /// Seconds since the server has started.
    pub up_s: u64,
}

/// `get` or `set`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A question.
    Get,
    /// A change.
    Set,
}

/// What is answered.
#[derive(Debug)]
pub enum Answer {
    /// A result with this payload, or an empty one.
    Result(Option<Element>),
    /// A result with this payload, which stands as it is in a client's stream.
    Payload(Vec<u8>),
    /// An error (RFC 6120 §8.3).
    Refused(Refusal),
    /// An error behind a payload, which may be empty: what the request would have changed and has not.
    RefusedBehind(Vec<u8>, Refusal),
}

/// One protocol that the server speaks.
struct Protocol {
    /// The payload's name and namespace.
    name: &'static str,
    namespace: &'static str,
    /// Whether a question to one's own account is answered too.
    for_account: bool,
    /// The specification, as `docs/protocols.md` names it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers, and for the test that holds docs against this table")
    )]
    specification: &'static str,
    answer: fn(&Element, &Context<'_>) -> Answer,
}

const PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "query",
        namespace: disco::INFO,
        for_account: true,
        specification: "XEP-0030",
        answer: disco::info,
    },
    Protocol {
        name: "query",
        namespace: disco::ITEMS,
        for_account: true,
        specification: "XEP-0030",
        answer: disco::items,
    },
    Protocol {
        name: "ping",
        namespace: ping::NAMESPACE,
        for_account: true,
        specification: "XEP-0199",
        answer: ping::answer,
    },
    Protocol {
        name: "query",
        namespace: version::NAMESPACE,
        for_account: false,
        specification: "XEP-0092",
        answer: version::answer,
    },
    Protocol {
        name: "query",
        namespace: activity::NAMESPACE,
        for_account: true,
        specification: "XEP-0012",
        // An account's home answers for it before it comes to this.
        answer: |_, context| Answer::Result(Some(activity::uptime(context.up_s))),
    },
    Protocol {
        name: "time",
        namespace: time::NAMESPACE,
        for_account: false,
        specification: "XEP-0202",
        answer: time::answer,
    },
];

/// What needs the home of an account, which answers it: the namespace, the specification, and whether the account
/// advertises it as well as the server.
const KEPT: &[(&str, &str, bool)] = &[
    (private::NAMESPACE, "XEP-0049", false),
    (namespaces::VCARD, "XEP-0054", true),
    ("msgoffline", "XEP-0160", false),
    (namespaces::CAPABILITIES, "XEP-0115", false),
    (namespaces::REGISTER, "XEP-0077", false),
    (namespaces::BLOCKING, "XEP-0191", false),
    ("urn:xmpp:reporting:1", "XEP-0377", false),
    ("urn:xmpp:reporting:0", "XEP-0377", false),
    ("urn:xmpp:reporting:reason:spam:0", "XEP-0377", false),
    ("urn:xmpp:reporting:reason:abuse:0", "XEP-0377", false),
    (namespaces::COMMANDS, "XEP-0050", false),
    (namespaces::CARBONS, "XEP-0280", false),
    ("urn:xmpp:carbons:rules:0", "XEP-0280", false),
    (namespaces::STANZA_IDS, "XEP-0359", true),
];

/// What an account with an archive advertises: the namespace, the specification, and whether the server does so, too.
/// An archive is where it is, on the account's bare address (XEP-0313 §7). That retractions are kept is what others
/// than its owner may want to know (XEP-0424 §2).
const ARCHIVE: &[(&str, &str, bool)] = &[
    (namespaces::ARCHIVE, "XEP-0313", false),
    ("urn:xmpp:mam:2#extended", "XEP-0313", false),
    ("urn:xmpp:mam:2#groupchat-field", "XEP-0313", false),
    (namespaces::RESULT_SETS, "XEP-0059", false),
    (namespaces::RETRACTION, "XEP-0424", true),
    ("urn:xmpp:message-retract:1#tombstone", "XEP-0424", false),
];

/// What an account advertises that publishes, beside the features of publish-subscribe: the namespace and the
/// specification.
const PUBLISHED: &[(&str, &str)] = &[(namespaces::AVATAR_CONVERSION, "XEP-0398")];

/// What extends the service discovery of a served domain, each with its specification.
#[cfg(test)]
const EXTENSIONS: &[&str] = &["XEP-0128", "XEP-0157", "XEP-0455", "XEP-0504"];

/// The namespaces advertised to whoever asks.
fn features(context: &Context) -> impl Iterator<Item = &'static str> {
    let is_server = context.addressee == Addressee::Server;
    let answered = PROTOCOLS.iter().filter(move |protocol| protocol.for_account || is_server);
    let (archive, has_account) = (if context.archive { ARCHIVE } else { &[] }, !context.anonymous);
    let archive = archive.iter().filter(move |(_, _, for_server)| if is_server { *for_server } else { has_account });
    let kept = KEPT.iter().filter(move |(_, _, for_account)| is_server || (*for_account && has_account));
    // XEP-0222 and XEP-0223 have clients look at the server for what they rely on.
    let is_shown = move |feature: &&str| if is_server { feature.starts_with(namespaces::PUBSUB) } else { has_account };
    let published = PUBLISHED.iter().map(|(namespace, _)| *namespace).chain(ACCOUNT_FEATURES.iter().copied());
    let published = published.filter(is_shown);
    let kept = kept.chain(archive).map(|(namespace, ..)| *namespace);
    answered.map(|protocol| protocol.namespace).chain(kept).chain(published)
}

/// Answers an IQ of type `get` or `set` with this payload.
pub fn answer(action: Action, payload: &Element, context: &Context<'_>) -> Answer {
    let spoken = PROTOCOLS.iter().find(|protocol| {
        (protocol.name, protocol.namespace) == (payload.name.as_str(), payload.namespace.as_str())
            && (protocol.for_account || context.addressee == Addressee::Server)
    });
    match (spoken, action) {
        (Some(protocol), Action::Get) => (protocol.answer)(payload, context),
        // Nothing that is spoken so far can be set.
        (Some(_), Action::Set) => Answer::Refused(Refusal::new("cancel", "not-allowed")),
        (None, _) => Answer::Refused(Refusal::new("cancel", "service-unavailable")),
    }
}

/// Whether a specification stands in `docs/protocols.md`, and a XEP in `docs/rondel.doap`, too.
#[cfg(test)]
pub(crate) fn is_documented(specification: &str) -> bool {
    let protocols = include_str!("../../docs/protocols.md");
    let doap = include_str!("../../docs/rondel.doap");
    let is_listed = specification.strip_prefix("XEP-").is_none_or(|xep| doap.contains(&format!("/xep-{xep}.html'")));
    is_listed && protocols.contains(&format!("| {specification}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::archive;

    #[test]
    fn what_is_advertised_is_documented() {
        let kept = KEPT.iter().chain(ARCHIVE).map(|(_, specification, _)| *specification);
        let published = PUBLISHED.iter().map(|(_, specification)| *specification);
        let kept = kept.chain(published).chain(EXTENSIONS.iter().copied());
        for specification in PROTOCOLS.iter().map(|protocol| protocol.specification).chain(kept) {
            assert!(is_documented(specification), "{specification} is not in docs/");
        }
    }

    #[test]
    fn an_archive_is_advertised_where_it_is() {
        let has = |addressee, archive, feature: &str| {
            let (address, rights, anonymous) = ("", Rights::default(), false);
            let server_info = &[];
            let context = Context { addressee, address, anonymous, archive, rights, server_info, now_s: 0, up_s: 0 };
            features(&context).any(|advertised| advertised == feature)
        };
        let account = Addressee::OwnAccount;
        assert!(archive::FEATURES.iter().all(|feature| has(account, true, feature)));
        assert!(!archive::FEATURES.iter().any(|feature| has(Addressee::Server, true, feature)));
        assert!(has(Addressee::Server, true, namespaces::RETRACTION) && has(account, true, namespaces::STANZA_IDS));
        let without = |(feature, ..): &(&str, &str, bool)| {
            !has(account, false, feature) && !has(Addressee::Server, false, feature)
        };
        assert!(ARCHIVE.iter().all(without));
    }
}
