//! Flags of `rondel serve`: web pages.

use std::net::SocketAddr;

use clap::Args;

use super::registration::{NetworkSource, network_source, networks};
use super::{names, values};
use crate::http::Site;

/// Web pages.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Web pages")]
pub struct Web {
    /// Where to listen for browsers, with the certificates of the domains: for the page to register on, and the pages
    /// of invitations; repeat it for several. Without it: nowhere.
    #[arg(long, env = "RONDEL_HTTPS", value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    #[arg(value_delimiter = ',')]
    pub https: Vec<SocketAddr>,

    /// Where the pages are found from outside, if it is not under the name of the domain and on the first port of
    /// --https, such as https://xmpp.example.org; with several domains, example.org=https://xmpp.example.org. Repeat it
    /// for several.
    #[arg(long, env = "RONDEL_HTTPS_URL", value_name = "[DOMAIN=]URL", value_parser = url, value_delimiter = ',')]
    pub https_url: Vec<(Option<String>, String)>,

    /// Addresses and networks, or a file of them, of proxies that ask on behalf of browsers: what they say in
    /// X-Forwarded-For is believed, and limits hold for whom they name. Repeat it for several.
    #[arg(long, env = "RONDEL_HTTPS_PROXY", value_name = "NETWORK|FILE", value_parser = network_source)]
    #[arg(value_delimiter = ',')]
    pub https_proxy: Vec<NetworkSource>,
}

impl Web {
    /// The pages, if there are any. On the domain without accounts, if one is, there are none. An error says what to
    /// change.
    pub fn site(&self, domains: &[String], anonymous: Option<&str>) -> Result<Option<Site>, String> {
        if self.https.is_empty() {
            return Ok(None);
        }
        let urls: Vec<(String, String)> = self
            .https_url
            .iter()
            .filter_map(|(domain, url)| Some((domain.as_ref().or(domains.first())?.clone(), url.clone())))
            .collect();
        let domains: Vec<String> =
            domains.iter().filter(|domain| Some(domain.as_str()) != anonymous).cloned().collect();
        let site = Site::new(&domains, &urls, networks("--https-proxy", &self.https_proxy)?);
        site.set_port(self.https[0].port());
        Ok(Some(site))
    }

    /// What does not fit to the domains that are served.
    pub fn check(&self, domains: &[String]) -> Result<(), String> {
        if self.https.is_empty() && !(self.https_url.is_empty() && self.https_proxy.is_empty()) {
            return Err("--https-url and --https-proxy say nothing without --https".into());
        }
        match self.https_url.iter().find_map(|(domain, _)| domain.as_ref().filter(|domain| !domains.contains(domain))) {
            Some(domain) => Err(format!("--https-url: {domain:?} is not served; name one of {}", domains.join(", "))),
            None => Ok(()),
        }
    }
}

/// Where a domain is found: the beginning of an address, without what stands behind it.
fn url(text: &str) -> Result<(Option<String>, String), String> {
    let right = || "an address such as https://xmpp.example.org, perhaps with the domain and = before it".to_owned();
    let (domain, url) = match text.split_once('=') {
        Some((domain, url)) => (Some(names::domain(domain).map_err(|_| right())?), url),
        None => (None, text),
    };
    let url = url.strip_suffix('/').unwrap_or(url);
    let authority = url.strip_prefix("https://").filter(|authority| !authority.is_empty()).ok_or_else(right)?;
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    if !authority.bytes().all(is_known) {
        return Err(right());
    }
    Ok((domain, url.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::{serve, usage};

    #[test]
    fn addresses_of_pages_name_the_host_and_the_port() {
        let url = |flags: &str, domain: &str| {
            let options = serve(&format!("--dev --domain a.org --domain bücher.example {flags}"));
            options.web.site(&options.domain, None).unwrap().map(|site| site.registration_url(domain))
        };
        assert_eq!(url("", "a.org"), None);
        assert_eq!(url("--https 127.0.0.1:5443", "a.org").as_deref(), Some("https://a.org:5443/register"));
        let idn = "https://xn--bcher-kva.example/register";
        assert_eq!(url("--https 127.0.0.1:443", "bücher.example").as_deref(), Some(idn));
        let flags = "--https [::1]:5443 --https-url https://x.a.org/ --https-url bücher.example=https://b.org:444";
        assert_eq!(url(flags, "a.org").as_deref(), Some("https://x.a.org/register"));
        assert_eq!(url(flags, "bücher.example").as_deref(), Some("https://b.org:444/register"));
    }

    #[test]
    fn what_is_no_address_of_pages_is_one_line() {
        for (flags, wrong) in [
            ("--https-url https://x.org", "say nothing without --https"),
            ("--https 127.0.0.1:1 --https-url http://x.org", "--https-url"),
            ("--https 127.0.0.1:1 --https-url https://x.org/path", "--https-url"),
            ("--https 127.0.0.1:1 --https-url b.org=https://x.org", "\"b.org\" is not served; name one of localhost"),
            ("--https 192.0.2.1:1", "--dev: 192.0.2.1:1 is not a loopback address"),
        ] {
            let line = usage(&format!("serve --dev {flags}"));
            assert!(line.contains(wrong) && line.lines().count() == 1, "{flags}: {line}");
        }
        let line = usage("serve --domain a.org --insecure-plaintext --https 127.0.0.1:1");
        assert!(line.contains("--https needs --tls-cert and --tls-key"), "{line}");
    }
}
