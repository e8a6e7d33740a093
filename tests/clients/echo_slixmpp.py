"""Logs in with slixmpp, says READY, and answers every message with "echo: " and its body. Leaves on "farewell".

Usage: echo_slixmpp.py JID PASSWORD HOST PORT starttls|direct
The certificate to trust is found through SSL_CERT_FILE.
"""

import asyncio
import os
import sys
from pathlib import Path

import slixmpp


class Echo(slixmpp.ClientXMPP):
    def __init__(self, jid, password, mode):
        super().__init__(jid, password)
        self.status = 1
        self.ca_certs = Path(os.environ["SSL_CERT_FILE"])
        self.enable_direct_tls = mode == "direct"
        self.enable_starttls = mode == "starttls"
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("message", self.message)
        for event in ("connection_failed", "ssl_invalid_chain", "failed_all_auth", "stream_error"):
            self.add_event_handler(event, self.fail)

    def fail(self, why):
        # It would try again for ever.
        print("FAILED", why, flush=True)
        os._exit(1)

    async def start(self, _event):
        self.send_presence()
        await self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=30)
        info = await self.plugin["xep_0030"].get_info(self.boundjid.domain, timeout=30)
        assert ("server", "im") in {(i[0], i[1]) for i in info["disco_info"]["identities"]}
        print("READY", flush=True)

    def message(self, message):
        if message["type"] not in ("chat", "normal"):
            return
        if message["body"] == "farewell":
            self.status = 0
            self.disconnect()
        else:
            message.reply("echo: " + message["body"]).send()


async def main():
    jid, password, host, port, mode = sys.argv[1:]
    client = Echo(jid, password, mode)
    client.connect(host, int(port))
    await client.disconnected
    return client.status


sys.exit(asyncio.run(main()))
