//! The XML namespaces that the server speaks, by the names that RFCs and XEPs give to what they hold.

/// Namespace bound to the prefix `xml` (Namespaces in XML 1.0 §3).
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Namespace bound to the prefix `xmlns` (Namespaces in XML 1.0 §3).
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Content of client streams (RFC 6120 §4.8.2).
pub const CLIENT: &str = "jabber:client";
/// Content of server streams (RFC 6120 §4.8.2).
pub const SERVER: &str = "jabber:server";
/// The stream element, its features and its errors (RFC 6120 §4.8.1).
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// Conditions of stream errors (RFC 6120 §4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Conditions of stanza errors (RFC 6120 §8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// STARTTLS (RFC 6120 §5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 §6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Resource binding (RFC 6120 §7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Session establishment, kept for old clients (RFC 3921 §3).
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// Roster (RFC 6121 §2).
pub const ROSTER: &str = "jabber:iq:roster";
/// Roster versioning, as a stream feature (RFC 6121 §2.6).
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// Subscription pre-approval, as a stream feature (RFC 6121 §3.4).
pub const SUBSCRIPTION_PREAPPROVAL: &str = "urn:xmpp:features:pre-approval";
/// Framing over WebSocket (RFC 7395 §3.3).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";

/// Data forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// OpenPGP before its rework (XEP-0027).
pub const LEGACY_OPENPGP: &str = "jabber:x:encrypted";
/// Service discovery, identities and features (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery, items (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Multi-user chat (XEP-0045).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// Multi-user chat, what occupants exchange (XEP-0045).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Extended stanza addressing (XEP-0033).
pub const ADDRESSES: &str = "http://jabber.org/protocol/address";
/// Bookmarks in one element (XEP-0048).
pub const LEGACY_BOOKMARKS: &str = "storage:bookmarks";
/// Ad-hoc commands (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// vCards (XEP-0054).
pub const VCARD: &str = "vcard-temp";
/// Result set management (XEP-0059).
pub const RESULT_SETS: &str = "http://jabber.org/protocol/rsm";
/// Publish-subscribe, notifications (XEP-0060).
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Out of band data (XEP-0066).
pub const OUT_OF_BAND: &str = "jabber:x:oob";
/// Pictures of fields in forms (XEP-0221).
pub const MEDIA_ELEMENT: &str = "urn:xmpp:media-element";
/// Small data within a stanza (XEP-0231).
pub const BITS_OF_BINARY: &str = "urn:xmpp:bob";
/// XHTML-IM (XEP-0071).
pub const XHTML_IM: &str = "http://jabber.org/protocol/xhtml-im";
/// Publish-subscribe, what everybody may ask (XEP-0060).
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Publish-subscribe, errors (XEP-0060).
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// Publish-subscribe, what owners may ask (XEP-0060).
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// In-band registration, queries (XEP-0077).
pub const REGISTER: &str = "jabber:iq:register";
/// In-band registration, as a stream feature (XEP-0077).
pub const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";
/// That a stream takes tokens of invitations (XEP-0445).
pub const INVITED_FEATURE: &str = "urn:xmpp:ibr-token:0";
/// Tokens of invitations (XEP-0379, XEP-0445).
pub const PREAUTH: &str = "urn:xmpp:pars:0";
/// Invitations by commands (XEP-0401); clients of before XEP-0445 look for it in streams.
pub const INVITE: &str = "urn:xmpp:invite";
/// Chat states (XEP-0085).
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// Delayed delivery before its rework (XEP-0091).
pub const LEGACY_DELAY: &str = "jabber:x:delay";
/// Avatars, the image: a node and what its items hold (XEP-0084).
pub const AVATAR_DATA: &str = "urn:xmpp:avatar:data";
/// Avatars, what the image is: a node and what its items hold (XEP-0084).
pub const AVATAR_METADATA: &str = "urn:xmpp:avatar:metadata";
/// Software version (XEP-0092).
pub const VERSION: &str = "jabber:iq:version";
/// Entity capabilities (XEP-0115).
pub const CAPABILITIES: &str = "http://jabber.org/protocol/caps";
/// User nickname (XEP-0172).
pub const NICKNAME: &str = "http://jabber.org/protocol/nick";
/// Message delivery receipts (XEP-0184).
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// vCard-based avatars, as presence announces them (XEP-0153).
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// Blocking command (XEP-0191).
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// Stream management (XEP-0198).
pub const STREAM_MANAGEMENT: &str = "urn:xmpp:sm:3";
/// Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Entity time (XEP-0202).
pub const TIME: &str = "urn:xmpp:time";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Direct invitations to rooms (XEP-0249).
pub const DIRECT_INVITATION: &str = "jabber:x:conference";
/// Message carbons (XEP-0280).
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// Stanza forwarding (XEP-0297).
pub const FORWARD: &str = "urn:xmpp:forward:0";

/// Reports of spam and abuse (XEP-0377).
pub const REPORTING: &str = "urn:xmpp:reporting:1";
/// Message correction (XEP-0308).
pub const CORRECTION: &str = "urn:xmpp:message-correct:0";
/// Message archive management (XEP-0313).
pub const ARCHIVE: &str = "urn:xmpp:mam:2";
/// Displayed markers (XEP-0333).
pub const MARKERS: &str = "urn:xmpp:chat-markers:0";
/// Message processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// Client state indication (XEP-0352).
pub const CLIENT_STATE: &str = "urn:xmpp:csi:0";
/// Jingle message initiation: calls (XEP-0353).
pub const CALLS: &str = "urn:xmpp:jingle-message:0";
/// Unique and stable stanza ids (XEP-0359).
pub const STANZA_IDS: &str = "urn:xmpp:sid:0";
/// OpenPGP (XEP-0373).
pub const OPENPGP: &str = "urn:xmpp:openpgp:0";
/// Which encryption a message has (XEP-0380).
pub const ENCRYPTION: &str = "urn:xmpp:eme:0";
/// Spoilers (XEP-0382).
pub const SPOILER: &str = "urn:xmpp:spoiler:0";
/// OMEMO (XEP-0384).
pub const OMEMO: &str = "urn:xmpp:omemo:2";
/// OMEMO as it is widely spoken (XEP-0384, version 0.3).
pub const LEGACY_OMEMO: &str = "eu.siacs.conversations.axolotl";
/// Extensible SASL profile (XEP-0388).
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// Bind 2 (XEP-0386).
pub const BIND2: &str = "urn:xmpp:bind:0";
/// Occupant ids (XEP-0421).
pub const OCCUPANT_IDS: &str = "urn:xmpp:occupant-id:0";
/// Message retraction (XEP-0424).
pub const RETRACTION: &str = "urn:xmpp:message-retract:1";
/// Fallback indication (XEP-0428).
pub const FALLBACK: &str = "urn:xmpp:fallback:0";
/// Avatars converted between nodes and vCards, as a feature (XEP-0398).
pub const AVATAR_CONVERSION: &str = "urn:xmpp:pep-vcard-conversion:0";
/// Bookmarks: a node and what its items hold (XEP-0402).
pub const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
/// SASL channel-binding type capability (XEP-0440).
pub const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
/// Message reactions (XEP-0444).
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
/// Message replies (XEP-0461).
pub const REPLIES: &str = "urn:xmpp:reply:0";
/// Stream limits advertisement (XEP-0478).
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// FAST authentication tokens (XEP-0484).
pub const FAST: &str = "urn:xmpp:fast:0";
/// Displayed state of chats: a node and what its items hold (XEP-0490).
pub const DISPLAYED: &str = "urn:xmpp:mds:displayed:0";
