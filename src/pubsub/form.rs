//! The data forms of publish-subscribe (XEP-0004, XEP-0060 §16.4): node configuration, publishing options as
//! preconditions, metadata, and requests to approve a subscription.
//!
//! One table says for each field how it is shown and how it is read; what a node's configuration is said to be, what
//! it is set to and what a publisher demands of it go through the same rows.

use rondel_storage::pubsub::{
    AccessModel, ItemReply, MaxItems, MessageType, Node, NodeConfig, NodeFull, PublishModel, SendLast,
};

use super::error::PubsubError;
use super::limits::PubsubLimits;
use crate::datetime;
use crate::jid::Jid;
use crate::xml::{Element, namespaces as ns};

/// FORM_TYPE of node configuration.
pub const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// FORM_TYPE of publishing options.
pub const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// FORM_TYPE of a node's metadata.
pub const METADATA: &str = "http://jabber.org/protocol/pubsub#meta-data";
/// FORM_TYPE of requests to approve a subscription.
pub const AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";

/// Fields in one form: a few more than there are.
const FIELDS_MAX: usize = 64;
/// Values of one field: roster groups, contacts.
const VALUES_MAX: usize = 64;
/// Bytes of one value: titles, descriptions.
const VALUE_BYTES_MAX: usize = 1024;
/// Bytes of all texts of a configuration: it is read for every contact that comes online.
const CONFIG_BYTES_MAX: usize = 4096;

/// The fields of a form that was submitted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Submission {
    fields: Vec<(String, Vec<String>)>,
}

impl Submission {
    /// Reads a form of a FORM_TYPE; `None` if it was cancelled. A form may leave out its FORM_TYPE where the context
    /// tells it.
    pub fn read(form: &Element, form_type: &str) -> Result<Option<Submission>, PubsubError> {
        match form.attribute("type") {
            Some("cancel") => return Ok(None),
            Some("submit") => {}
            _ => return Err(PubsubError::BAD_REQUEST),
        }
        let mut fields = Vec::new();
        for field in form.children().filter(|child| child.name == "field" && child.namespace == ns::DATA_FORMS) {
            let Some(var) = field.attribute("var") else { continue };
            let values = field.children().filter(|child| child.name == "value" && child.namespace == ns::DATA_FORMS);
            let values: Vec<_> = values.map(Element::text).collect();
            let is_long = values.len() > VALUES_MAX || values.iter().any(|value| value.len() > VALUE_BYTES_MAX);
            if is_long || fields.len() == FIELDS_MAX {
                return Err(PubsubError::NOT_ACCEPTABLE);
            }
            if var == "FORM_TYPE" {
                if values != [form_type] {
                    return Err(PubsubError::BAD_REQUEST);
                }
                continue;
            }
            fields.push((var.to_owned(), values));
        }
        Ok(Some(Submission { fields }))
    }

    /// A form with these fields, as the server itself would submit it.
    pub fn of(fields: &[(&str, &str)]) -> Submission {
        let fields = fields.iter().map(|(var, value)| ((*var).to_owned(), vec![(*value).to_owned()]));
        Submission { fields: fields.collect() }
    }

    /// The first value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        let values = self.fields.iter().find(|(of, _)| of == var).map(|(_, values)| values)?;
        values.first().map(String::as_str)
    }

    /// Changes a configuration. Fields that are unknown are ignored, what is left out stays (XEP-0004 §3.2, §3.5).
    pub fn configure(&self, config: &mut NodeConfig, limits: &PubsubLimits) -> Result<(), PubsubError> {
        for (var, values) in &self.fields {
            if let Some(row) = row(var) {
                (row.set)(config, values, limits)?;
            } else if var == "pubsub#node_type" && values.first().is_some_and(|kind| kind != "leaf") {
                // XEP-0248 is not spoken.
                return Err(PubsubError::unsupported("collections"));
            }
        }
        let lists = config.groups.iter().chain(&config.contacts);
        let texts = [&config.title, &config.description, &config.language, &config.payload_type];
        let bytes: usize = lists.chain(texts).map(String::len).sum();
        if bytes > CONFIG_BYTES_MAX { Err(PubsubError::NOT_ACCEPTABLE) } else { Ok(()) }
    }

    /// Changes the configuration of a node that is created for what is published. Unknown fields are refused
    /// (XEP-0060 §7.1.5).
    pub fn create(&self, config: &mut NodeConfig, limits: &PubsubLimits) -> Result<(), PubsubError> {
        if self.fields.iter().any(|field| !self::is_known(field)) {
            return Err(PubsubError::PRECONDITION);
        }
        self.configure(config, limits)
    }

    /// Whether a node is configured as the fields demand (XEP-0060 §7.1.5).
    pub fn check(&self, config: &NodeConfig, limits: &PubsubLimits) -> Result<(), PubsubError> {
        let mut wanted = config.clone();
        for field in &self.fields {
            let met = match row(&field.0) {
                Some(row) => (row.set)(&mut wanted, &field.1, limits).is_ok(),
                None => is_known(field),
            };
            if !met {
                return Err(PubsubError::PRECONDITION);
            }
        }
        if wanted == *config { Ok(()) } else { Err(PubsubError::PRECONDITION) }
    }
}

