"""People who use slixmpp, for the scripts beside: each runs one row of a compliance suite and says DONE.

Usage: SCRIPT ROW HOST STARTTLS-PORT DIRECT-TLS-PORT
The certificate to trust is found through SSL_CERT_FILE. Everybody's password is "secret".
"""

import asyncio
import os
import sys
from pathlib import Path

import slixmpp
from slixmpp.exceptions import IqError

# Long enough for a slow machine; what takes longer hangs.
PATIENCE = 60


class Person(slixmpp.ClientXMPP):
    def __init__(self, name, resource, *plugins, direct=False, password="secret"):
        super().__init__(f"{name}@localhost/{resource}", password)
        self.ca_certs = Path(os.environ["SSL_CERT_FILE"])
        self.enable_direct_tls = direct
        self.enable_starttls = not direct
        self.roster.auto_authorize = None
        self.roster.auto_subscribe = False
        for plugin in ("xep_0030", "xep_0199", *plugins):
            self.register_plugin(plugin)
        self.heard = {}
        self.listen("message")

    def listen(self, *events):
        """From now on these events are kept for `next`."""
        for event in events:
            self.heard[event] = asyncio.Queue()
            self.add_event_handler(event, self.heard[event].put_nowait)

    async def next(self, event):
        """The next event of this name, of those since `listen`."""
        return await asyncio.wait_for(self.heard[event].get(), PATIENCE)

    def has_next(self, event):
        """Whether there is one already."""
        return not self.heard[event].empty()

    async def log_in(self):
        """Connected, with a resource; not yet available."""
        _, host, starttls, direct = sys.argv[1:]
        started = asyncio.ensure_future(self.wait_until("session_start", PATIENCE))
        failed = [asyncio.ensure_future(self.wait_until(event, PATIENCE)) for event in FAILURES]
        self.connect(host, int(direct if self.enable_direct_tls else starttls))
        done, rest = await asyncio.wait([started, *failed], return_when=asyncio.FIRST_COMPLETED)
        for each in rest:
            each.cancel()
        assert started in done, f"no session: {[each.result() for each in done]}"
        return self

    async def online(self):
        """The same with its contacts, available."""
        await self.log_in()
        await self.get_roster(timeout=PATIENCE)
        self.send_presence()
        await self.settled()
        return self

    async def settled(self):
        """What was sent before has been dealt with."""
        await self.plugin["xep_0199"].ping("localhost", timeout=PATIENCE)

    async def advertised(self, jid):
        """What somebody advertises."""
        info = await self.plugin["xep_0030"].get_info(jid, timeout=PATIENCE)
        return set(info["disco_info"]["features"])


FAILURES = ("connection_failed", "ssl_invalid_chain", "failed_all_auth", "stream_error")


async def refused(request, condition):
    """A request is answered with this error."""
    try:
        answer = await request
    except IqError as error:
        assert error.iq["error"]["condition"] == condition, error.iq
    else:
        raise AssertionError(f"{answer} instead of {condition}")


async def befriend(one, other):
    """Each is subscribed to the other's presence."""
    for asking, granting in ((one, other), (other, one)):
        asked = asyncio.ensure_future(granting.wait_until("presence_subscribe", PATIENCE))
        granted = asyncio.ensure_future(asking.wait_until("presence_subscribed", PATIENCE))
        # What is waited for has to be waited for before it happens.
        await asyncio.sleep(0)
        asking.send_presence_subscription(granting.boundjid.bare)
        await asked
        granting.send_presence(pto=asking.boundjid.bare, ptype="subscribed")
        await granted
    await one.settled()
    await other.settled()


def run(rows):
    """Runs the row that the command line names."""
    asyncio.run(asyncio.wait_for(rows[sys.argv[1]](), PATIENCE))
    print("DONE", flush=True)
    # What is still connected need not say goodbye.
    os._exit(0)
