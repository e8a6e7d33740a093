"""The rows of the IM suite of XEP-0479, without group chats and uploads."""

import asyncio

from people import PATIENCE, Person, befriend, refused, run
from slixmpp.exceptions import IqError


async def im_core_features_rfc_6121():
    romeo = await Person("romeo", "orchard", "xep_0203").online()
    juliet = await Person("juliet", "balcony").online()
    phone = await Person("juliet", "phone").online()
    # Contacts: each client hears of changes.
    phone.listen("roster_update")
    await juliet.update_roster("nurse@localhost", name="Nurse", groups=["Household"])
    while not (item := (await phone.next("roster_update"))["roster"]["items"].get("nurse@localhost")):
        pass
    assert item["name"] == "Nurse" and item["groups"] == ["Household"], item
    await juliet.del_roster_item("nurse@localhost")
    while (await phone.next("roster_update"))["roster"]["items"]["nurse@localhost"]["subscription"] != "remove":
        pass
    # Subscriptions and presence.
    await befriend(romeo, juliet)
    assert romeo.client_roster["juliet@localhost"]["subscription"] == "both"
    romeo.listen("changed_status", "got_offline")
    phone.send_presence(pshow="away", pstatus="asleep", ppriority=-1)
    while True:
        presence = await romeo.next("changed_status")
        if presence["from"].resource == "phone" and presence["show"] == "away":
            break
    assert presence["status"] == "asleep"
    # Messages to whoever is there, and to whom comes next.
    romeo.send_message("juliet@localhost", "to all that want it", mtype="chat")
    assert (await juliet.next("message"))["body"] == "to all that want it"
    await phone.settled()
    assert not phone.has_next("message")
    await phone.disconnect()
    await juliet.disconnect()
    # With the last one of her clients.
    assert (await romeo.next("got_offline"))["from"].full == juliet.boundjid.full
    romeo.send_message("juliet@localhost", "for later", mtype="chat")
    await romeo.settled()
    juliet = await Person("juliet", "balcony", "xep_0203").online()
    message = await juliet.next("message")
    assert message["body"] == "for later" and message["delay"]["stamp"], message


async def im_vcard_temp_xep_0054():
    romeo = await Person("romeo", "orchard", "xep_0054").online()
    juliet = await Person("juliet", "balcony", "xep_0054").online()
    assert "vcard-temp" in await juliet.advertised("localhost")
    cards = juliet.plugin["xep_0054"]
    card = cards.make_vcard()
    card["FN"] = "Juliet Capulet"
    card["PHOTO"]["TYPE"] = "image/png"
    card["PHOTO"]["BINVAL"] = b"as good as a picture"
    await cards.publish_vcard(card, timeout=PATIENCE)
    # Her own, and hers as others see it.
    for person, jid in ((juliet, None), (romeo, "juliet@localhost")):
        answer = await person.plugin["xep_0054"].get_vcard(jid, cached=False, local=False, timeout=PATIENCE)
        known = answer["vcard_temp"]
        assert known["FN"] == "Juliet Capulet" and known["PHOTO"]["BINVAL"] == b"as good as a picture", answer
    # Who has none looks like who does not exist.
    errors = set()
    for nobody in ("nurse@localhost", "rosaline@localhost"):
        try:
            await romeo.plugin["xep_0054"].get_vcard(nobody, cached=False, local=False, timeout=PATIENCE)
        except IqError as error:
            errors.add(error.iq["error"]["condition"])
    assert len(errors) == 1, errors


async def im_outbound_message_synchronization_xep_0280():
    romeo = await Person("romeo", "orchard").online()
    desk = await Person("juliet", "desk", "xep_0280").online()
    phone = await Person("juliet", "phone", "xep_0280").online()
    assert "urn:xmpp:carbons:2" in await desk.advertised("localhost")
    for client in (desk, phone):
        client.listen("carbon_received", "carbon_sent")
        await client.plugin["xep_0280"].enable(timeout=PATIENCE)
    desk.send_message("romeo@localhost", "Good night", mtype="chat")
    assert (await romeo.next("message"))["body"] == "Good night"
    copy = (await phone.next("carbon_sent"))["carbon_sent"]
    assert copy["body"] == "Good night" and copy["from"] == desk.boundjid.full, copy
    romeo.send_message(desk.boundjid.full, "good night", mtype="chat")
    assert (await desk.next("message"))["body"] == "good night"
    copy = (await phone.next("carbon_received"))["carbon_received"]
    assert copy["body"] == "good night" and copy["from"] == romeo.boundjid.full, copy
    # Nobody gets a copy of what it has sent or got, nor what is private, nor what it does not want.
    await phone.plugin["xep_0280"].disable(timeout=PATIENCE)
    romeo.send_message(desk.boundjid.full, "parting is such sweet sorrow", mtype="chat")
    await desk.next("message")
    for client in (desk, phone):
        await client.settled()
        assert not client.has_next("carbon_sent") and not client.has_next("carbon_received")