/// Whether a field has a row, or demands no more than what every node here is.
fn is_known((var, values): &(String, Vec<String>)) -> bool {
    let is = |expected: &[&str]| values.first().is_some_and(|value| expected.contains(&value.as_str()));
    match var.as_str() {
        "pubsub#node_type" => is(&["leaf"]),
        "pubsub#purge_offline" | "pubsub#tempsub" => is(&["0", "false"]),
        _ => row(var).is_some(),
    }
}

type Set = fn(&mut NodeConfig, &[String], &PubsubLimits) -> Result<(), PubsubError>;

/// A field of the node configuration.
struct Row {
    var: &'static str,
    kind: &'static str,
    label: &'static str,
    options: &'static [&'static str],
    get: fn(&NodeConfig) -> Vec<String>,
    set: Set,
}

fn row(var: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.var == var)
}

/// Reads the one value of a field.
fn single(values: &[String]) -> Result<&str, PubsubError> {
    match values {
        [value] => Ok(value),
        // A field without a value is an empty text.
        [] => Ok(""),
        _ => Err(PubsubError::NOT_ACCEPTABLE),
    }
}

/// Reads a boolean (XEP-0004 §3.3).
pub fn boolean(value: &str) -> Result<bool, PubsubError> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(PubsubError::NOT_ACCEPTABLE),
    }
}

/// A number, or `None` for `max`.
fn number_or_max(value: &str) -> Result<Option<u32>, PubsubError> {
    if value == "max" { Ok(None) } else { value.parse().map(Some).map_err(|_| PubsubError::NOT_ACCEPTABLE) }
}

/// A field with a fixed choice of values.
macro_rules! choice {
    ($var:literal, $label:literal, $field:ident, $wrong:expr, $($value:literal => $variant:expr),+) => {
        Row {
            var: $var,
            kind: "list-single",
            label: $label,
            options: &[$($value),+],
            get: |config| match config.$field {
                $(value if value == $variant => vec![$value.to_owned()],)+
                _ => Vec::new(),
            },
            set: |config, values, _| {
                config.$field = match single(values)? {
                    $($value => $variant,)+
                    _ => return Err($wrong),
                };
                Ok(())
            },
        }
    };
}

macro_rules! flag {
    ($var:literal, $label:literal, $field:ident) => {
        Row {
            var: $var,
            kind: "boolean",
            label: $label,
            options: &[],
            get: |config| vec![if config.$field { "1" } else { "0" }.to_owned()],
            set: |config, values, _| {
                config.$field = boolean(single(values)?)?;
                Ok(())
            },
        }
    };
}

macro_rules! text {
    ($var:literal, $label:literal, $field:ident) => {
        Row {
            var: $var,
            kind: "text-single",
            label: $label,
            options: &[],
            get: |config| vec![config.$field.clone()],
            set: |config, values, _| {
                config.$field = single(values)?.to_owned();
                Ok(())
            },
        }
    };
}

