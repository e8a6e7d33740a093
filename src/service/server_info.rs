//! What a server says of those who run it, in forms that extend service discovery of its domains (XEP-0128): how they
//! are reached (XEP-0157), where they say that something is out of order (XEP-0455), and what becomes of people's data
//! (XEP-0504).

use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::jid::Jid;
use crate::xml::Element;

/// Whom one reaches for what (XEP-0157 §2.1), in the order of the registry.
pub const CONTACTS: [&str; 7] = ["abuse", "admin", "feedback", "sales", "security", "status", "support"];

/// The form of contact addresses.
const SERVER_INFO: &str = "http://jabber.org/network/serverinfo";

/// The form of service outages.
const OUTAGES: &str = "urn:xmpp:sos:0";

/// The form of data policy.
const DATA_POLICY: &str = "urn:xmpp:data-policy:0";

/// What a field of a data policy may say.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// True or false.
    Boolean,
    /// One of these.
    One(&'static [&'static str]),
    /// Some of these; the last one stands alone.
    Some(&'static [&'static str]),
    /// A number of hours, or one of these.
    Hours(&'static [&'static str]),
    /// An address.
    Uri,
    /// Anything.
    Text,
    /// Anything, in several lines.
    Lines,
}

/// The fields of a data policy (XEP-0504 §4).
const POLICY: [(&str, Values); 13] = [
    ("auth_data", Values::One(&["no_auth", "plain", "hidden", "restricted"])),
    ("data_transmission", Values::One(&["plain", "encrypted", "e2e", "gre"])),
    ("encryption_algorithm", Values::Text),
    ("data_retention", Values::Hours(&["infinite", "unknown"])),
    ("data_deletion", Values::Boolean),
    ("encryption_at_rest", Values::Boolean),
    ("tos", Values::Uri),
    ("data_export", Values::Boolean),
    (
        "access_policy",
        Values::Some(&["admins", "moderators", "organization_member", "government", "advertisers", "partners", "none"]),
    ),
    ("full_erasure", Values::Boolean),
    ("backup_frequency", Values::Hours(&[])),
    ("backup_retention", Values::Hours(&["infinite", "unknown"])),
    ("extra_info", Values::Lines),
];

/// All that a server says of those who run it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerInfo {
    /// Whom one reaches for what, and where: a URI.
    pub contacts: Vec<(String, String)>,
    /// Where it is said that something is out of order: URLs.
    pub outages: Vec<String>,
    /// What becomes of data: fields and values.
    pub policy: Vec<(String, String)>,
}

impl ServerInfo {
    /// Whether somebody can be reached for this.
    pub fn has_contact(&self, kind: &str) -> bool {
        self.contacts.iter().any(|(known, _)| known == kind)
    }

    /// How those are reached who help people: with the first address for one of these kinds.
    pub fn help(&self) -> Option<&str> {
        let first = |kind: &str| self.contacts.iter().find(|(known, _)| known == kind);
        ["support", "admin", "feedback"].into_iter().find_map(first).map(|(_, uri)| uri.as_str())
    }

    /// The forms; none for what is not said.
    pub fn forms(&self) -> Vec<Element> {
        let mut forms = Vec::new();
        let empty = |form_type| Form::new(FormKind::Result).with_type(form_type);
        let contacts = CONTACTS.iter().filter(|kind| self.has_contact(kind)).fold(empty(SERVER_INFO), |form, kind| {
            let uris = self.contacts.iter().filter(|(known, _)| known == kind);
            let field = Field::new(FieldKind::ListMulti, &format!("{kind}-addresses"));
            form.with_field(uris.fold(field, |field, (_, uri)| field.with_value(uri)))
        });
        let outages = Field::new(FieldKind::ListMulti, "external-status-addresses");
        let outages = self.outages.iter().fold(outages, |field, url| field.with_value(url));
        let policy = POLICY.iter().fold(empty(DATA_POLICY), |form, (name, values)| {
            let said = self.policy.iter().filter(|(known, _)| known == name);
            let field = said.fold(Field::new(values.kind(), name), |field, (_, value)| field.with_value(value));
            if field.values.is_empty() { form } else { form.with_field(field) }
        });
        for (is_said, form) in [
            (!self.contacts.is_empty(), contacts),
            (!self.outages.is_empty(), empty(OUTAGES).with_field(outages)),
            (!self.policy.is_empty(), policy),
        ] {
            if is_said {
                forms.push(form.to_element());
            }
        }
        forms
    }
}

impl Values {
    fn kind(self) -> FieldKind {
        match self {
            Values::Boolean => FieldKind::Boolean,
            Values::One(_) => FieldKind::ListSingle,
            Values::Some(_) => FieldKind::ListMulti,
            Values::Lines => FieldKind::TextMulti,
            Values::Hours(_) | Values::Uri | Values::Text => FieldKind::TextSingle,
        }
    }

    /// Whether a value is right; otherwise what would be.
    fn check(self, value: &str) -> Result<(), String> {
        let is_right = match self {
            Values::Boolean => matches!(value, "true" | "false"),
            Values::One(known) | Values::Some(known) => known.contains(&value),
            Values::Hours(known) => known.contains(&value) || value.parse::<u32>().is_ok(),
            Values::Uri => return uri(value).map(|_| ()),
            Values::Text | Values::Lines => !value.is_empty(),
        };
        let right = || match self {
            Values::Boolean => "true or false".into(),
            Values::One(known) | Values::Some(known) => format!("one of {}", known.join(", ")),
            Values::Hours([]) => "a number of hours".into(),
            Values::Hours(known) => format!("a number of hours, or one of {}", known.join(", ")),
            Values::Uri | Values::Text | Values::Lines => "words".into(),
        };
        if is_right { Ok(()) } else { Err(right()) }
    }
}

