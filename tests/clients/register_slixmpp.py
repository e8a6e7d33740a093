"""Registers with slixmpp, changes the password, logs in with the new one, and removes the account (XEP-0077).

Usage: SCRIPT HOST PORT
Says REGISTERED, CHANGED, REMOVED. The certificate to trust is found through SSL_CERT_FILE.
"""

import asyncio
import os
import sys
from pathlib import Path

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout

PATIENCE = 60


class Stranger(slixmpp.ClientXMPP):
    def __init__(self, password, registers):
        super().__init__("tybalt@localhost/square", password)
        self.ca_certs = Path(os.environ["SSL_CERT_FILE"])
        self.enable_direct_tls = False
        self.register_plugin("xep_0004")
        self.register_plugin("xep_0077")
        if registers:
            self.add_event_handler("register", self.fill_in)

    async def fill_in(self, form):
        """Answers what the server asks: name and password, in the fields that it shows."""
        assert {"username", "password"} <= set(form["register"]["fields"]), form
        answer = self.Iq()
        answer["type"] = "set"
        answer["register"]["username"] = self.boundjid.user
        answer["register"]["password"] = self.password
        await answer.send()
        print("REGISTERED", flush=True)

    async def come(self):
        _, host, port = sys.argv
        started = asyncio.ensure_future(self.wait_until("session_start", PATIENCE))
        failed = asyncio.ensure_future(self.wait_until("failed_all_auth", PATIENCE))
        self.connect(host, int(port))
        done, rest = await asyncio.wait([started, failed], return_when=asyncio.FIRST_COMPLETED)
        for each in rest:
            each.cancel()
        assert started in done, "no session"
        return self


async def main():
    stranger = await Stranger("r4pier", registers=True).come()
    await stranger["xep_0077"].change_password("sw0rd", jid=slixmpp.JID("localhost"))
    print("CHANGED", flush=True)
    await stranger.disconnect()
    stranger = await Stranger("sw0rd", registers=False).come()
    ended = asyncio.ensure_future(stranger.wait_until("disconnected", PATIENCE))
    try:
        await stranger["xep_0077"].cancel_registration(jid=slixmpp.JID("localhost"))
    except (IqError, IqTimeout):
        # The stream may end before the answer is looked at.
        pass
    await ended
    print("REMOVED", flush=True)


asyncio.run(main())
