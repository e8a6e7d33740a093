//! Blocking as in the examples of XEP-0191 and XEP-0377.

use rondel_storage::{Family, Operation};

use super::super::delivery::{MessageType, PresenceType};
use super::super::reporting::Reason;
use super::*;

const LIMITS: BlockingLimits =
    BlockingLimits { jids_max: 3, report: ReportLimits { text_bytes_max: 100, messages_max: 2 } };

fn owner() -> Owner {
    Owner::parse("juliet@capulet.com").unwrap()
}

fn juliet() -> Jid<'static> {
    Jid::parse("juliet@capulet.com/chamber").unwrap()
}

fn parse(kind: IqType, xml: &str) -> Result<Request, Refusal> {
    Request::parse(kind, &Element::parse(xml.as_bytes()).unwrap(), &LIMITS)
}

/// A request of type `set` with these addresses.
fn request(name: &str, jids: &[&str]) -> Request {
    let items: String = jids.iter().map(|jid| format!("<item jid='{jid}'/>")).collect();
    parse(IqType::Set, &format!("<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>")).unwrap()
}

fn change(list: &[&str], request: Request) -> Change {
    Blocklist::from_iter(list).change(&owner(), request, 7, &LIMITS).unwrap().unwrap()
}

fn written(element: &Element) -> String {
    let mut out = Vec::new();
    element.write_to(&mut out, ns::CLIENT);
    String::from_utf8(out).unwrap()
}

/// The keys that are put and deleted, without the owner.
fn operations(change: &Change) -> Vec<String> {
    let rest = |key: &[u8]| {
        let prefix = Family::Blocks.key(&owner(), b"").len();
        String::from_utf8(key[prefix..].to_vec()).unwrap()
    };
    let operations = change.write.iter().flat_map(|write| write.operations());
    let shown = operations.map(|operation| match operation {
        Operation::Put(Family::Blocks, key, _) => format!("+{}", rest(key)),
        Operation::Delete(Family::Blocks, key) => format!("-{}", rest(key)),
        Operation::DeleteRange(Family::Blocks, from, _) => format!("-{}*", rest(from)),
        other => panic!("{other:?}"),
    });
    shown.collect()
}

#[test]
fn the_list_is_told() {
    // Examples 3 to 5.
    assert_eq!(parse(IqType::Get, "<blocklist xmlns='urn:xmpp:blocking'/>"), Ok(Request::List));
    let list = Blocklist::from_iter(["romeo@montague.net", "iago@shakespeare.lit"]);
    assert_eq!(
        written(&list.to_element()),
        "<blocklist xmlns='urn:xmpp:blocking'><item jid='iago@shakespeare.lit'/>\
         <item jid='romeo@montague.net'/></blocklist>"
    );
    assert_eq!(written(&Blocklist::default().to_element()), "<blocklist xmlns='urn:xmpp:blocking'/>");
    assert_eq!(list.change(&owner(), Request::List, 7, &LIMITS), Ok(None));
}

#[test]
fn an_address_is_blocked() {
    // Examples 6 to 8.
    let change = change(&["iago@shakespeare.lit"], request("block", &["Romeo@montague.net", "iago@shakespeare.lit"]));
    assert_eq!(change.list, Blocklist::from_iter(["iago@shakespeare.lit", "romeo@montague.net"]));
    assert_eq!(operations(&change), ["+romeo@montague.net"]);
    assert_eq!(
        written(&change.push),
        "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/><item jid='iago@shakespeare.lit'/></block>"
    );
    assert_eq!(change.reports, []);
}

#[test]
fn blocking_twice_changes_nothing() {
    let change = change(&["romeo@montague.net"], request("block", &["romeo@montague.net", "romeo@montague.net"]));
    assert_eq!((change.list.len(), &change.write), (1, &None));
    let push = "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/></block>";
    assert_eq!(written(&change.push), push);
    let before = Blocklist::from_iter(["romeo@montague.net"]);
    assert_eq!(change.presence(&juliet(), &before, ["romeo@montague.net"]), []);
}

#[test]
fn an_address_is_unblocked() {
    // Examples 10 to 12.
    let change = change(&["a@b", "romeo@montague.net"], request("unblock", &["romeo@montague.net", "c@d"]));
    assert_eq!(change.list, Blocklist::from_iter(["a@b"]));
    assert_eq!(operations(&change), ["-romeo@montague.net"]);
    assert!(written(&change.push).starts_with("<unblock xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/>"));
}

