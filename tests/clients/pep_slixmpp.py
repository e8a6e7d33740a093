"""Logs in with slixmpp, publishes a mood, an avatar, a bookmark and a displayed message, and says PUBLISHED. Then waits
for the mood of the contact that is named, says HEARD and the mood, and leaves.

Usage: pep_slixmpp.py JID PASSWORD HOST PORT CONTACT
The certificate to trust is found through SSL_CERT_FILE.
"""

import asyncio
import os
import sys
from pathlib import Path

import slixmpp
from slixmpp.plugins.xep_0402.stanza import Conference

IMAGE = b"\x89PNG\r\n\x1a\nimage"


class Publisher(slixmpp.ClientXMPP):
    def __init__(self, jid, password, contact):
        super().__init__(jid, password)
        self.status = 1
        self.contact = contact
        self.moods = asyncio.Queue()
        self.ca_certs = Path(os.environ["SSL_CERT_FILE"])
        self.enable_direct_tls = False
        for plugin in ("0030", "0060", "0084", "0107", "0115", "0163", "0223", "0402", "0490"):
            self.register_plugin("xep_" + plugin)
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("user_mood_publish", self.moods.put_nowait)
        for event in ("connection_failed", "ssl_invalid_chain", "failed_all_auth", "stream_error"):
            self.add_event_handler(event, self.fail)

    def fail(self, why):
        # It would try again for ever.
        print("FAILED", why, flush=True)
        os._exit(1)

    async def start(self, _event):
        try:
            await self.converse()
            self.status = 0
        finally:
            self.disconnect()

    async def converse(self):
        await self.get_roster()
        await self.plugin["xep_0115"].update_caps()
        self.send_presence()
        await self.publish_all()
        print("PUBLISHED", flush=True)
        while True:
            message = await asyncio.wait_for(self.moods.get(), 60)
            mood = message["pubsub_event"]["items"]["item"]["mood"]["value"]
            if message["from"].bare == self.contact:
                break
            assert (message["from"].bare, mood) == (self.boundjid.bare, "happy")
        print("HEARD", mood, flush=True)

    async def publish_all(self):
        pubsub, own = self.plugin["xep_0060"], self.boundjid.bare
        await self.plugin["xep_0107"].publish_mood("happy", "at last")
        avatar = self.plugin["xep_0084"]
        name = avatar.generate_id(IMAGE)
        options = self.options({"pubsub#access_model": "open"})
        await avatar.publish_avatar(IMAGE, options=options)
        info = {"id": name, "type": "image/png", "bytes": len(IMAGE)}
        await avatar.publish_avatar_metadata(info, options=options)
        found = await avatar.retrieve_avatar(own, name)
        assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == IMAGE
        bookmark = Conference()
        bookmark["name"], bookmark["autojoin"], bookmark["nick"] = "The Play", True, "JC"
        options = self.options({"pubsub#access_model": "whitelist", "pubsub#max_items": "max"})
        node, room = "urn:xmpp:bookmarks:1", "play@rooms.example"
        await pubsub.publish(own, node, id=room, payload=bookmark, options=options)
        found = await pubsub.get_items(own, node)
        items = [(item["id"], item["conference"]["nick"]) for item in found["pubsub"]["items"]]
        assert items == [(room, "JC")], items
        displayed = self.plugin["xep_0490"]
        await displayed.flag_chat("romeo@localhost", "1")
        await displayed.flag_chat("romeo@localhost", "2")
        found = await displayed.catch_up()
        items = [(item["id"], item["displayed"]["stanza_id"]["id"]) for item in found["pubsub"]["items"]]
        assert items == [("romeo@localhost", "2")], items

    def options(self, fields):
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        for var, value in fields.items():
            form.add_field(var=var, value=value)
        return form


async def main():
    jid, password, host, port, contact = sys.argv[1:]
    client = Publisher(jid, password, contact)
    client.connect(host, int(port))
    await client.disconnected
    return client.status


sys.exit(asyncio.run(main()))
