"""Somebody who moves from one server to another: `fill` on the old one, `find` on the new one."""

import asyncio
from xml.etree import ElementTree

from people import PATIENCE, Person, befriend, run

PLUGINS = ("xep_0048", "xep_0049", "xep_0054", "xep_0060", "xep_0191", "xep_0203", "xep_0223", "xep_0280", "xep_0313")
NODE = "urn:xmpp:bookmarks:1"
WORDS = ["Wherefore art thou", "Call me but love", "What man art thou"]


async def fill():
    juliet = await Person("juliet", "balcony", *PLUGINS).online()
    romeo = await Person("romeo", "orchard").online()
    await befriend(juliet, romeo)
    await juliet.update_roster("romeo@localhost", name="Romeo & all", groups=["Montagues"], timeout=PATIENCE)
    vcard = juliet.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Juliet Capulet"
    await juliet.plugin["xep_0054"].publish_vcard(vcard=vcard, timeout=PATIENCE)
    bookmarks = juliet.plugin["xep_0048"].stanza.Bookmarks()
    bookmarks.add_conference("orchard@rooms.localhost", "Juliet", name="The orchard", autojoin=True)
    await juliet.plugin["xep_0048"].set_bookmarks(bookmarks, method="xep_0049", timeout=PATIENCE)
    conference = ElementTree.fromstring(f"<conference xmlns='{NODE}' name='The tomb' autojoin='false'/>")
    await juliet.plugin["xep_0060"].publish("juliet@localhost", NODE, id="tomb@rooms.localhost", payload=conference,
                                            timeout=PATIENCE)
    await juliet.plugin["xep_0191"].block("nurse@localhost", timeout=PATIENCE)
    romeo.listen("message")
    juliet.send_message("romeo@localhost", WORDS[0], mtype="chat")
    await romeo.next("message")
    romeo.send_message("juliet@localhost", WORDS[1], mtype="chat")
    await juliet.next("message")
    juliet.send_message("romeo@localhost", WORDS[2], mtype="chat")
    await romeo.next("message")
    # Somebody asks who is not answered.
    mercutio = await Person("mercutio", "street").online()
    asked = asyncio.ensure_future(juliet.wait_until("presence_subscribe", PATIENCE))
    await asyncio.sleep(0)
    mercutio.send_presence_subscription("juliet@localhost")
    await asked
    await juliet.disconnect()
    romeo.send_message("juliet@localhost", "Are you there?", mtype="chat")
    await romeo.settled()
    await romeo.disconnect()


async def find():
    juliet = Person("juliet", "balcony", *PLUGINS)
    juliet.listen("message", "presence_subscribe")
    await juliet.online()
    romeo = juliet.client_roster["romeo@localhost"]
    assert (romeo["subscription"], romeo["name"], romeo["groups"]) == ("both", "Romeo & all", ["Montagues"]), romeo
    waiting = await juliet.next("message")
    assert waiting["body"] == "Are you there?" and waiting["delay"]["stamp"], waiting
    asks = await juliet.next("presence_subscribe")
    assert asks["from"].bare == "mercutio@localhost", asks
    card = await juliet.plugin["xep_0054"].get_vcard("juliet@localhost", local=False, timeout=PATIENCE)
    assert card["vcard_temp"]["FN"] == "Juliet Capulet", card
    answer = await juliet.plugin["xep_0048"].get_bookmarks(method="xep_0049", timeout=PATIENCE)
    known = {item["jid"]: item["name"] for item in answer["private"]["bookmarks"]["conferences"]}
    assert known["orchard@rooms.localhost"] == "The orchard", answer
    found = await juliet.plugin["xep_0060"].get_items("juliet@localhost", NODE, timeout=PATIENCE)
    names = {item["id"]: item["payload"].get("name") for item in found["pubsub"]["items"]}
    assert names["tomb@rooms.localhost"] == "The tomb", found
    blocked = await juliet.plugin["xep_0191"].get_blocked(timeout=PATIENCE)
    assert [item.get("jid") for item in blocked["blocklist"].xml] == ["nurse@localhost"], blocked
    history = []
    async for message in juliet.plugin["xep_0313"].iterate(rsm={"max": 10}, reverse=False):
        history.append(message["mam_result"]["forwarded"]["stanza"]["body"])
    assert [words for words in history if words in WORDS] == WORDS, history
    # And the other side of it.
    romeo = await Person("romeo", "orchard").online()
    assert romeo.client_roster["juliet@localhost"]["subscription"] == "both"
    romeo.listen("message")
    juliet.send_message("romeo@localhost", "We are here", mtype="chat")
    assert (await romeo.next("message"))["body"] == "We are here"
    nobody = Person("mercutio", "street", password="wrong")
    try:
        await nobody.log_in()
    except AssertionError:
        pass
    else:
        raise AssertionError("a wrong password is right")


if __name__ == "__main__":
    run(globals())
