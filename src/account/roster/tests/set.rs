//! Roster sets: every rule and every error of RFC 6121 §2.1 to §2.5.

use super::*;
use crate::account::subscription::ContactGets;

fn errors(rows: &[(&str, StanzaCondition)]) {
    for (items, expected) in rows {
        let mut home = Home::new();
        home.set("<item jid='romeo@example.net' name='Romeo'/>").unwrap();
        let before = home.store.clone();
        assert_eq!(home.set(items), Err(*expected), "{items}");
        assert_eq!(home.store, before, "{items}");
    }
}

#[test]
fn an_item_is_added_and_pushed() {
    let mut home = Home::new();
    let (push, farewell) =
        home.set("<item jid='Nurse@Example.COM' name='Nurse'><group>Servants</group></item>").unwrap();
    let expected = "<item jid='nurse@example.com' name='Nurse' subscription='none'><group>Servants</group></item>";
    assert_eq!(item(&push), expected);
    assert_eq!((push.name.as_str(), push.attribute("ver")), ("query", Some("f4240")));
    assert_eq!(farewell, None);
}

/// §2.4: the item becomes exactly what the set says, and what belongs to the server stays.
#[test]
fn an_item_is_replaced_and_its_subscription_stays() {
    let mut home = Home::new();
    home.set("<item jid='romeo@example.net' name='Romeo'><group>Friends</group></item>").unwrap();
    home.sends(SubscriptionType::Subscribe, "romeo@example.net").unwrap();
    home.sends(SubscriptionType::Subscribed, "romeo@example.net").unwrap();
    let changes = [
        (
            "<item jid='romeo@example.net' name='Romeo'><group>Friends</group><group>Lovers</group></item>",
            "name='Romeo' subscription='none' ask='subscribe' approved='true'><group>Friends</group>\
                <group>Lovers</group></item>",
        ),
        ("<item jid='romeo@example.net'/>", "subscription='none' ask='subscribe' approved='true'/>"),
        (
            "<item jid='romeo@example.net' name='MyRomeo' subscription='both' ask='x' approved='false'/>",
            "name='MyRomeo' subscription='none' ask='subscribe' approved='true'/>",
        ),
        ("<item jid='romeo@example.net' name=''/>", "subscription='none' ask='subscribe' approved='true'/>"),
    ];
    for (set, expected) in changes {
        assert_eq!(item(&home.set(set).unwrap().0), format!("<item jid='romeo@example.net' {expected}"));
    }
}

/// §2.3.3 and §2.1.5.
#[test]
fn what_is_wrong_has_its_error() {
    use StanzaCondition::*;
    errors(&[
        ("", BadRequest),
        ("<item jid='nurse@example.com'/><item jid='mother@example.com'/>", BadRequest),
        ("<item xmlns='urn:x' jid='nurse@example.com'/>", BadRequest),
        ("<item name='Nurse'/>", BadRequest),
        ("<item jid='nurse @example.com'/>", JidMalformed),
        ("<item jid=''/>", JidMalformed),
        ("<item jid='nurse@example.com'><group>a</group><group>a</group></item>", BadRequest),
        // The same letter, composed and decomposed.
        ("<item jid='nurse@example.com'><group>\u{e4}</group><group>a\u{308}</group></item>", BadRequest),
        ("<item jid='nurse@example.com' name='0123456789abc'/>", NotAcceptable),
        ("<item jid='nurse@example.com'><group/></item>", NotAcceptable),
        ("<item jid='nurse@example.com'><group>0123456789a</group></item>", NotAcceptable),
        (
            "<item jid='nurse@example.com'><group>a</group><group>b</group><group>c</group><group>d</group></item>",
            NotAcceptable,
        ),
        ("<item jid='juliet@example.com'/>", NotAllowed),
        ("<item jid='JULIET@example.com'/>", NotAllowed),
        ("<item jid='nurse@example.com/balcony'/>", BadRequest),
        ("<item jid='juliet@example.com/balcony'/>", BadRequest),
    ]);
}

