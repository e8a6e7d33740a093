"""Somebody who moves from one server to another: `fill` on the old one, `find` on the new one."""

import asyncio
import base64
import hashlib
from xml.etree import ElementTree

from people import PATIENCE, Person, befriend, run

PLUGINS = ("xep_0048", "xep_0049", "xep_0054", "xep_0060", "xep_0191", "xep_0203", "xep_0223", "xep_0280", "xep_0313")
NODE = "urn:xmpp:bookmarks:1"
AVATAR = "urn:xmpp:avatar:metadata"
CARD = ("FN", "NICKNAME", "PHOTO/BINVAL")
PHOTO = b"\x89PNG\r\n\x1a\nimage"
WORDS = ["Wherefore art thou", "Call me but love", "What man art thou"]


async def fill():
    juliet = await Person("juliet", "balcony", *PLUGINS).online()
    romeo = await Person("romeo", "orchard").online()
    await befriend(juliet, romeo)
    await juliet.update_roster("romeo@localhost", name="Romeo & all", groups=["Montagues"], timeout=PATIENCE)
    vcard = juliet.plugin["xep_0054"].make_vcard()
    vcard["FN"] = "Juliet Capulet"
    vcard["NICKNAME"] = "Jule"
    vcard["PHOTO"]["TYPE"] = "image/png"
    vcard["PHOTO"]["BINVAL"] = PHOTO
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


async def find(has_archive=True, has_nodes=True):
    juliet = Person("juliet", "balcony", *PLUGINS)
    juliet.listen("message", "presence_subscribe")
    await juliet.online()
    romeo = juliet.client_roster["romeo@localhost"]
    assert (romeo["subscription"], romeo["name"], romeo["groups"]) == ("both", "Romeo & all", ["Montagues"]), romeo
    waiting = await juliet.next("message")
    assert waiting["body"] == "Are you there?" and waiting["delay"]["stamp"], waiting
    # What it was called in an archive that is not here.
    assert len(waiting.xml.findall("{urn:xmpp:sid:0}stanza-id")) <= 1, waiting
    assert waiting.xml.find("{urn:xmpp:mam:tmp}archived") is None, waiting
    asks = await juliet.next("presence_subscribe")
    assert asks["from"].bare == "mercutio@localhost", asks
    card = await juliet.plugin["xep_0054"].get_vcard("juliet@localhost", local=False, timeout=PATIENCE)
    card = card["vcard_temp"].xml
    texts = [card.findtext("/".join(f"{{vcard-temp}}{name}" for name in path.split("/"))) for path in CARD]
    assert texts == ["Juliet Capulet", "Jule", base64.b64encode(PHOTO).decode()], ElementTree.tostring(card)
    avatar = await juliet.plugin["xep_0060"].get_items("juliet@localhost", AVATAR, timeout=PATIENCE)
    assert [item["id"] for item in avatar["pubsub"]["items"]] == [hashlib.sha1(PHOTO).hexdigest()], avatar
    answer = await juliet.plugin["xep_0048"].get_bookmarks(method="xep_0049", timeout=PATIENCE)
    known = {item["jid"]: item["name"] for item in answer["private"]["bookmarks"]["conferences"]}
    assert known["orchard@rooms.localhost"] == "The orchard", answer
    found = await juliet.plugin["xep_0060"].get_items("juliet@localhost", NODE, timeout=PATIENCE)
    names = {item["id"]: item["payload"].get("name") for item in found["pubsub"]["items"]}
    assert names.get("tomb@rooms.localhost") == ("The tomb" if has_nodes else None), found
    blocked = await juliet.plugin["xep_0191"].get_blocked(timeout=PATIENCE)
    assert [item.get("jid") for item in blocked["blocklist"].xml] == ["nurse@localhost"], blocked
    history = []
    async for message in juliet.plugin["xep_0313"].iterate(rsm={"max": 10}, reverse=False):
        history.append(message["mam_result"]["forwarded"]["stanza"]["body"])
    assert [words for words in history if words in WORDS] == (WORDS if has_archive else []), history
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


async def find_handed_over():
    """What ejabberd hands over: no archives, and of what is published nothing but what is elsewhere, too."""
    await find(has_archive=False, has_nodes=False)


async def links():
    """Each asks for a link to all that is stored of them."""
    for name in ("romeo", "juliet", "nurse", "mercutio"):
        person = await Person(name, "home", "xep_0004", "xep_0050").log_in()
        commands = person.plugin["xep_0050"]
        asked = await commands.send_command("localhost", "export", timeout=PATIENCE)
        form = person.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="password", value="secret")
        told = await commands.send_command("localhost", "export", action="complete", payload=[form],
                                           sessionid=asked["command"]["sessionid"], timeout=PATIENCE)
        print("LINK", told["command"]["form"]["values"]["url"], flush=True)
        await person.disconnect()


if __name__ == "__main__":
    run(globals())