#[test]
fn all_are_unblocked() {
    // Examples 13 to 15.
    let all = change(&["a@b", "romeo@montague.net"], request("unblock", &[]));
    assert_eq!((all.list.is_empty(), all.list.allocated_bytes()), (true, 0));
    assert_eq!(operations(&all), ["-*"]);
    assert_eq!(written(&all.push), "<unblock xmlns='urn:xmpp:blocking'/>");
    assert_eq!(change(&[], request("unblock", &[])).write, None);
}

#[test]
fn what_is_malformed_is_refused() {
    let set = |xml: &str| parse(IqType::Set, xml).unwrap_err().condition;
    assert_eq!(set("<block xmlns='urn:xmpp:blocking'/>"), "bad-request");
    assert_eq!(set("<block xmlns='urn:xmpp:blocking'><item/></block>"), "bad-request");
    assert_eq!(set("<block xmlns='urn:xmpp:blocking'><jid xmlns='a:b' jid='a@b'/></block>"), "bad-request");
    assert_eq!(set("<block xmlns='urn:xmpp:blocking'><item jid='a@b'/><item jid='@'/></block>"), "jid-malformed");
    assert_eq!(set("<unblock xmlns='urn:xmpp:blocking'><item jid='a@b@c'/></unblock>"), "jid-malformed");
    assert_eq!(set("<blocklist xmlns='urn:xmpp:blocking'/>"), "bad-request");
    assert_eq!(parse(IqType::Get, "<block xmlns='urn:xmpp:blocking'/>").unwrap_err().condition, "bad-request");
}

#[test]
fn lists_have_a_limit() {
    let four = "<item jid='a@b'/><item jid='c@d'/><item jid='e@f'/><item jid='g@h'/>";
    let xml = format!("<block xmlns='urn:xmpp:blocking'>{four}</block>");
    assert_eq!(parse(IqType::Set, &xml).unwrap_err().condition, "policy-violation");
    let list = Blocklist::from_iter(["a@b", "c@d"]);
    let too_many = list.change(&owner(), request("block", &["e@f", "g@h"]), 7, &LIMITS);
    assert_eq!(too_many.unwrap_err().condition, "policy-violation");
    assert_eq!(change(&["a@b", "c@d"], request("block", &["e@f"])).list.len(), 3);
    // A limit that was lowered does not keep anybody from unblocking.
    let long = ["a@b", "c@d", "e@f", "g@h", "i@j"];
    assert_eq!(change(&long, request("unblock", &["a@b"])).list.len(), 4);
}

#[test]
fn a_block_may_bring_a_report() {
    // XEP-0377, Example 5, and a report that makes no sense.
    let xml = "<block xmlns='urn:xmpp:blocking'>
        <item jid='romeo@example.net'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'/></item>
        <item jid='iago@example.net'><report xmlns='urn:xmpp:reporting:1'/></item>
        </block>";
    let change = change(&[], parse(IqType::Set, xml).unwrap());
    assert_eq!(change.list.len(), 2);
    let reported: Vec<_> = change.reports.iter().map(|(jid, report)| (jid.as_str(), &report.reason)).collect();
    assert_eq!(reported, [("romeo@example.net", &Reason::Abuse)]);
    // The report is nothing for the account's other clients.
    assert!(!written(&change.push).contains("report"));
}

/// §6, row by row: what stands in the list, and what it matches.
#[test]
fn addresses_match() {
    for (entry, matched, others) in [
        ("a@b/c", &["a@b/c"][..], &["a@b", "a@b/d", "b", "b/c", "d@b/c"][..]),
        ("a@b", &["a@b", "a@b/c"], &["b", "b/c", "c@b", "a@b.c"]),
        ("b/c", &["b/c"], &["b", "b/d", "a@b", "a@b/c"]),
        ("b", &["b", "b/c", "a@b", "a@b/c"], &["a.b", "a@a.b", "b.a"]),
    ] {
        let list = Blocklist::from_iter(["0@0", entry, "z@z"]);
        for address in matched {
            assert!(list.matches(&Jid::parse(address).unwrap()), "{entry} matches {address}");
        }
        for address in others {
            assert!(!list.matches(&Jid::parse(address).unwrap()), "{entry} does not match {address}");
        }
    }
    assert!(!Blocklist::default().matches(&juliet()));
}

