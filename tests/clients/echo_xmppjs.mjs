// Logs in with @xmpp/client, says READY, and answers every message with "echo: " and its body.
//
// Usage: echo_xmppjs.mjs JID PASSWORD HOST PORT starttls|direct CA_FILE
// The certificate authority comes through NODE_EXTRA_CA_CERTS.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.CLIENT_MODULES, "index.js"));
const { client, xml } = require("@xmpp/client");

const [jid, password, host, port, mode] = process.argv.slice(2);
const [username, domain] = jid.split("@");
const scheme = mode === "direct" ? "xmpps" : "xmpp";
const xmpp = client({ service: `${scheme}://${host}:${port}`, domain, username, password });

xmpp.on("error", (error) => console.log("FAILED", error.message));
xmpp.on("online", async () => {
    await xmpp.send(xml("presence"));
    await xmpp.iqCaller.get(xml("ping", "urn:xmpp:ping"), domain, 30000);
    console.log("READY");
});
xmpp.on("stanza", async (stanza) => {
    const body = stanza.is("message") && stanza.getChildText("body");
    if (body && stanza.attrs.type !== "error") {
        const attributes = { to: stanza.attrs.from, type: "chat" };
        await xmpp.send(xml("message", attributes, xml("body", {}, "echo: " + body)));
    }
});
await xmpp.start();
