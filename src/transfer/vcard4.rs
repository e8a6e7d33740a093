//! vCards of the fourth version as XML (RFC 6351), which accounts publish (XEP-0292), made into those of XEP-0054 that
//! everybody can ask for.

use crate::xml::{Element, namespaces as ns};

/// The node in which an account publishes its card (XEP-0292 §2.2).
pub const NODE: &str = "urn:xmpp:vcard4";

/// The namespace of the card (RFC 6351 §4).
const NAMESPACE: &str = "urn:ietf:params:xml:ns:vcard-4.0";

/// What is one text in both: its name, of what type it is, and its name in the older card.
const TEXTS: [(&str, &str, &str); 9] = [
    ("fn", "text", "FN"),
    ("nickname", "text", "NICKNAME"),
    ("title", "text", "TITLE"),
    ("role", "text", "ROLE"),
    ("note", "text", "NOTE"),
    ("url", "uri", "URL"),
    ("bday", "date", "BDAY"),
    ("bday", "text", "BDAY"),
    ("tz", "text", "TZ"),
];

/// The parts of a name (RFC 6351 §5.3).
const NAME: [(&str, &str); 5] =
    [("surname", "FAMILY"), ("given", "GIVEN"), ("additional", "MIDDLE"), ("prefix", "PREFIX"), ("suffix", "SUFFIX")];

/// The parts of a postal address.
const ADDRESS: [(&str, &str); 7] = [
    ("pobox", "POBOX"),
    ("ext", "EXTADD"),
    ("street", "STREET"),
    ("locality", "LOCALITY"),
    ("region", "REGION"),
    ("code", "PCODE"),
    ("country", "CTRY"),
];

/// For what an address or a number is, in both.
const TYPES: [(&str, &str); 7] = [
    ("home", "HOME"),
    ("work", "WORK"),
    ("voice", "VOICE"),
    ("fax", "FAX"),
    ("cell", "CELL"),
    ("pager", "PAGER"),
    ("video", "VIDEO"),
];

/// The older card that says the same, as far as it can.
pub fn vcard_temp(card: &Element) -> Element {
    let fields = card.children().filter(|field| field.namespace == NAMESPACE).filter_map(field);
    fields.fold(Element::new("vCard", ns::VCARD), Element::with_child)
}

fn field(field: &Element) -> Option<Element> {
    let texts = TEXTS.iter().filter(|(name, ..)| *name == field.name);
    if let Some(text) = texts.filter_map(|(_, kind, older)| Some(older_text(older, &part(field, kind)?))).next() {
        return Some(text);
    }
    match &*field.name {
        "n" => parts(field, "N", &NAME),
        "adr" => parts(field, "ADR", &ADDRESS).map(|address| with_types(address, field)),
        "email" => {
            let email = Element::new("EMAIL", ns::VCARD).with_child(Element::new("INTERNET", ns::VCARD));
            Some(with_types(email, field).with_child(older_text("USERID", &part(field, "text")?)))
        }
        "tel" => {
            let number = part(field, "uri").or_else(|| part(field, "text"))?;
            let number = number.strip_prefix("tel:").unwrap_or(&number);
            let phone = with_types(Element::new("TEL", ns::VCARD), field);
            Some(phone.with_child(older_text("NUMBER", number)))
        }
        "org" => {
            let mut names = field.children().filter(|name| name.name == "text").map(Element::text);
            let company = Element::new("ORG", ns::VCARD).with_child(older_text("ORGNAME", &names.next()?));
            Some(names.fold(company, |company, unit| company.with_child(older_text("ORGUNIT", &unit))))
        }
        "impp" => Some(older_text("JABBERID", part(field, "uri")?.strip_prefix("xmpp:")?)),
        _ => None,
    }
}

fn older_text(name: &str, text: &str) -> Element {
    Element::new(name, ns::VCARD).with_text(text)
}