#[test]
fn an_account_never_blocks_itself_or_its_server() {
    let list = Blocklist::from_iter(["capulet.com", "juliet@capulet.com", "juliet@capulet.com/balcony"]);
    let blocks = |other: &str| list.blocks(&juliet(), &Jid::parse(other).unwrap());
    assert!(!blocks("juliet@capulet.com/balcony") && !blocks("juliet@capulet.com") && !blocks("capulet.com"));
    assert!(blocks("nurse@capulet.com") && blocks("capulet.com/announce"));
    assert!(!blocks("romeo@montague.net"));
}

/// §3.3: what becomes of each kind of stanza from somebody who is blocked.
#[test]
fn stanzas_from_the_blocked() {
    use Inbound::*;
    for (kind, expected) in [
        (StanzaKind::Message(MessageType::Chat), Refuse),
        (StanzaKind::Message(MessageType::Groupchat), Refuse),
        (StanzaKind::Message(MessageType::Error), Drop),
        (StanzaKind::Presence(PresenceType::Available), Drop),
        (
            StanzaKind::Presence(PresenceType::Subscription(crate::account::subscription::SubscriptionType::Subscribe)),
            Drop,
        ),
        (StanzaKind::Presence(PresenceType::Probe), Drop),
        (StanzaKind::Iq(IqType::Get), Refuse),
        (StanzaKind::Iq(IqType::Set), Refuse),
        (StanzaKind::Iq(IqType::Result), Drop),
        (StanzaKind::Iq(IqType::Error), Drop),
    ] {
        assert_eq!(Inbound::of(kind), expected, "{kind:?}");
    }
}

#[test]
fn stanzas_to_the_blocked_come_back() {
    // Example 9.
    assert_eq!(
        written(&outbound_refusal().to_element()),
        "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <blocked xmlns='urn:xmpp:blocking:errors'/></error>"
    );
}

#[test]
fn presence_goes_and_comes() {
    let due = |before: &[&str], request: Request, viewers: &[&'static str]| {
        let change = change(before, request);
        let (before, juliet) = (Blocklist::from_iter(before), juliet());
        let due = change.presence(&juliet, &before, viewers.iter().copied());
        due.into_iter().map(|due| (due.to, due.is_available)).collect::<Vec<_>>()
    };
    let viewers = ["romeo@montague.net", "benvolio@montague.net", "nurse@capulet.com"];
    let gone = |to: &str| (to.to_owned(), false);
    let back = |to: &str| (to.to_owned(), true);
    assert_eq!(due(&[], request("block", &["romeo@montague.net", "a@b"]), &viewers), [gone("romeo@montague.net")]);
    let both = [gone("romeo@montague.net"), gone("benvolio@montague.net")];
    assert_eq!(due(&[], request("block", &["montague.net"]), &viewers), both);
    // One resource only.
    let resource = request("block", &["romeo@montague.net/orchard"]);
    assert_eq!(due(&[], resource.clone(), &viewers), [gone("romeo@montague.net/orchard")]);
    assert_eq!(due(&["montague.net"], resource, &viewers), []);
    // Who was blocked already does not hear of it again, and who stays blocked does not hear of the other.
    assert_eq!(due(&["montague.net"], request("block", &["romeo@montague.net"]), &viewers), []);
    assert_eq!(due(&["montague.net", "romeo@montague.net"], request("unblock", &["romeo@montague.net"]), &viewers), []);
    assert_eq!(
        due(&["romeo@montague.net"], request("unblock", &["romeo@montague.net"]), &viewers),
        [back("romeo@montague.net")]
    );
    assert_eq!(due(&["nurse@capulet.com", "a@b"], request("unblock", &[]), &viewers), [back("nurse@capulet.com")]);
    let resource = request("unblock", &["romeo@montague.net/orchard"]);
    assert_eq!(due(&["romeo@montague.net/orchard"], resource, &viewers), [back("romeo@montague.net/orchard")]);
    assert_eq!(due(&["capulet.com"], request("unblock", &[]), &["juliet@capulet.com"]), []);
}
