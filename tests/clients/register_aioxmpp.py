"""Registers with aioxmpp, changes the password, logs in with the new one, and removes the account (XEP-0077).

Usage: SCRIPT HOST PORT
Says REGISTERED, CHANGED, REMOVED. Its own check of certificates does not know today's libraries any more: it is told to
do without.
"""

import asyncio
import sys

import aioxmpp
import aioxmpp.connector
import aioxmpp.ibr
import aioxmpp.node

PATIENCE = 60
JID = aioxmpp.JID.fromstr("tybalt@localhost/square")


def way():
    _, host, port = sys.argv
    return [(host, int(port), aioxmpp.connector.STARTTLSConnector())]


async def register():
    security = aioxmpp.make_security_layer(None, no_verify=True)._replace(sasl_providers=())
    _, stream, _ = await aioxmpp.node.connect_xmlstream(JID, security, override_peer=way())
    fields = await aioxmpp.ibr.get_registration_fields(stream)
    assert fields.username is not None and fields.password is not None
    await aioxmpp.ibr.register(stream, aioxmpp.ibr.Query("tybalt", "r4pier"))
    stream.close()
    print("REGISTERED", flush=True)


def client(password):
    security = aioxmpp.make_security_layer(password, no_verify=True)
    return aioxmpp.PresenceManagedClient(JID, security, override_peer=way())


async def main():
    await register()
    tybalt = client("r4pier")
    service = tybalt.summon(aioxmpp.ibr.RegistrationService)
    async with tybalt.connected():
        await service.change_pass("sw0rd")
    print("CHANGED", flush=True)
    tybalt = client("sw0rd")
    service = tybalt.summon(aioxmpp.ibr.RegistrationService)
    ended = asyncio.get_event_loop().create_future()
    try:
        async with tybalt.connected():
            await service.cancel_registration()
    except (ConnectionError, aioxmpp.errors.XMPPError, aioxmpp.errors.StreamError):
        # The stream ends with the account.
        pass
    ended.cancel()
    print("REMOVED", flush=True)


asyncio.run(asyncio.wait_for(main(), PATIENCE))
