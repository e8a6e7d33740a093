//! Dialogues as they are printed in the specifications: what the server sends, what the client answers.

use super::*;

const FEATURES_SASL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>";

fn account(user: &str, former: Option<Former>) -> Account {
    Account { user: user.to_owned(), password: "pencil".to_owned(), resource: "rp1".to_owned(), former }
}

fn client(starttls: bool, (mechanism, sasl2): (Mechanism, bool)) -> Negotiation {
    let plan = Plan { domain: "localhost".to_owned(), starttls, mechanism, sasl2 };
    let account = account("u<1", None);
    Negotiation::new(Arc::new(plan), account, "nonce".to_owned())
}

fn says(client: &mut Negotiation, stanza: &str) -> Result<(String, Next), String> {
    let outcome = client.on(&Piece::Stanza(stanza.as_bytes()), &SaltedPasswords::default())?;
    Ok((String::from_utf8(outcome.send).unwrap(), outcome.next))
}

#[test]
fn starttls_then_plain_then_bind_with_session() {
    let mut client = client(true, (Mechanism::Plain, false));
    assert!(client.open().starts_with(b"<?xml version='1.0'?><stream:stream to='localhost'"));
    let (sent, _) = says(
        &mut client,
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
    )
    .unwrap();
    assert_eq!(sent, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    let (_, next) = says(&mut client, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").unwrap();
    assert_eq!(next, Next::StartTls);
    client.open();
    let (sent, _) = says(&mut client, FEATURES_SASL).unwrap();
    assert!(sent.ends_with(">AHU8MQBwZW5jaWw=</auth>"), "{sent}");
    let (sent, next) = says(&mut client, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").unwrap();
    assert_eq!((sent.contains("<stream:stream"), next), (true, Next::RestartStream));
    let (sent, _) = says(
        &mut client,
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
         <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></stream:features>",
    )
    .unwrap();
    assert!(sent.contains("<resource>rp1</resource>") && sent.contains("id='session'"), "{sent}");
    let bound = "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                 <jid>u1@localhost/rp1</jid></bind></iq>";
    assert_eq!(says(&mut client, bound).unwrap().1, Next::Continue);
    let (_, next) = says(&mut client, "<iq type='result' id='session'/>").unwrap();
    assert_eq!(next, Next::Ready("u1@localhost/rp1".to_owned()));
    assert_eq!(client.round_trips(), 4);
}

/// The exchange of RFC 5802 §5 carried by SASL2: three round trips and the session is bound.
#[test]
fn sasl2_binds_in_three_round_trips() {
    let plan = Plan { domain: "localhost".to_owned(), starttls: false, mechanism: Mechanism::ScramSha1, sasl2: true };
    let account = account("user", None);
    let mut client = Negotiation::new(Arc::new(plan), account, "fyko+d2lbbFgONRv9qkxdawL".to_owned());
    client.open();
    let features = "<stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-1</mechanism>\
                    <inline><bind xmlns='urn:xmpp:bind:0'/></inline></authentication></stream:features>";
    let (sent, _) = says(&mut client, features).unwrap();
    assert!(sent.contains("mechanism='SCRAM-SHA-1'") && sent.contains("<tag>rp1</tag>"), "{sent}");
    let encode = |text: &str| STANDARD.encode(text);
    let challenge = encode("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    let (sent, _) = says(&mut client, &format!("<challenge xmlns='urn:xmpp:sasl:2'>{challenge}</challenge>")).unwrap();
    let answer = encode("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    assert_eq!(sent, format!("<response xmlns='urn:xmpp:sasl:2'>{answer}</response>"));
    let data = encode("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    let success = format!(
        "<success xmlns='urn:xmpp:sasl:2'><additional-data>{data}</additional-data><authorization-identifier>\
         user@localhost/rp1.x</authorization-identifier><bound xmlns='urn:xmpp:bind:0'/></success>"
    );
    assert_eq!(says(&mut client, &success).unwrap().1, Next::Ready("user@localhost/rp1.x".to_owned()));
    assert_eq!(client.round_trips(), 3);
}

/// A client that has to resume a session, with a mechanism that takes one message.
fn returning(sasl2: bool) -> Negotiation {
    let plan = Plan { domain: "localhost".to_owned(), starttls: false, mechanism: Mechanism::Plain, sasl2 };
    let former = Former { id: "some-id".to_owned(), handled: 7 };
    let mut client = Negotiation::new(Arc::new(plan), account("user", Some(former)), "nonce".to_owned());
    client.open();
    client
}

const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' previd='some-id' h='7'/>";
const RESUMED: &str = "<resumed xmlns='urn:xmpp:sm:3' previd='some-id' h='3'/>";
const FAILED: &str = "<failed xmlns='urn:xmpp:sm:3' h='3'><item-not-found \
    xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";

#[test]
fn a_session_is_resumed_in_place_of_binding() {
    for (answer, next) in [(RESUMED, Ok(Next::Resumed(3))), (FAILED, Err("item-not-found"))] {
        let mut client = returning(false);
        says(&mut client, FEATURES_SASL).unwrap();
        says(&mut client, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").unwrap();
        let features = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
                        <sm xmlns='urn:xmpp:sm:3'/></stream:features>";
        assert_eq!(says(&mut client, features).unwrap().0, RESUME);
        match (says(&mut client, answer), next) {
            (Ok((_, got)), Ok(next)) => assert_eq!(got, next),
            (Err(error), Err(reason)) => assert!(error.ends_with(reason), "{error}"),
            (got, next) => panic!("{got:?} in place of {next:?}"),
        }
    }
}

#[test]
fn sasl2_resumes_inline() {
    for (answer, next) in [(RESUMED, Ok(Next::Resumed(3))), (FAILED, Err("item-not-found")), ("", Err("success"))] {
        let mut client = returning(true);
        let features = "<stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism>\
                        </authentication></stream:features>";
        let (sent, _) = says(&mut client, features).unwrap();
        assert!(sent.contains(RESUME) && !sent.contains("<bind"), "{sent}");
        let success = format!(
            "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>user@localhost/rp1\
             </authorization-identifier>{answer}</success>"
        );
        match (says(&mut client, &success), next) {
            (Ok((_, got)), Ok(next)) => assert_eq!(got, next),
            (Err(error), Err(reason)) => assert!(error.ends_with(reason), "{error}"),
            (got, next) => panic!("{got:?} in place of {next:?}"),
        }
    }
}

#[test]
fn success_without_the_signature_of_the_server_is_refused() {
    let mut client = client(false, (Mechanism::ScramSha1, false));
    client.open();
    says(&mut client, FEATURES_SASL).unwrap();
    let error = says(&mut client, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").unwrap_err();
    assert!(error.contains("without its SCRAM signature"), "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    let required =
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
    for (starttls, how, stanza, reason) in [
        (false, (Mechanism::Plain, false), required, "use --tls starttls"),
        (true, (Mechanism::Plain, false), FEATURES_SASL, "does not offer STARTTLS"),
        (false, (Mechanism::ScramSha512, false), FEATURES_SASL, "only PLAIN, SCRAM-SHA-1"),
        (false, (Mechanism::Plain, true), FEATURES_SASL, "leave out --sasl2"),
        (false, (Mechanism::Plain, false), "<message/>", "<message/>"),
        (
            false,
            (Mechanism::Plain, false),
            "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            "ended the stream: conflict",
        ),
    ] {
        let mut client = client(starttls, how);
        client.open();
        let error = says(&mut client, stanza).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
