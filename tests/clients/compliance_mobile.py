"""The rows of the Mobile suite of XEP-0479, without push notifications."""

import asyncio
import sys

from people import PATIENCE, Person, befriend, run


async def mobile_stream_management_xep_0198():
    romeo = await Person("romeo", "orchard").online()
    juliet = Person("juliet", "phone", "xep_0198")
    juliet.listen("sm_enabled", "session_resumed", "disconnected")
    await juliet.online()
    assert (await juliet.next("sm_enabled"))["resume"]
    await befriend(romeo, juliet)
    romeo.listen("got_offline")
    romeo.send_message("juliet@localhost", "before", mtype="chat")
    assert (await juliet.next("message"))["body"] == "before"
    # The connection breaks, and nobody notices.
    juliet.abort()
    await juliet.next("disconnected")
    for number in range(5):
        romeo.send_message("juliet@localhost", f"meanwhile {number}", mtype="chat")
    await romeo.settled()
    # She goes on where she was.
    _, _, host, starttls, _ = sys.argv
    juliet.connect(host, int(starttls))
    await juliet.next("session_resumed")
    for number in range(5):
        assert (await juliet.next("message"))["body"] == f"meanwhile {number}"
    juliet.send_message("romeo@localhost", "here I am", mtype="chat")
    assert (await romeo.next("message"))["body"] == "here I am"
    await juliet.settled()
    assert not juliet.has_next("message") and not romeo.has_next("got_offline")


async def mobile_client_state_indication_xep_0352():
    romeo = await Person("romeo", "orchard").online()
    juliet = await Person("juliet", "phone", "xep_0352").online()
    await befriend(romeo, juliet)
    juliet.listen("changed_status")
    juliet.plugin["xep_0352"].send_inactive()
    await juliet.settled()
    # Presence waits, and only the last of it is told.
    for status in ("reading", "yawning", "asleep"):
        romeo.send_presence(pshow="away", pstatus=status)
    await romeo.settled()
    await juliet.settled()
    told = []
    while juliet.has_next("changed_status"):
        told.append((await juliet.next("changed_status"))["status"])
    # What somebody looks at does not wait, and comes after what had to.
    romeo.send_message("juliet@localhost", "art thou there?", mtype="chat")
    assert (await juliet.next("message"))["body"] == "art thou there?"
    while juliet.has_next("changed_status"):
        told.append((await juliet.next("changed_status"))["status"])
    assert told == ["asleep"], told
    juliet.plugin["xep_0352"].send_active()
    romeo.send_presence(pstatus="awake")
    assert (await juliet.next("changed_status"))["status"] == "awake"


if __name__ == "__main__":
    run(globals())