/// Reads `FIELD=VALUE` of a data policy. The error says what would be right.
pub fn policy_field(text: &str) -> Result<(String, String), String> {
    let names = || POLICY.map(|(name, _)| name).join(", ");
    let (name, value) = text.split_once('=').ok_or_else(|| format!("FIELD=VALUE, the field one of {}", names()))?;
    let (_, values) =
        POLICY.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("a field out of {}", names()))?;
    values.check(value).map_err(|right| format!("for {name}, {right}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `KIND=URI` of a contact address. The error says what would be right.
pub fn contact(text: &str) -> Result<(String, String), String> {
    let kinds = || CONTACTS.join(", ");
    let (kind, address) = text
        .split_once('=')
        .ok_or_else(|| format!("whom and where, such as abuse=mailto:abuse@example.org; whom is one of {}", kinds()))?;
    if !CONTACTS.contains(&kind) {
        return Err(format!("an address for one of {}", kinds()));
    }
    Ok((kind.to_owned(), uri(address)?))
}

/// A web address. The error says what would be right.
pub fn web_address(text: &str) -> Result<String, String> {
    match text.starts_with("https://") || text.starts_with("http://") {
        true => uri(text),
        false => Err("a web address, such as https://status.example.net/example.org.json".into()),
    }
}

/// A URI that somebody can be reached at, or something be read. The error says what would be right.
fn uri(text: &str) -> Result<String, String> {
    let right =
        || "a URI, such as mailto:abuse@example.org, xmpp:admin@example.org or https://example.org/abuse".into();
    let (scheme, rest) = text.split_once(':').ok_or_else(right)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each));
    let has_only_what_may_be = rest.chars().all(|each| each.is_ascii_graphic() && !"\"<>\\^`{|}".contains(each));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let leads_somewhere = match scheme.to_ascii_lowercase().as_str() {
        "mailto" => path
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.len() > 2 && !domain.contains('@')),
        "xmpp" => Jid::parse(path).is_ok(),
        "http" | "https" => path.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with('/')),
        _ => !rest.is_empty(),
    };
    match is_scheme && has_only_what_may_be && leads_somewhere {
        true => Ok(text.to_owned()),
        false => Err(right()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::FormLimits;

    #[test]
    fn contact_addresses_are_uris_for_a_known_purpose() {
        for right in ["abuse=mailto:abuse@example.org", "admin=xmpp:admin@example.org", "status=https://example.net/s"]
        {
            let (kind, address) = right.split_once('=').unwrap();
            assert_eq!(contact(right), Ok((kind.into(), address.into())));
        }
        for wrong in [
            "abuse@example.org",
            "abuse=abuse@example.org",
            "abuse=mailto:abuse",
            "abuse=mailto:a b@example.org",
            "press=mailto:press@example.org",
            "admin=xmpp:",
            "abuse=https:///path",
            "abuse=https:",
            "abuse=1a:b",
        ] {
            assert!(contact(wrong).is_err(), "{wrong}");
        }
        assert!(web_address("https://status.example.net/s.json").is_ok());
        assert!(web_address("mailto:status@example.net").is_err());
    }

    #[test]
    fn a_policy_has_known_fields_and_values() {
        for right in ["auth_data=hidden", "data_retention=2160", "data_retention=infinite", "extra_info=a = b"] {
            let (name, value) = right.split_once('=').unwrap();
            assert_eq!(policy_field(right), Ok((name.into(), value.into())));
        }
        for wrong in ["auth_data=secret", "data_retention=90d", "color=red", "tos", "tos=here", "data_export=yes"] {
            assert!(policy_field(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn forms_say_what_is_known_and_nothing_else() {
        assert_eq!(ServerInfo::default().forms(), []);
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(one, other)| ((*one).into(), (*other).into())).collect();
        let info = ServerInfo {
            contacts: pairs(&[("support", "xmpp:s@x.org"), ("abuse", "mailto:a@x.org"), ("abuse", "xmpp:a@x.org")]),
            outages: vec!["https://x.net/s.json".into()],
            policy: pairs(&[("auth_data", "hidden"), ("data_export", "true")]),
        };
        let limits = FormLimits { fields_max: 10, values_max: 20, bytes_max: 1000 };
        let shown: Vec<Form> = info.forms().iter().map(|form| Form::parse(form, &limits).unwrap()).collect();
        assert_eq!(shown[0].values("abuse-addresses"), ["mailto:a@x.org", "xmpp:a@x.org"]);
        assert_eq!(shown[0].values("support-addresses"), ["xmpp:s@x.org"]);
        assert_eq!(shown[0].form_type(), Some(SERVER_INFO));
        assert_eq!((shown[0].fields.len(), shown.len()), (3, 3));
        assert_eq!(shown[1].values("external-status-addresses"), ["https://x.net/s.json"]);
        assert_eq!(shown[2].value("auth_data"), Some("hidden"));
    }
}