const ROWS: &[Row] = &[
    text!("pubsub#title", "A friendly name for the node", title),
    text!("pubsub#description", "A description of the node", description),
    text!("pubsub#language", "The default language of the node", language),
    text!("pubsub#type", "The semantic type of the data in the node", payload_type),
    choice! {
        "pubsub#access_model", "Who may subscribe and retrieve items", access, PubsubError::UNSUPPORTED_ACCESS_MODEL,
        "open" => AccessModel::Open, "presence" => AccessModel::Presence, "roster" => AccessModel::Roster,
        "authorize" => AccessModel::Authorize, "whitelist" => AccessModel::Whitelist
    },
    Row {
        var: "pubsub#roster_groups_allowed",
        kind: "list-multi",
        label: "The roster groups that may subscribe and retrieve items",
        options: &[],
        get: |config| config.groups.clone(),
        set: |config, values, _| {
            config.groups = values.to_vec();
            config.groups.sort_unstable();
            config.groups.dedup();
            Ok(())
        },
    },
    choice! {
        "pubsub#publish_model", "Who may publish", publish, PubsubError::NOT_ACCEPTABLE,
        "publishers" => PublishModel::Publishers, "subscribers" => PublishModel::Subscribers,
        "open" => PublishModel::Open
    },
    flag!("pubsub#persist_items", "Whether to keep items", persist),
    Row {
        var: "pubsub#max_items",
        kind: "text-single",
        label: "How many items to keep, or max for as many as the server allows",
        options: &[],
        get: |config| match config.max_items {
            MaxItems::Max => vec!["max".to_owned()],
            MaxItems::Count(count) => vec![count.to_string()],
        },
        set: |config, values, limits| {
            config.max_items = match number_or_max(single(values)?)? {
                None => MaxItems::Max,
                Some(count) if count == limits.items_max_per_node => MaxItems::Max,
                Some(count) if (1..limits.items_max_per_node).contains(&count) => MaxItems::Count(count),
                Some(_) => return Err(PubsubError::NOT_ACCEPTABLE),
            };
            Ok(())
        },
    },
    choice! {
        "pubsub#publish_node_full", "What happens when the node is full", full, PubsubError::NOT_ACCEPTABLE,
        "retract-oldest" => NodeFull::RetractOldest, "discard-oldest" => NodeFull::DiscardOldest,
        "reject" => NodeFull::Reject
    },
    Row {
        var: "pubsub#item_expire",
        kind: "text-single",
        label: "The seconds after which items are removed, or max",
        options: &[],
        get: |config| vec![config.expire_s.map_or("max".to_owned(), |seconds| seconds.to_string())],
        set: |config, values, _| {
            config.expire_s = number_or_max(single(values)?)?;
            Ok(())
        },
    },
    Row {
        var: "pubsub#max_payload_size",
        kind: "text-single",
        label: "The maximum payload size in bytes",
        options: &[],
        get: |config| config.payload_bytes_max.iter().map(u32::to_string).collect(),
        set: |config, values, _| {
            config.payload_bytes_max = match single(values)? {
                "" => None,
                value => number_or_max(value)?,
            };
            Ok(())
        },
    },
    choice! {
        "pubsub#send_last_published_item", "When to send the last item", send_last, PubsubError::NOT_ACCEPTABLE,
        "never" => SendLast::Never, "on_sub" => SendLast::OnSubscription,
        "on_sub_and_presence" => SendLast::OnSubscriptionAndPresence
    },
    flag!("pubsub#deliver_notifications", "Whether to deliver event notifications", notify),
    flag!("pubsub#deliver_payloads", "Whether to deliver payloads with event notifications", payloads),
    choice! {
        "pubsub#notification_type", "The type of the messages that notify", message_type, PubsubError::NOT_ACCEPTABLE,
        "normal" => MessageType::Normal, "headline" => MessageType::Headline
    },
    flag!("pubsub#notify_config", "Whether to notify subscribers when the configuration changes", notify_config),
    flag!("pubsub#notify_delete", "Whether to notify subscribers when the node is deleted", notify_delete),
    flag!("pubsub#notify_retract", "Whether to notify subscribers when items are removed", notify_retract),
    flag!("pubsub#notify_sub", "Whether to notify owners about new subscribers", notify_subscription),
    flag!("pubsub#presence_based_delivery", "Whether to notify available users only", presence_based),
    choice! {
        "pubsub#itemreply", "Whose address items carry", item_reply, PubsubError::NOT_ACCEPTABLE,
        "none" => ItemReply::None, "owner" => ItemReply::Owner, "publisher" => ItemReply::Publisher
    },
    flag!("pubsub#subscribe", "Whether to allow subscriptions", subscribe),
    Row {
        var: "pubsub#contact",
        kind: "jid-multi",
        label: "The addresses of those to contact with questions",
        options: &[],
        get: |config| config.contacts.clone(),
        set: |config, values, _| {
            let addresses = values.iter().map(|value| Jid::parse(value).map(|jid| jid.as_str().to_owned()));
            config.contacts = addresses.collect::<Result<_, _>>().map_err(|_| PubsubError::NOT_ACCEPTABLE)?;
            Ok(())
        },
    },
];

