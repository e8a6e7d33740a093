// Logs in with @xmpp/client, says READY, and answers every message with "echo: " and its body. Leaves on "farewell".
//
// Usage: echo_xmppjs.mjs JID PASSWORD HOST PORT starttls|direct
// The library is found through CLIENT_MODULES, the certificate to trust through NODE_EXTRA_CA_CERTS.

import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

// The library expects it, and Node 18, which Debian 12 has, does not show it unasked.
globalThis.crypto ??= webcrypto;

const { resolve } = createRequire(path.join(process.env.CLIENT_MODULES, "index.js"));
const { client, xml } = await import(pathToFileURL(resolve("@xmpp/client")));

const [jid, password, host, port, mode] = process.argv.slice(2);
const [username, domain] = jid.split("@");
const scheme = mode === "direct" ? "xmpps" : "xmpp";
const xmpp = client({ service: `${scheme}://${host}:${port}`, domain, username, password });
let isLeaving = false;

function fail(error) {
    // The peer may close first; that is no failure of a client that leaves.
    if (isLeaving) return;
    console.log("FAILED", error.message);
    process.exit(1);
}

async function online() {
    await xmpp.send(xml("presence"));
    await xmpp.iqCaller.get(xml("ping", "urn:xmpp:ping"), domain, 30000);
    console.log("READY");
}

async function answer(stanza) {
    const body = stanza.is("message") && stanza.getChildText("body");
    if (!body || stanza.attrs.type === "error") return;
    if (body === "farewell") {
        isLeaving = true;
        await xmpp.stop();
        process.exit(0);
    }
    const attributes = { to: stanza.attrs.from, type: "chat" };
    await xmpp.send(xml("message", attributes, xml("body", {}, "echo: " + body)));
}

xmpp.on("error", fail);
xmpp.on("online", () => online().catch(fail));
xmpp.on("stanza", (stanza) => answer(stanza).catch(fail));
xmpp.start().catch(fail);