async def im_user_blocking_xep_0191():
    romeo = await Person("romeo", "orchard").online()
    juliet = await Person("juliet", "balcony", "xep_0191").online()
    phone = await Person("juliet", "phone", "xep_0191").online()
    assert "urn:xmpp:blocking" in await juliet.advertised("localhost")
    await befriend(romeo, juliet)
    blocking, others = juliet.plugin["xep_0191"], phone.plugin["xep_0191"]
    assert await others.get_blocked_jids(timeout=PATIENCE) == set()
    phone.listen("blocked", "unblocked")
    romeo.listen("message_error", "got_offline")
    await blocking.block("romeo@localhost", timeout=PATIENCE)
    assert [item["jid"] for item in (await phone.next("blocked"))["block"]["items"]] == ["romeo@localhost"]
    assert await others.get_blocked_jids(timeout=PATIENCE) == {"romeo@localhost"}
    # To who is blocked she is gone.
    assert (await romeo.next("got_offline"))["from"].bare == "juliet@localhost"
    romeo.send_message("juliet@localhost", "hear me", mtype="chat")
    assert (await romeo.next("message_error"))["error"]["condition"] == "service-unavailable"
    await juliet.settled()
    assert not juliet.has_next("message")
    # Nor does she write to him.
    juliet.listen("message_error")
    juliet.send_message("romeo@localhost", "hear me not", mtype="chat")
    assert (await juliet.next("message_error"))["error"]["condition"] == "not-acceptable"
    await blocking.unblock("romeo@localhost", timeout=PATIENCE)
    assert [item["jid"] for item in (await phone.next("unblocked"))["unblock"]["items"]] == ["romeo@localhost"]
    romeo.send_message("juliet@localhost/balcony", "hear me", mtype="chat")
    assert (await juliet.next("message"))["body"] == "hear me"


async def im_private_xml_storage_xep_0049():
    juliet = await Person("juliet", "balcony", "xep_0048", "xep_0049").online()
    assert "jabber:iq:private" in await juliet.advertised("localhost")
    bookmarks = juliet.plugin["xep_0048"].stanza.Bookmarks()
    bookmarks.add_conference("orchard@rooms.localhost", "Juliet", name="The orchard", autojoin=True)
    await juliet.plugin["xep_0048"].set_bookmarks(bookmarks, method="xep_0049", timeout=PATIENCE)
    await juliet.disconnect()
    juliet = await Person("juliet", "phone", "xep_0048", "xep_0049").online()
    answer = await juliet.plugin["xep_0048"].get_bookmarks(method="xep_0049", timeout=PATIENCE)
    conference = answer["private"]["bookmarks"]["conferences"][0]
    assert (conference["jid"], conference["name"]) == ("orchard@rooms.localhost", "The orchard"), answer
    # Nobody else gets at it.
    romeo = await Person("romeo", "orchard", "xep_0048", "xep_0049").online()
    answer = await romeo.plugin["xep_0048"].get_bookmarks(method="xep_0049", timeout=PATIENCE)
    assert not answer["private"]["bookmarks"]["conferences"], answer
    query = romeo.make_iq_get(ito="juliet@localhost")
    query["private"].append(romeo.plugin["xep_0048"].stanza.Bookmarks())
    await refused(query.send(timeout=PATIENCE), "service-unavailable")


async def im_stream_management_xep_0198():
    romeo = Person("romeo", "orchard", "xep_0198")
    romeo.listen("sm_enabled", "stanza_acked")
    await romeo.online()
    await romeo.next("sm_enabled")
    juliet = await Person("juliet", "balcony", "xep_0198").online()
    for number in range(20):
        romeo.send_message("juliet@localhost", f"line {number}", mtype="chat")
    for number in range(20):
        assert (await juliet.next("message"))["body"] == f"line {number}"
    # What is acknowledged, in order: all messages.
    acknowledged = []
    while len(acknowledged) < 20:
        romeo.plugin["xep_0198"].request_ack()
        await romeo.settled()
        while romeo.has_next("stanza_acked"):
            stanza = await romeo.next("stanza_acked")
            acknowledged += [stanza["body"]] if stanza.name == "message" else []
    assert acknowledged == [f"line {number}" for number in range(20)], acknowledged