/// A part of a field, if there is something in it.
fn part(field: &Element, name: &str) -> Option<String> {
    let text = field.child(name, NAMESPACE)?.text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// A field of several parts; none if all of them are empty.
fn parts(field: &Element, name: &str, names: &[(&str, &str)]) -> Option<Element> {
    let parts = names.iter().filter_map(|(name, older)| Some(older_text(older, &part(field, name)?)));
    let older = parts.fold(Element::new(name, ns::VCARD), Element::with_child);
    (!older.is_empty()).then_some(older)
}

/// The same, and for what it is (RFC 6351 §5: a parameter).
fn with_types(older: Element, field: &Element) -> Element {
    let parameter = field.child("parameters", NAMESPACE).and_then(|all| all.child("type", NAMESPACE));
    let types = parameter.into_iter().flat_map(Element::children).map(Element::text);
    let known = types.filter_map(|kind| TYPES.iter().find(|(name, _)| kind.trim().eq_ignore_ascii_case(name)));
    known.fold(older, |older, (_, name)| older.with_child(Element::new(name, ns::VCARD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn older(content: &str) -> String {
        let card = format!("<vcard xmlns='{NAMESPACE}'>{content}</vcard>");
        let mut out = Vec::new();
        vcard_temp(&Element::parse(card.as_bytes()).unwrap()).write_to(&mut out, ns::VCARD);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_card_as_in_xep_0292() {
        let card = older(
            "<fn><text>Peter Saint-Andre</text></fn><n><surname>Saint-Andre</surname><given>Peter</given>\
             <additional/></n><nickname><text>stpeter</text></nickname>\
             <photo><uri>https://stpeter.im/images/stpeter_oscon.jpg</uri></photo><bday><date>1966-08-06</date></bday>\
             <adr><parameters><type><text>work</text><text>voice</text></type></parameters><ext>Suite 600</ext>\
             <street>1899 Wynkoop Street</street><locality>Denver</locality><region>CO</region><code>80202</code>\
             <country>USA</country></adr><tel><parameters><type><text>work</text><text>cell</text></type></parameters>\
             <uri>tel:+1-303-308-3282</uri></tel><email><parameters><type><text>home</text></type></parameters>\
             <text>stpeter@jabber.org</text></email><impp><uri>xmpp:stpeter@jabber.org</uri></impp>\
             <title><text>Executive Director</text></title><org><text>XSF</text><text>Council</text></org>\
             <url><uri>https://stpeter.im/</uri></url><note><text>More &amp; more</text></note>",
        );
        let expected = "<vCard><FN>Peter Saint-Andre</FN><N><FAMILY>Saint-Andre</FAMILY><GIVEN>Peter</GIVEN></N>\
            <NICKNAME>stpeter</NICKNAME><BDAY>1966-08-06</BDAY><ADR><EXTADD>Suite 600</EXTADD>\
            <STREET>1899 Wynkoop Street</STREET><LOCALITY>Denver</LOCALITY><REGION>CO</REGION><PCODE>80202</PCODE>\
            <CTRY>USA</CTRY><WORK/><VOICE/></ADR><TEL><WORK/><CELL/><NUMBER>+1-303-308-3282</NUMBER></TEL>\
            <EMAIL><INTERNET/><HOME/><USERID>stpeter@jabber.org</USERID></EMAIL>\
            <JABBERID>stpeter@jabber.org</JABBERID><TITLE>Executive Director</TITLE>\
            <ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>Council</ORGUNIT></ORG><URL>https://stpeter.im/</URL>\
            <NOTE>More &amp; more</NOTE></vCard>";
        assert_eq!(card, expected);
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let empty = "<fn/><fn><text> </text></fn><n><surname/></n><email/><tel/><org/><impp><uri>sip:a@b</uri></impp>\
                     <gender><text>F</text></gender><fn xmlns='other'><text>x</text></fn>";
        assert_eq!(older(empty), "<vCard/>");
        assert_eq!(older("<bday><text>in spring</text></bday>"), "<vCard><BDAY>in spring</BDAY></vCard>");
        assert_eq!(older("<tel><text>112</text></tel>"), "<vCard><TEL><NUMBER>112</NUMBER></TEL></vCard>");
    }
}
