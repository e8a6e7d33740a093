//! What can be wrong with the XML of a stream, and the stream error that answers it.

use std::fmt;

/// A mistake in the XML of a stream, after which the stream cannot go on.
///
/// Each one is a stream error condition of RFC 6120 §4.9.3; the text, where there is one, says which rule was broken
/// and never repeats what the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// The XML breaks a rule of XML 1.0 or of Namespaces in XML 1.0 (RFC 6120 §4.9.3.13, §11.3).
    NotWellFormed(&'static str),
    /// A comment, processing instruction, document type or entity that XMPP forbids (RFC 6120 §4.9.3.18, §11.1).
    RestrictedXml(&'static str),
    /// The stream is not in UTF-8, or says that it is not (RFC 6120 §4.9.3.22, §11.6).
    UnsupportedEncoding,
    /// The stream or its content is in another namespace than agreed (RFC 6120 §4.9.3.10).
    InvalidNamespace,
    /// The stream element has no prefix (RFC 6120 §4.9.3.2).
    BadNamespacePrefix,
    /// Well-formed XML that cannot stand where it was sent (RFC 6120 §4.9.3.1).
    BadFormat(&'static str),
    /// A limit of this server was passed: size, depth, attributes, elements (RFC 6120 §4.9.3.14).
    PolicyViolation(&'static str),
}

impl XmlError {
    /// The name of the stream error condition's element, in the namespace `urn:ietf:params:xml:ns:xmpp-streams`.
    pub fn condition(&self) -> &'static str {
        match self {
            XmlError::NotWellFormed(_) => "not-well-formed",
            XmlError::RestrictedXml(_) => "restricted-xml",
            XmlError::UnsupportedEncoding => "unsupported-encoding",
            XmlError::InvalidNamespace => "invalid-namespace",
            XmlError::BadNamespacePrefix => "bad-namespace-prefix",
            XmlError::BadFormat(_) => "bad-format",
            XmlError::PolicyViolation(_) => "policy-violation",
        }
    }

    /// The rule that was broken, fit for the `<text/>` of a stream error and for the log; empty if the condition says
    /// it all.
    pub fn text(&self) -> &'static str {
        match self {
            XmlError::NotWellFormed(text)
            | XmlError::RestrictedXml(text)
            | XmlError::BadFormat(text)
            | XmlError::PolicyViolation(text) => text,
            XmlError::UnsupportedEncoding | XmlError::InvalidNamespace | XmlError::BadNamespacePrefix => "",
        }
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.condition())?;
        if !self.text().is_empty() {
            write!(formatter, ": {}", self.text())?;
        }
        Ok(())
    }
}

impl std::error::Error for XmlError {}