async def im_history_storage_and_retrieval_xep_0313():
    romeo = await Person("romeo", "orchard", "xep_0313").online()
    juliet = await Person("juliet", "balcony", "xep_0313", "xep_0359").online()
    nurse = await Person("nurse", "kitchen").online()
    assert "urn:xmpp:mam:2" in await juliet.advertised("juliet@localhost")
    said = []
    for number in range(12):
        sender, to = ((romeo, "juliet@localhost"), (juliet, "romeo@localhost"))[number % 2]
        sender.send_message(to, f"line {number}", mtype="chat")
        said.append(f"line {number}")
        heard = await (juliet, romeo)[number % 2].next("message")
        assert heard["body"] == said[-1], heard
    nurse.send_message("juliet@localhost", "Madam!", mtype="chat")
    last = await juliet.next("message")
    # Everything in its order, page by page, from any client.
    phone = await Person("juliet", "phone", "xep_0313", "xep_0359").online()
    archive = phone.plugin["xep_0313"]
    found = [message async for message in archive.iterate(rsm={"max": 5})]
    bodies = [message["mam_result"]["forwarded"]["stanza"]["body"] for message in found]
    assert bodies == [*said, "Madam!"], bodies
    assert all(message["from"].bare in ("", "juliet@localhost") for message in found)
    # What somebody has got has the id of its archive.
    assert found[-1]["mam_result"]["id"] == last["stanza_id"]["id"], last
    assert all(message["mam_result"]["forwarded"]["delay"]["stamp"] for message in found)
    # With one person, and backwards.
    some = [message async for message in archive.iterate(with_jid="nurse@localhost")]
    assert [message["mam_result"]["forwarded"]["stanza"]["body"] for message in some] == ["Madam!"]
    newest = [message async for message in archive.iterate(reverse=True, rsm={"max": 2}, total=2)]
    assert newest[0]["mam_result"]["id"] == found[-1]["mam_result"]["id"]
    # Nobody else's.
    for other in ("juliet@localhost", "rosaline@localhost"):
        await refused(romeo.plugin["xep_0313"].retrieve(other, timeout=PATIENCE), "service-unavailable")


async def im_user_avatars_xep_0084():
    romeo, juliet = await people_with_avatars()
    avatars, image = juliet.plugin["xep_0084"], b"as good as a picture"
    name = avatars.generate_id(image)
    await avatars.publish_avatar(image, timeout=PATIENCE)
    await avatars.publish_avatar_metadata({"id": name, "type": "image/png", "bytes": len(image)}, timeout=PATIENCE)
    event = await romeo.next("avatar_metadata_publish")
    assert event["from"].bare == "juliet@localhost", event
    assert event["pubsub_event"]["items"]["item"]["id"] == name, event
    found = await romeo.plugin["xep_0084"].retrieve_avatar("juliet@localhost", name, timeout=PATIENCE)
    assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == image, found


async def im_user_avatar_compatibility_xep_0398_xep_0153():
    romeo, juliet = await people_with_avatars()
    assert "urn:xmpp:pep-vcard-conversion:0" in await juliet.advertised("juliet@localhost")
    # From the vCard to the node, and into presence.
    card, image = juliet.plugin["xep_0054"].make_vcard(), b"as good as a picture"
    card["PHOTO"]["TYPE"], card["PHOTO"]["BINVAL"] = "image/png", image
    await juliet.plugin["xep_0054"].publish_vcard(card, timeout=PATIENCE)
    name = juliet.plugin["xep_0084"].generate_id(image)
    event = await romeo.next("avatar_metadata_publish")
    assert event["pubsub_event"]["items"]["item"]["id"] == name, event
    found = await romeo.plugin["xep_0084"].retrieve_avatar("juliet@localhost", name, timeout=PATIENCE)
    assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == image, found
    await presence_with(romeo, name)
    # And back.
    avatars, image = juliet.plugin["xep_0084"], b"another one"
    name = avatars.generate_id(image)
    await avatars.publish_avatar(image, timeout=PATIENCE)
    await avatars.publish_avatar_metadata({"id": name, "type": "image/png", "bytes": len(image)}, timeout=PATIENCE)
    await presence_with(romeo, name)
    cards = romeo.plugin["xep_0054"]
    answer = await cards.get_vcard("juliet@localhost", cached=False, local=False, timeout=PATIENCE)
    assert answer["vcard_temp"]["PHOTO"]["BINVAL"] == image, answer