fn field(var: &str, kind: Option<&str>) -> Element {
    let field = Element::new("field", ns::DATA_FORMS).with_attribute("var", var);
    match kind {
        Some(kind) => field.with_attribute("type", kind),
        None => field,
    }
}

fn value(text: &str) -> Element {
    Element::new("value", ns::DATA_FORMS).with_text(text)
}

fn with_values(field: Element, values: impl IntoIterator<Item = String>) -> Element {
    values.into_iter().fold(field, |field, text| field.with_child(value(&text)))
}

/// A form of a type with its FORM_TYPE.
fn form(kind: &str, form_type: &str) -> Element {
    Element::new("x", ns::DATA_FORMS)
        .with_attribute("type", kind)
        .with_child(field("FORM_TYPE", Some("hidden")).with_child(value(form_type)))
}

/// The configuration as a form to fill in (XEP-0060 §8.2.2).
pub fn config_to_fill(config: &NodeConfig) -> Element {
    ROWS.iter().fold(form("form", NODE_CONFIG), |form, row| {
        let shown = field(row.var, Some(row.kind)).with_attribute("label", row.label);
        let option = |text: &&str| Element::new("option", ns::DATA_FORMS).with_child(value(text));
        let shown = row.options.iter().map(option).fold(shown, Element::with_child);
        form.with_child(with_values(shown, (row.get)(config)))
    })
}

/// The configuration as a result (XEP-0060 §8.2.5.3).
pub fn config_result(config: &NodeConfig) -> Element {
    ROWS.iter().fold(form("result", NODE_CONFIG), |form, row| {
        form.with_child(with_values(field(row.var, None), (row.get)(config)))
    })
}

/// What a node is, for service discovery (XEP-0060 §5.4).
pub fn metadata(node: &Node, owners: Vec<String>, subscribers: usize) -> Element {
    const SHOWN: [&str; 7] = [
        "pubsub#title",
        "pubsub#description",
        "pubsub#language",
        "pubsub#type",
        "pubsub#access_model",
        "pubsub#publish_model",
        "pubsub#max_items",
    ];
    let shown = ROWS.iter().filter(|row| SHOWN.contains(&row.var) || row.var == "pubsub#contact");
    let form = shown.fold(form("result", METADATA), |form, row| {
        let values: Vec<_> = (row.get)(&node.config).into_iter().filter(|value| !value.is_empty()).collect();
        if values.is_empty() { form } else { form.with_child(with_values(field(row.var, Some(row.kind)), values)) }
    });
    let one = |var, kind, text: String| with_values(field(var, Some(kind)), [text]);
    form.with_child(one("pubsub#creation_date", "text-single", datetime::utc_s(node.created)))
        .with_child(one("pubsub#creator", "jid-single", node.creator.clone()))
        .with_child(with_values(field("pubsub#owner", Some("jid-multi")), owners))
        .with_child(one("pubsub#num_subscribers", "text-single", subscribers.to_string()))
}

/// Asks an owner to approve a subscription (XEP-0060 §8.6).
pub fn authorization(node: &str, jid: &str) -> Element {
    let labelled =
        |var, kind, label, text| field(var, Some(kind)).with_attribute("label", label).with_child(value(text));
    form("form", AUTHORIZATION)
        .with_child(labelled("pubsub#node", "text-single", "Node", node))
        .with_child(labelled("pubsub#subscriber_jid", "jid-single", "Subscriber", jid))
        .with_child(labelled("pubsub#allow", "boolean", "Allow this address to subscribe to the node?", "false"))
}
