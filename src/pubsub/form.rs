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
use crate::forms::{self, Choice, FORM_TYPE, Field, FieldKind, Form, FormError, FormKind, FormLimits};
use crate::jid::Jid;
use crate::xml::Element;

/// FORM_TYPE of node configuration.
pub const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// FORM_TYPE of publishing options.
pub const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// FORM_TYPE of a node's metadata.
pub const METADATA: &str = "http://jabber.org/protocol/pubsub#meta-data";
/// FORM_TYPE of requests to approve a subscription.
pub const AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";

/// A form has a few fields more than there are; values are roster groups, contacts, titles.
const LIMITS: FormLimits = FormLimits { fields_max: 64, values_max: 128, bytes_max: 16 << 10 };
/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 1024;
/// Bytes of all texts of a configuration: it is read for every contact that comes online.
const CONFIG_BYTES_MAX: usize = 4096;

/// The fields of a form that was submitted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Submission {
    fields: Vec<Field>,
}

impl From<FormError> for PubsubError {
    fn from(error: FormError) -> PubsubError {
        match error {
            FormError::NotAForm | FormError::OtherType => PubsubError::BAD_REQUEST,
            _ => PubsubError::NOT_ACCEPTABLE,
        }
    }
}

impl Submission {
    /// Reads a form of a FORM_TYPE; `None` if it was cancelled. A form may leave out its FORM_TYPE where the context
    /// tells it.
    pub fn read(form: &Element, form_type: &str) -> Result<Option<Submission>, PubsubError> {
        let form = Form::parse(form, &LIMITS)?;
        match form.kind {
            FormKind::Cancel => return Ok(None),
            FormKind::Submit => {}
            FormKind::Form | FormKind::Result => return Err(PubsubError::BAD_REQUEST),
        }
        if form.form_type().is_some_and(|other| other != form_type) {
            return Err(PubsubError::BAD_REQUEST);
        }
        if form.fields.iter().flat_map(|field| &field.values).any(|value| value.len() > VALUE_BYTES_MAX) {
            return Err(PubsubError::NOT_ACCEPTABLE);
        }
        let fields = form.fields.into_iter().filter(|field| field.var != FORM_TYPE);
        Ok(Some(Submission { fields: fields.collect() }))
    }

    /// Reads a form that has to say its FORM_TYPE, and be submitted.
    pub fn read_typed(form: &Element, form_type: &str) -> Option<Submission> {
        let form = Form::parse_submission(form, &LIMITS).ok().filter(|form| form.form_type() == Some(form_type))?;
        Some(Submission { fields: form.fields })
    }

    /// What somebody has written down of a configuration, whatever the form was for.
    pub fn written(form: &Element) -> Option<Submission> {
        Form::parse(form, &LIMITS).ok().map(|form| Submission { fields: form.fields })
    }

    /// Takes what is understood and allowed into a configuration, and nothing else.
    pub fn configure_known(&self, config: &mut NodeConfig) {
        let limits = PubsubLimits::default();
        for Field { var, values, .. } in &self.fields {
            let mut changed = config.clone();
            if row(var).is_some_and(|row| (row.set)(&mut changed, values, &limits).is_ok()) {
                *config = changed;
            }
        }
    }

    /// A form with these fields, as the server itself would submit it.
    pub fn of(fields: &[(&str, &str)]) -> Submission {
        Submission { fields: fields.iter().map(|(var, value)| Field::shown(var, value)).collect() }
    }

    /// The same with any number of values in each.
    pub fn of_values(fields: impl Iterator<Item = (String, Vec<String>)>) -> Submission {
        Submission { fields: fields.map(|(var, values)| Field { var, values, ..Field::default() }).collect() }
    }

