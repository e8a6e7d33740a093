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


if __name__ == "__main__":
    run(globals())
