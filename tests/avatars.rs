//! Avatars in nodes and photos in vCards, kept alike (XEP-0398), and the hash in presence (XEP-0153).

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::Server;
use common::follower::{Follower, subscribe};
use sha1::{Digest, Sha1};

const DATA: &str = "urn:xmpp:avatar:data";
const METADATA: &str = "urn:xmpp:avatar:metadata";
const CARD: &str = "<vCard xmlns='vcard-temp'/>";

fn server() -> Server {
    let server = Server::start(&["--shards", "2"]);
    server.add_user("romeo");
    server.add_user("juliet");
    server
}

/// An image, in Base64, and its hash.
fn image(name: &str) -> (String, String) {
    let image = format!("\u{89}PNG {name}");
    let hash = Sha1::digest(&image).iter().map(|byte| format!("{byte:02x}")).collect();
    (STANDARD.encode(image), hash)
}

fn publish(node: &str, id: &str, payload: &str, access: &str) -> String {
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='{id}'>{payload}</item>\
         </publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'>\
         <value>{access}</value></field></x></publish-options></pubsub>"
    )
}

/// Publishes an avatar, as a client does. The answer to the second request.
fn publish_avatar(client: &mut Follower, (encoded, hash): &(String, String), access: &str) -> String {
    let data = format!("<data xmlns='{DATA}'>{encoded}</data>");
    let info = format!("<info bytes='8' id='{hash}' type='image/png'/>");
    let metadata = format!("<metadata xmlns='{METADATA}'>{info}</metadata>");
    client.set(None, &publish(DATA, hash, &data, access));
    client.set(None, &publish(METADATA, hash, &metadata, access))
}

fn photo(hash: &str) -> String {
    format!("<x xmlns='vcard-temp:x:update'><photo>{hash}</photo></x>")
}

#[test]
fn what_is_published_is_in_the_vcard_and_in_presence() {
    let server = server();
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[METADATA]);
    subscribe(&mut romeo, &mut juliet);
    juliet.set(None, "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>");
    let first = image("first");
    assert!(publish_avatar(&mut juliet, &first, "open").contains("type='result'"));
    assert!(romeo.event(METADATA).contains(&first.1));
    // Presence of who is online says it at once.
    let heard = romeo.hear("</presence>");
    assert!(heard.contains("from='juliet@localhost/balcony'") && heard.contains(&photo(&first.1)), "{heard}");
    let card = romeo.get(Some("juliet@localhost"), CARD);
    assert!(card.contains(&format!("<BINVAL>{}</BINVAL>", first.0)) && card.contains("<FN>Juliet</FN>"), "{card}");
    // So does presence that comes later, whatever the client says but that it has none.
    let says = [
        ("<status>1</status>".to_owned(), true),
        ("<status>2</status><x xmlns='vcard-temp:x:update'/>".to_owned(), true),
        (format!("<status>3</status>{}", photo("ffff")), true),
        ("<status>4</status><x xmlns='vcard-temp:x:update'><photo/></x>".to_owned(), false),
    ];
    for (content, is_added) in says {
        juliet.say(&format!("<presence>{content}</presence>"));
        let heard = romeo.hear("</presence>");
        assert_eq!(heard.contains(&photo(&first.1)), is_added, "{content}: {heard}");
        assert_eq!(heard.matches("vcard-temp:x:update").count(), 1, "{heard}");
        juliet.say(&format!("<presence to='romeo@localhost/orchard'>{content}</presence>"));
        let heard = romeo.hear("</presence>");
        assert_eq!(heard.contains(&photo(&first.1)), is_added, "directed {content}: {heard}");
    }
    // It outlives the server, and goes when the avatar goes.
    let server = server.kill_and_restart(&["--shards", "2"]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[]);
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    let heard = romeo.hear("</presence>");
    assert!(heard.contains(&photo(&first.1)), "{heard}");
    juliet.set(None, &publish(METADATA, "none", &format!("<metadata xmlns='{METADATA}'/>"), "open"));
    romeo.hear("<photo/>");
    let card = romeo.get(Some("juliet@localhost"), CARD);
    assert!(!card.contains("<PHOTO>") && card.contains("<FN>Juliet</FN>"), "{card}");
}

#[test]
fn what_only_contacts_may_see_is_not_in_the_vcard() {
    let server = server();
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[]);
    assert!(publish_avatar(&mut juliet, &image("mine"), "presence").contains("type='result'"));
    assert!(juliet.get(None, CARD).contains("<item-not-found"));
    juliet.say("<presence><status>here</status></presence>");
    assert!(!juliet.hear("</presence>").contains("vcard-temp:x:update"));
}

#[test]
fn the_photo_of_a_vcard_is_published() {
    let server = server();
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[METADATA]);
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[]);
    let (encoded, hash) = image("card");
    let photo_element = format!("<PHOTO><TYPE>image/png</TYPE><BINVAL>{encoded}</BINVAL></PHOTO>");
    let card = format!("<vCard xmlns='vcard-temp'><FN>Juliet</FN>{photo_element}</vCard>");
    assert!(juliet.set(None, &card).contains("type='result'"));
    let event = juliet.event(METADATA);
    assert!(event.contains(&format!("id='{hash}'")), "{event}");
    juliet.say("<presence><status>here</status></presence>");
    assert!(juliet.hear("here").contains(&photo(&hash)) || juliet.hear("</presence>").contains(&photo(&hash)));
    // The node is open to everybody, as the vCard is.
    let items = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{DATA}'/></pubsub>");
    let answer = romeo.get(Some("juliet@localhost"), &items);
    assert!(answer.contains(&encoded) && answer.contains(&hash), "{answer}");
    // Whoever changes something else in the card publishes nothing.
    juliet.set(None, &card.replace("<FN>Juliet</FN>", "<FN>Juliet Capulet</FN>"));
    assert!(!juliet.round_trip().contains("<event"));
}