    /// The first value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.var == var)?;
        field.values.first().map(String::as_str)
    }

    /// Changes a configuration. Fields that are unknown are ignored, what is left out stays (XEP-0004 §3.2, §3.5).
    pub fn configure(&self, config: &mut NodeConfig, limits: &PubsubLimits) -> Result<(), PubsubError> {
        for Field { var, values, .. } in &self.fields {
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
        if !self.fields.iter().all(is_known) {
            return Err(PubsubError::PRECONDITION);
        }
        self.configure(config, limits)
    }

    /// Whether a node is configured as the fields demand (XEP-0060 §7.1.5).
    pub fn check(&self, config: &NodeConfig, limits: &PubsubLimits) -> Result<(), PubsubError> {
        let mut wanted = config.clone();
        for field in &self.fields {
            let met = match row(&field.var) {
                Some(row) => (row.set)(&mut wanted, &field.values, limits).is_ok(),
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
fn is_known(field: &Field) -> bool {
    let is = |expected: &[&str]| field.values.first().is_some_and(|value| expected.contains(&value.as_str()));
    match field.var.as_str() {
        "pubsub#node_type" => is(&["leaf"]),
        "pubsub#purge_offline" | "pubsub#tempsub" => is(&["0", "false"]),
        var => row(var).is_some(),
    }
}

type Set = fn(&mut NodeConfig, &[String], &PubsubLimits) -> Result<(), PubsubError>;

/// A field of the node configuration.
struct Row {
    var: &'static str,
    kind: FieldKind,
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
    forms::boolean(value).ok_or(PubsubError::NOT_ACCEPTABLE)
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
            kind: FieldKind::ListSingle,
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
            kind: FieldKind::Boolean,
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
            kind: FieldKind::TextSingle,
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
        kind: FieldKind::ListMulti,
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
        kind: FieldKind::TextSingle,
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
        kind: FieldKind::TextSingle,
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
        kind: FieldKind::TextSingle,
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
        kind: FieldKind::JidMulti,
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

/// A field of the configuration, with its values.
fn shown(row: &Row, kind: Option<FieldKind>, config: &NodeConfig) -> Field {
    Field { var: row.var.to_owned(), kind, values: (row.get)(config), ..Field::default() }
}

/// The configuration as a form to fill in (XEP-0060 §8.2.2).
pub fn config_to_fill(config: &NodeConfig) -> Element {
    let field = |row: &Row| {
        let choice = |value: &&str| Choice { label: None, value: (*value).to_owned() };
        let choices = row.options.iter().map(choice).collect();
        Field { choices, ..shown(row, Some(row.kind), config).with_label(row.label) }
    };
    let form = Form::new(FormKind::Form).with_type(NODE_CONFIG);
    ROWS.iter().map(field).fold(form, Form::with_field).to_element()
}

/// The configuration as a result (XEP-0060 §8.2.5.3).
pub fn config_result(config: &NodeConfig) -> Element {
    let form = Form::new(FormKind::Result).with_type(NODE_CONFIG);
    ROWS.iter().map(|row| shown(row, None, config)).fold(form, Form::with_field).to_element()
}

/// What a node is, for service discovery (XEP-0060 §5.4).
pub fn metadata(node: &Node, owners: Vec<String>, subscribers: usize) -> Element {
    const SHOWN: [&str; 8] = [
        "pubsub#title",
        "pubsub#description",
        "pubsub#language",
        "pubsub#type",
        "pubsub#access_model",
        "pubsub#publish_model",
        "pubsub#max_items",
        "pubsub#contact",
    ];
    let rows = ROWS.iter().filter(|row| SHOWN.contains(&row.var));
    let fields = rows.map(|row| shown(row, Some(row.kind), &node.config));
    let fields = fields.filter(|field| field.values.iter().any(|value| !value.is_empty()));
    let one = |kind, var, value: &str| Field::new(kind, var).with_value(value);
    fields
        .fold(Form::new(FormKind::Result).with_type(METADATA), Form::with_field)
        .with_field(one(FieldKind::TextSingle, "pubsub#creation_date", &datetime::utc_s(node.created)))
        .with_field(one(FieldKind::JidSingle, "pubsub#creator", &node.creator))
        .with_field(Field { values: owners, ..Field::new(FieldKind::JidMulti, "pubsub#owner") })
        .with_field(one(FieldKind::TextSingle, "pubsub#num_subscribers", &subscribers.to_string()))
        .to_element()
}

/// Asks an owner to approve a subscription (XEP-0060 §8.6).
pub fn authorization(node: &str, jid: &str) -> Element {
    let field = |kind, var, label, value| Field::new(kind, var).with_label(label).with_value(value);
    let question = "Allow this address to subscribe to the node?";
    Form::new(FormKind::Form)
        .with_type(AUTHORIZATION)
        .with_field(field(FieldKind::TextSingle, "pubsub#node", "Node", node))
        .with_field(field(FieldKind::JidSingle, "pubsub#subscriber_jid", "Subscriber", jid))
        .with_field(field(FieldKind::Boolean, "pubsub#allow", question, "false"))
        .to_element()
}
