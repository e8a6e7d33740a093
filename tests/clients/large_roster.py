"""Somebody with a large roster logs in, and chats: how long each step takes, for whoever sets limits.

Prints one line per step, then DONE.
"""

import asyncio
import time

from slixmpp.exceptions import IqError

from people import PATIENCE, Person, run

PLUGINS = ("xep_0054", "xep_0153", "xep_0163", "xep_0191", "xep_0198", "xep_0280", "xep_0313", "xep_0352")
CONTACTS = 500
MESSAGES = 20


async def evening():
    started = time.monotonic()

    def told(what):
        nonlocal started
        print(f"{what}: {time.monotonic() - started:.2f} s", flush=True)
        started = time.monotonic()

    romeo = await Person("romeo", "orchard").online()
    started = time.monotonic()
    juliet = Person("juliet", "balcony", *PLUGINS)
    await juliet.log_in()
    told("login")
    await juliet.get_roster(timeout=PATIENCE)
    assert len(juliet.client_roster.keys()) >= CONTACTS, len(juliet.client_roster.keys())
    told(f"roster of {CONTACTS}")
    juliet.send_presence()
    await juliet.plugin["xep_0280"].enable(timeout=PATIENCE)
    await juliet.advertised("localhost")
    await juliet.settled()
    told("presence, carbons, disco")
    for number in range(MESSAGES):
        juliet.send_message("romeo@localhost", f"Romeo, Romeo, the {number}. time: wherefore art thou?", mtype="chat")
        await romeo.next("message")
        romeo.send_message("juliet@localhost", "Shall I hear more?", mtype="chat")
        await juliet.next("message")
    told(f"chat of {2 * MESSAGES} messages")
    # As clients do that show pictures and know none yet.
    contacts = [jid for jid in juliet.client_roster.keys() if jid != juliet.boundjid.bare]
    cards = [juliet.plugin["xep_0054"].get_vcard(jid, local=False, timeout=PATIENCE) for jid in contacts]
    answers = await asyncio.gather(*cards, return_exceptions=True)
    assert all(isinstance(answer, IqError) for answer in answers[1:]), answers
    told(f"{len(cards)} vCards")


if __name__ == "__main__":
    run({"evening": evening})
