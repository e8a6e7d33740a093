"""Logs in with slixmpp, says READY, and answers every message with "echo: " and its body.

Usage: echo_slixmpp.py JID PASSWORD HOST PORT starttls|direct CA_FILE
"""

import asyncio
import sys
from pathlib import Path

import slixmpp


class Echo(slixmpp.ClientXMPP):
    def __init__(self, jid, password, mode, ca_file):
        super().__init__(jid, password)
        self.ca_certs = Path(ca_file)
        self.enable_direct_tls = mode == "direct"
        self.enable_starttls = mode == "starttls"
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("message", self.message)
        self.add_event_handler("failed_all_auth", lambda _: self.fail("no login"))

    def fail(self, why):
        print("FAILED", why, flush=True)
        self.disconnect()

    async def start(self, _event):
        self.send_presence()
        await self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=30)
        info = await self.plugin["xep_0030"].get_info(self.boundjid.domain, timeout=30)
        assert ("server", "im") in {(i[0], i[1]) for i in info["disco_info"]["identities"]}
        print("READY", flush=True)

    def message(self, message):
        if message["type"] in ("chat", "normal"):
            message.reply("echo: " + message["body"]).send()


async def main():
    jid, password, host, port, mode, ca_file = sys.argv[1:]
    client = Echo(jid, password, mode, ca_file)
    client.connect(host, int(port))
    await client.disconnected


asyncio.run(main())