#[test]
fn what_just_fits_is_taken() {
    let mut home = Home::new();
    let groups = "<group>0123456789</group><group>b</group><group>B</group>";
    home.set(&format!("<item jid='nurse@example.com' name='0123456789ab'>{groups}</item>")).unwrap();
    home.set("<item jid='gateway.example.com'/>").unwrap();
}

/// §2.5.3.
#[test]
fn what_is_not_there_cannot_be_removed() {
    let remove = |jid: &str| format!("<item jid='{jid}' subscription='remove'/>");
    let (unknown, full, own) =
        (remove("nurse@example.com"), remove("romeo@example.net/x"), remove("juliet@example.com"));
    let expected = StanzaCondition::ItemNotFound;
    errors(&[(&unknown, expected), (&full, expected), (&own, expected)]);

    // Who only asks is not in the roster.
    let mut home = Home::new();
    home.receives(SubscriptionType::Subscribe, "nurse@example.com", "<presence/>");
    assert_eq!(home.set(&unknown), Err(expected));
}

#[test]
fn nobody_else_changes_a_roster() {
    assert_eq!(authorize("juliet@example.com", "juliet@example.com"), Ok(()));
    assert_eq!(authorize("romeo@example.net", "juliet@example.com"), Err(StanzaCondition::Forbidden));
}

#[test]
fn contacts_are_limited_and_strangers_do_not_count() {
    let mut home = Home::new();
    home.receives(SubscriptionType::Subscribe, "stranger@example.net", "<presence/>");
    for index in 0..LIMITS.contacts_max {
        home.set(&format!("<item jid='contact-{index}@example.net'/>")).unwrap();
    }
    let full = Err(StanzaCondition::PolicyViolation);
    assert_eq!(home.set("<item jid='nurse@example.com'/>"), full);
    assert_eq!(home.set("<item jid='stranger@example.net'/>"), full);
    let full = StanzaCondition::PolicyViolation;
    assert_eq!(home.sends(SubscriptionType::Subscribe, "nurse@example.com"), Err(full));
    assert_eq!(home.sends(SubscriptionType::Subscribed, "stranger@example.net"), Err(full));
    // What does not add a contact goes on.
    home.set("<item jid='contact-1@example.net' name='One'/>").unwrap();
    home.sends(SubscriptionType::Subscribe, "contact-1@example.net").unwrap();
    home.sends(SubscriptionType::Unsubscribed, "stranger@example.net").unwrap();
    home.set("<item jid='contact-2@example.net' subscription='remove'/>").unwrap();
    home.set("<item jid='nurse@example.com'/>").unwrap();
}

/// §2.5.2.
#[test]
fn an_item_is_removed_and_its_contact_hears_of_it() {
    let mut home = Home::new();
    home.receives(SubscriptionType::Subscribe, "romeo@example.net", "<presence/>");
    home.sends(SubscriptionType::Subscribed, "romeo@example.net").unwrap();
    home.sends(SubscriptionType::Subscribe, "romeo@example.net").unwrap();
    home.receives(SubscriptionType::Subscribed, "romeo@example.net", "");
    let (push, farewell) = home.set("<item jid='Romeo@example.net' subscription='remove'/>").unwrap();
    assert_eq!(item(&push), "<item jid='romeo@example.net' subscription='remove'/>");
    let expected = Farewell { presence: ContactGets::Unavailable, unsubscribe: true, unsubscribed: true };
    assert_eq!(farewell, Some(expected));
    assert!(home.contacts.is_empty() && home.roster().items().is_empty());
}

#[test]
fn an_item_changed_meanwhile_is_not_overwritten() {
    let mut home = Home::new();
    home.set("<item jid='romeo@example.net'/>").unwrap();
    let request =
        set(&home.account, &home.contacts, &query("<item jid='romeo@example.net' name='R'/>"), &LIMITS).unwrap();
    let stored = home.stored(request.read(&home.account), request.contact());
    let outcome = request.with_stored(&home.account, stored.as_ref(), &home.contacts, 5).unwrap();
    home.set("<item jid='romeo@example.net' name='Other'/>").unwrap();
    let [_, Precondition::Equals(family, key, value)] = outcome.change.write.preconditions() else { panic!() };
    assert_ne!(home.store.get(&(*family, key.clone())), Some(value));
}
