//! The verification string (XEP-0115 §5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::xml::{Element, namespaces as ns};

/// What is appended to a node's name by those who want to be notified of it.
const NOTIFY: &str = "+notify";

/// An answer that is to be ignored as a whole (XEP-0115 §5.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the answer has something twice")]
pub struct IllFormed;

/// What a service discovery answer comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verification {
    /// What is hashed.
    text: String,
    /// The nodes that are asked for with `+notify`.
    pub interests: Vec<String>,
    /// Whether the text can only have been made of an answer with these interests, so that its hash can speak for
    /// everybody who advertises it.
    ///
    /// The text separates with `<` and `/` what may hold these characters, and features from the contents of forms by
    /// nothing; so another answer can have the same hash (XEP-0115 §9.3 owns up to it). What counts here is which
    /// strings with `+notify` are features. That is certain if no string holds a `<`, and `+notify` occurs in features
    /// alone.
    pub is_certain: bool,
}

impl Verification {
    /// Builds the verification string of an answer (XEP-0115 §5.1), `<query/>` of service discovery.
    pub fn of(query: &Element) -> Result<Verification, IllFormed> {
        let children = |name| query.children().filter(move |child| child.name == name);
        let identities = sorted(children("identity").map(identity))?;
        let var = |feature: &Element| feature.attribute("var").unwrap_or_default().to_owned();
        let features = sorted(children("feature").map(var))?;
        let forms = forms(query)?;
        let mut text = String::new();
        let mut is_certain = true;
        for part in identities.iter().chain(&features).chain(forms.iter().flatten()) {
            is_certain &= !part.contains('<');
            text.push_str(part);
            text.push('<');
        }
        is_certain &= !identities.iter().chain(forms.iter().flatten()).any(|part| part.contains(NOTIFY));
        let interests = features.iter().filter_map(|feature| feature.strip_suffix(NOTIFY)).map(str::to_owned);
        Ok(Verification { interests: interests.collect(), text, is_certain })
    }

    /// The hash of it in Base64; `None` for a hash function that is not spoken here. The names are those of IANA.
    pub fn hash(&self, function: &str) -> Option<String> {
        let text = self.text.as_bytes();
        let hash = match function {
            "sha-1" => Sha1::digest(text).to_vec(),
            "sha-224" => Sha224::digest(text).to_vec(),
            "sha-256" => Sha256::digest(text).to_vec(),
            "sha-384" => Sha384::digest(text).to_vec(),
            "sha-512" => Sha512::digest(text).to_vec(),
            _ => return None,
        };
        Some(STANDARD.encode(hash))
    }

    /// Whether a hash function is spoken here.
    pub fn speaks(function: &str) -> bool {
        matches!(function, "sha-1" | "sha-224" | "sha-256" | "sha-384" | "sha-512")
    }
}

/// `category/type/lang/name`.
fn identity(identity: &Element) -> String {
    let attribute = |name| identity.attribute(name).unwrap_or_default();
    let lang = identity.attribute_in(ns::XML, "lang").unwrap_or_default();
    format!("{}/{}/{lang}/{}", attribute("category"), attribute("type"), attribute("name"))
}

/// Sorts by octets, and nothing may be there twice.
fn sorted(strings: impl Iterator<Item = String>) -> Result<Vec<String>, IllFormed> {
    let mut strings: Vec<_> = strings.collect();
    strings.sort_unstable();
    if strings.windows(2).any(|pair| pair[0] == pair[1]) { Err(IllFormed) } else { Ok(strings) }
}

/// The contents of the forms (XEP-0128), each as the strings that go into the text, sorted by FORM_TYPE.
fn forms(query: &Element) -> Result<Vec<Vec<String>>, IllFormed> {
    let is_form = |child: &&Element| child.name == "x" && child.namespace == ns::DATA_FORMS;
    let mut forms = Vec::new();
    for form in query.children().filter(is_form) {
        let fields = || form.children().filter(|child| child.name == "field");
        let is_type = |field: &&Element| field.attribute("var") == Some("FORM_TYPE");
        let Some(form_type) = fields().find(is_type) else { continue };
        let types = values(form_type);
        if types.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(IllFormed);
        }
        if form_type.attribute("type") != Some("hidden") {
            continue;
        }
        let Some(form_type) = types.into_iter().next() else { continue };
        let mut others: Vec<_> = fields().filter(|field| !is_type(field)).collect();
        others.sort_by(|one, other| one.attribute("var").cmp(&other.attribute("var")));
        let mut strings = vec![form_type];
        for field in others {
            strings.push(field.attribute("var").unwrap_or_default().to_owned());
            strings.extend(values(field));
        }
        forms.push(strings);
    }
    forms.sort_by(|one, other| one.first().cmp(&other.first()));
    if forms.windows(2).any(|pair| pair[0].first() == pair[1].first()) { Err(IllFormed) } else { Ok(forms) }
}

/// The values of a field, sorted.
fn values(field: &Element) -> Vec<String> {
    let mut values: Vec<_> = field.children().filter(|child| child.name == "value").map(Element::text).collect();
    values.sort_unstable();
    values
}