async def presence_with(person, name):
    """The presence of a contact has this hash of a photo, now or soon."""
    while True:
        presence = await person.next("presence_available")
        photo = presence.xml.find("{vcard-temp:x:update}x/{vcard-temp:x:update}photo")
        if presence["from"].bare == "juliet@localhost" and photo is not None and photo.text == name:
            return


async def people_with_avatars():
    """Contacts of each other; the first is notified of avatars."""
    romeo = Person("romeo", "orchard", "xep_0054", "xep_0084", "xep_0115", "xep_0163")
    juliet = await Person("juliet", "balcony", "xep_0054", "xep_0084").online()
    romeo.listen("avatar_metadata_publish", "presence_available")
    await romeo.log_in()
    await romeo.get_roster(timeout=PATIENCE)
    await romeo.plugin["xep_0115"].update_caps(broadcast=False)
    romeo.send_presence()
    await befriend(romeo, juliet)
    return romeo, juliet


async def im_persistent_storage_of_private_data_xep_0223():
    romeo = await Person("romeo", "orchard", "xep_0060").online()
    juliet = await Person("juliet", "balcony", "xep_0060", "xep_0223", "xep_0092").online()
    await befriend(romeo, juliet)
    assert "http://jabber.org/protocol/pubsub#publish-options" in await juliet.advertised("juliet@localhost")
    note = juliet.plugin["xep_0092"].stanza.Version()
    note["name"] = "a secret"
    storage = juliet.plugin["xep_0223"]
    await storage.store(note, "urn:example:notes", id="current", timeout=PATIENCE)
    await juliet.disconnect()
    juliet = await Person("juliet", "phone", "xep_0060", "xep_0223", "xep_0092").online()
    found = await juliet.plugin["xep_0223"].retrieve("urn:example:notes", timeout=PATIENCE)
    assert "a secret" in str(found), found
    # Not even a contact may see it.
    try:
        answer = await romeo.plugin["xep_0060"].get_items("juliet@localhost", "urn:example:notes", timeout=PATIENCE)
    except IqError as error:
        assert "a secret" not in str(error.iq), error.iq
    else:
        raise AssertionError(answer)


async def im_advanced_group_chat_bookmarks_xep_0048_xep_0402():
    juliet = await Person("juliet", "balcony", "xep_0048", "xep_0049", "xep_0060", "xep_0402").online()
    assert "urn:xmpp:bookmarks:1#compat" in await juliet.advertised("juliet@localhost")
    # What an older client bookmarks, a newer one finds.
    bookmarks = juliet.plugin["xep_0048"].stanza.Bookmarks()
    bookmarks.add_conference("orchard@rooms.localhost", "Juliet", name="The orchard", autojoin=True)
    await juliet.plugin["xep_0048"].set_bookmarks(bookmarks, method="xep_0049", timeout=PATIENCE)
    phone = await Person("juliet", "phone", "xep_0048", "xep_0049", "xep_0060", "xep_0402").online()
    pubsub, node = phone.plugin["xep_0060"], "urn:xmpp:bookmarks:1"
    found = await pubsub.get_items("juliet@localhost", node, timeout=PATIENCE)
    items = [(item["id"], item["conference"]["name"]) for item in found["pubsub"]["items"]]
    assert items == [("orchard@rooms.localhost", "The orchard")], found
    # And the other way round.
    conference = phone.plugin["xep_0402"].stanza.Conference()
    conference["name"], conference["autojoin"] = "The tomb", False
    await pubsub.publish("juliet@localhost", node, id="tomb@rooms.localhost", payload=conference, timeout=PATIENCE)
    answer = await juliet.plugin["xep_0048"].get_bookmarks(method="xep_0049", timeout=PATIENCE)
    known = {item["jid"]: item["name"] for item in answer["private"]["bookmarks"]["conferences"]}
    assert known == {"orchard@rooms.localhost": "The orchard", "tomb@rooms.localhost": "The tomb"}, answer


if __name__ == "__main__":
    run(globals())
