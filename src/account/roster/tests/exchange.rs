//! Subscription stanzas: what is kept, shown and refused.

use super::SubscriptionType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
use super::*;
use crate::account::subscription::{Grant, Passage};

const ROMEO: &str = "romeo@example.net";
const REQUEST: &str = "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'><status>I</status>\
    </presence>";

fn pending(home: &Home) -> Option<String> {
    let roster = home.roster();
    let item = roster.items().iter().find(|stored| stored.contact() == ROMEO)?.item();
    item.pending_in.clone().map(|stanza| String::from_utf8(stanza).unwrap())
}

/// §3.1, from either side, and §3.2.
#[test]
fn a_subscription_from_request_to_cancellation() {
    let mut home = Home::new();
    let (step, push) = home.sends(Subscribe, "romeo@example.net/orchard").unwrap();
    assert_eq!(step.passage, Passage::Route);
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='none' ask='subscribe'/>");

    let (step, push) = home.receives(Subscribed, ROMEO, "<presence/>");
    assert_eq!(step.passage, Passage::ToInterested);
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='to'/>");

    let (step, push) = home.receives(Subscribe, "romeo@example.net/orchard", REQUEST);
    assert_eq!((step.passage, push), (Passage::ToAvailable, None));
    assert_eq!(pending(&home).as_deref(), Some(REQUEST));

    let (_, push) = home.sends(Subscribed, ROMEO).unwrap();
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='both'/>");
    assert_eq!(pending(&home), None);

    let (_, push) = home.receives(Unsubscribed, ROMEO, "<presence/>");
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='from'/>");
    let (_, push) = home.sends(Unsubscribed, ROMEO).unwrap();
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='none'/>");
}

/// §3.1.3, rule 4: one request of each is kept, until it is answered, whatever else goes on.
#[test]
fn a_request_waits_until_it_is_answered() {
    let mut home = Home::new();
    home.receives(Subscribe, ROMEO, REQUEST);
    assert_eq!(home.receives(Subscribe, ROMEO, "<presence>again</presence>").0.passage, Passage::Stop);
    home.set("<item jid='romeo@example.net' name='Romeo'/>").unwrap();
    home.sends(Subscribe, ROMEO).unwrap();
    home.receives(Subscribed, ROMEO, "<presence>granted</presence>");
    home.receives(Unsubscribed, ROMEO, "<presence>cancelled</presence>");
    assert_eq!(pending(&home).as_deref(), Some(REQUEST));
    assert!(home.contacts.requests().eq([ROMEO]));

    home.sends(Unsubscribed, ROMEO).unwrap();
    assert_eq!(pending(&home), None);
    home.receives(Subscribe, ROMEO, REQUEST);
    home.receives(Unsubscribe, ROMEO, "<presence/>");
    assert_eq!(pending(&home), None);
}

/// §3.1.3, security warning; §3.3.3: of a stranger whose request has ended nothing is left.
#[test]
fn a_stranger_is_not_in_the_roster() {
    for ends in [Unsubscribed, Unsubscribe] {
        let mut home = Home::new();
        home.receives(Subscribe, ROMEO, REQUEST);
        let whole = home.get(None);
        assert_eq!(whole, Answer::Whole(query("").with_attribute("ver", "0")));
        let (step, push) = match ends {
            Unsubscribed => home.sends(Unsubscribed, ROMEO).unwrap(),
            _ => home.receives(Unsubscribe, ROMEO, "<presence/>"),
        };
        assert!(step.passage != Passage::Stop && push.is_none());
        assert!(home.roster().items().is_empty() && home.roster().version() == 0);
    }
}

#[test]
fn requests_of_strangers_are_limited() {
    let mut home = Home::new();
    home.set("<item jid='contact@example.net'/>").unwrap();
    for index in 0..LIMITS.requests_max {
        home.receives(Subscribe, &format!("stranger-{index}@example.net"), REQUEST);
    }
    let (step, _) = home.receives(Subscribe, ROMEO, REQUEST);
    assert_eq!((step.passage, step.reply, step.state.from), (Passage::Stop, None, Grant::Absent));
    assert_eq!(pending(&home), None);
    // A contact is none.
    assert_eq!(home.receives(Subscribe, "contact@example.net", REQUEST).0.passage, Passage::ToAvailable);
}

#[test]
fn of_a_large_request_the_addresses_are_kept() {
    let mut home = Home::new();
    home.receives(Subscribe, ROMEO, &format!("<presence>{}</presence>", "x".repeat(200)));
    let kept = "<presence type='subscribe' from='romeo@example.net' to='juliet@example.com'/>";
    assert_eq!(pending(&home).as_deref(), Some(kept));
}

/// §3.4.
#[test]
fn a_request_is_approved_before_it_comes() {
    let mut home = Home::new();
    let (step, push) = home.sends(Subscribed, ROMEO).unwrap();
    assert_eq!(step.passage, Passage::Stop);
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='none' approved='true'/>");

    let (step, push) = home.receives(Subscribe, ROMEO, REQUEST);
    assert_eq!((step.passage, step.reply), (Passage::Stop, Some(Subscribed)));
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='from' approved='true'/>");
    assert_eq!(pending(&home), None);

    let (_, push) = home.sends(Unsubscribed, ROMEO).unwrap();
    assert_eq!(item(&push.unwrap()), "<item jid='romeo@example.net' subscription='none'/>");
}

#[test]
fn nobody_subscribes_to_oneself() {
    let mut home = Home::new();
    for kind in [Subscribe, Subscribed, Unsubscribe, Unsubscribed] {
        assert_eq!(home.sends(kind, "juliet@example.com/x"), Err(StanzaCondition::NotAllowed));
        assert_eq!(home.receives(kind, "juliet@example.com", "<presence/>").0.passage, Passage::Stop);
    }
    assert!(home.contacts.is_empty());
}

/// What has changed on disk meanwhile counts, not what memory said when the stanza came.
#[test]
fn the_stored_item_decides() {
    let mut home = Home::new();
    home.sends(Subscribe, ROMEO).unwrap();
    let romeo = Jid::parse(ROMEO).unwrap();
    let opened = inbound(&home.account, &home.contacts, &romeo, Subscribed, b"", &LIMITS);
    let Opened::Read(exchange) = opened else { panic!("{opened:?}") };
    home.sends(Unsubscribe, ROMEO).unwrap();
    let stored = home.stored(exchange.read(&home.account), exchange.contact());
    let settled = exchange.with_stored(&home.account, stored.as_ref(), &home.contacts, 5);
    assert_eq!(settled.step.passage, Passage::Stop);
    assert!(settled.change.is_none());
}
