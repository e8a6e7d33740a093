//! Reading the trees of plain elements: those without prefixes, references and sections, of which nearly everything is
//! that clients ask of a server. What is not plain is left to xml-rs, which takes twenty times as long.
//!
//! Only for elements that the framer has let pass: nothing is checked here once more.

use super::element::Element;
use super::namespaces;

/// Reads an element where `default` is the default namespace. `None` for what is not plain.
pub(super) fn read(bytes: &[u8], default: &str) -> Option<Element> {
    let mut rest = std::str::from_utf8(bytes).ok()?;
    let mut open: Vec<Element> = Vec::new();
    loop {
        let (text, tag) = split(rest, |byte| byte == b'<')?;
        if text.bytes().any(|byte| matches!(byte, b'&' | b'\r')) {
            return None;
        }
        if let (Some(parent), false) = (open.last_mut(), text.is_empty()) {
            parent.push_text(text);
        }
        let finished;
        if let Some(end) = tag.strip_prefix("</") {
            finished = open.pop()?;
            rest = split(end, |byte| byte == b'>')?.1.strip_prefix('>')?;
        } else {
            let (element, behind) = start_tag(tag, open.last().map_or(default, |parent| &parent.namespace))?;
            match behind.strip_prefix("/>") {
                Some(behind) => {
                    finished = element;
                    rest = behind;
                }
                None => {
                    open.push(element);
                    rest = behind.strip_prefix('>')?;
                    continue;
                }
            }
        }
        match open.last_mut() {
            Some(parent) => parent.push_child(finished),
            None => return Some(finished),
        }
    }
}

/// Reads `<name attributes`; what stands behind is `>…` or `/>…`.
fn start_tag<'a>(tag: &'a str, default: &str) -> Option<(Element, &'a str)> {
    let ends_name = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    let (name, mut rest) = split(tag.strip_prefix('<')?, ends_name)?;
    // A section begins with an exclamation mark.
    if name.bytes().any(|byte| matches!(byte, b':' | b'!')) {
        return None;
    }
    let mut element = Element::new(name, default);
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with(['/', '>']) {
            return Some((element, rest));
        }
        let (name, behind) = split(rest, |byte| byte.is_ascii_whitespace() || byte == b'=')?;
        let quoted = behind.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
        let quote = *quoted.as_bytes().first()?;
        let (value, behind) = split(quoted.get(1..)?, |byte| byte == quote)?;
        if value.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')) {
            return None;
        }
        match name.split_once(':') {
            None if name == "xmlns" => element.namespace = value.to_owned(),
            None => element.push_attribute("", name, value),
            // No name of the element has this prefix.
            Some(("xmlns", _)) => {}
            Some(("xml", name)) => element.push_attribute(namespaces::XML, name, value),
            Some(_) => return None,
        }
        rest = behind.get(1..)?;
    }
}

/// What stands before the first byte that fits, and what from there on.
fn split(text: &str, fits: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    text.split_at_checked(text.bytes().position(fits)?)
}
