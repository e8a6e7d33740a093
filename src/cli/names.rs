//! Domains as an operator types them, brought into the one form that is compared and stored.

/// A domain in the form of RFC 7622 §3.2: lower case, without a dot at the end, internationalised labels in Unicode. An
/// error says what would be right.
pub fn domain(text: &str) -> Result<String, String> {
    let right = || "a domain, such as example.org".to_owned();
    let text = text.strip_suffix('.').unwrap_or(text);
    let (domain, result) = idna::domain_to_unicode(text);
    // The limits of DNS hold for the ASCII form of each label (RFC 7622 §3.2.1, RFC 1034 §3.1).
    let ascii = idna::domain_to_ascii_strict(&domain).map_err(|_| right())?;
    if result.is_err() || ascii.is_empty() || ascii.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(right());
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form() {
        assert_eq!(domain("Example.ORG."), Ok("example.org".into()));
        assert_eq!(domain("localhost"), Ok("localhost".into()));
        assert_eq!(domain("xn--bcher-kva.example"), Ok("bücher.example".into()));
        assert_eq!(domain("BÜCHER.example"), Ok("bücher.example".into()));
        let long = "a".repeat(64);
        for wrong in ["", ".", "a..b", "-a.org", "a b.org", "a_b.org", "user@example.org", "1.2.3.4", "a/b", &long] {
            assert!(domain(wrong).is_err(), "{wrong}");
        }
    }
}
