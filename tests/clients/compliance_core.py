"""The rows of the Core suite of XEP-0479."""

import asyncio

from people import PATIENCE, Person, befriend, refused, run


async def core_features_rfc_6120():
    romeo = await Person("romeo", "orchard").online()
    juliet = await Person("juliet", "balcony").online()
    assert romeo.boundjid.full == "romeo@localhost/orchard"
    assert romeo.plugin["feature_mechanisms"].mech.name.startswith("SCRAM-SHA-"), romeo.plugin["feature_mechanisms"].mech.name
    # Messages, presence and questions.
    romeo.send_message("juliet@localhost/balcony", "wherefore <art> thou & who, ü?", mtype="chat")
    message = await juliet.next("message")
    assert message["body"] == "wherefore <art> thou & who, ü?" and message["from"].full == romeo.boundjid.full
    await romeo.plugin["xep_0199"].ping("juliet@localhost/balcony", timeout=PATIENCE)
    await refused(romeo.plugin["xep_0199"].ping("juliet@localhost/tomb", timeout=PATIENCE), "service-unavailable")
    await refused(romeo.plugin["xep_0199"].ping("rosaline@localhost", timeout=PATIENCE), "service-unavailable")
    await refused(romeo.plugin["xep_0199"].ping("nowhere.example", timeout=PATIENCE), "remote-server-not-found")
    # A resource is taken over, and a stream closed in order.
    juliet.listen("stream_error")
    again = await Person("juliet", "balcony").online()
    assert (await juliet.next("stream_error"))["condition"] == "conflict"
    await again.disconnect()
    # A wrong password.
    stranger = Person("romeo", "street", password="guess")
    stranger.listen("failed_auth")
    login = asyncio.ensure_future(stranger.log_in())
    assert (await stranger.next("failed_auth"))["condition"] == "not-authorized"
    login.cancel()


async def core_tls_rfc_7590():
    romeo = await Person("romeo", "orchard").online()
    tls = romeo.transport.get_extra_info("ssl_object")
    assert tls.version() in ("TLSv1.2", "TLSv1.3"), tls.version()
    name, _, bits = tls.cipher()
    assert bits >= 128 and ("GCM" in name or "CHACHA20" in name), name


async def core_direct_tls_xep_0368():
    romeo = await Person("romeo", "orchard", direct=True).online()
    juliet = await Person("juliet", "balcony", direct=True).online()
    assert romeo.transport.get_extra_info("ssl_object").selected_alpn_protocol() in (None, "xmpp-client")
    romeo.send_message("juliet@localhost", "hello", mtype="chat")
    assert (await juliet.next("message"))["body"] == "hello"


async def core_feature_discovery_xep_0030():
    romeo = await Person("romeo", "orchard").online()
    juliet = await Person("juliet", "balcony").online()
    disco = romeo.plugin["xep_0030"]
    server = (await disco.get_info("localhost", timeout=PATIENCE))["disco_info"]
    assert ("server", "im") in {identity[:2] for identity in server["identities"]}
    assert {f"http://jabber.org/protocol/disco#{what}" for what in ("info", "items")} <= set(server["features"])
    await disco.get_items("localhost", timeout=PATIENCE)
    await refused(disco.get_info("localhost", node="urn:example:nothing", timeout=PATIENCE), "item-not-found")
    account = (await disco.get_info("romeo@localhost", timeout=PATIENCE))["disco_info"]
    assert ("account", "registered") in {identity[:2] for identity in account["identities"]}
    # Clients tell for themselves, accounts of others nothing to who is no contact.
    client = (await disco.get_info(juliet.boundjid.full, timeout=PATIENCE))["disco_info"]
    assert "urn:xmpp:ping" in client["features"]
    await refused(disco.get_info("juliet@localhost", timeout=PATIENCE), "service-unavailable")
    await refused(disco.get_info("rosaline@localhost", timeout=PATIENCE), "service-unavailable")


async def core_feature_broadcasts_xep_0115():
    romeo = await Person("romeo", "orchard", "xep_0115").online()
    juliet = await Person("juliet", "balcony", "xep_0115", "xep_0092").online()
    romeo.listen("entity_caps")
    await befriend(romeo, juliet)
    await juliet.plugin["xep_0115"].update_caps(broadcast=False)
    juliet.send_presence()
    while (await romeo.next("entity_caps"))["from"] != juliet.boundjid.full:
        pass
    known = None
    while known is None:
        # What was broadcast is asked for once, and verified against the hash.
        await romeo.settled()
        known = await romeo.plugin["xep_0115"].get_caps(juliet.boundjid.full)
    assert "jabber:iq:version" in known["features"]


async def core_event_publishing_xep_0163():
    romeo = await person_who_follows("romeo", "orchard")
    juliet = await person_who_follows("juliet", "balcony")
    nurse = await person_who_follows("nurse", "kitchen")
    identities = (await juliet.plugin["xep_0030"].get_info("juliet@localhost", timeout=PATIENCE))["disco_info"]
    assert ("pubsub", "pep") in {identity[:2] for identity in identities["identities"]}
    await befriend(romeo, juliet)
    await juliet.plugin["xep_0107"].publish_mood("happy", "at last")
    for person in (romeo, juliet):
        event = await person.next("user_mood_publish")
        assert event["from"].bare == "juliet@localhost", event
        assert event["pubsub_event"]["items"]["item"]["mood"]["value"] == "happy", event
    # Who comes later gets the last one, who is no contact none, and may not look.
    street = await person_who_follows("romeo", "street")
    assert (await street.next("user_mood_publish"))["from"].bare == "juliet@localhost"
    node = "http://jabber.org/protocol/mood"
    found = await romeo.plugin["xep_0060"].get_items("juliet@localhost", node, timeout=PATIENCE)
    assert len(found["pubsub"]["items"]) == 1 and "at last" in str(found), found
    for stranger in ("juliet@localhost", "rosaline@localhost"):
        await refused(nurse.plugin["xep_0060"].get_items(stranger, node, timeout=PATIENCE), "service-unavailable")
    await nurse.settled()
    assert not nurse.has_next("user_mood_publish")


async def person_who_follows(name, resource):
    """Online, and notified of moods."""
    person = Person(name, resource, "xep_0060", "xep_0107", "xep_0115", "xep_0163")
    person.listen("user_mood_publish")
    await person.log_in()
    await person.get_roster(timeout=PATIENCE)
    await person.plugin["xep_0115"].update_caps(broadcast=False)
    person.send_presence()
    await person.settled()
    return person


if __name__ == "__main__":
    run(globals())
