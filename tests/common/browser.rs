//! What a browser without scripts does with the web pages: asks for them, keeps cookies, sends forms.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::tls::{TlsStream, config};
use super::{PATIENCE, Raw, Server};

/// The site of a server, seen from an address of this machine.
pub struct Browser<'s> {
    server: &'s Server,
    site: SocketAddr,
    from: IpAddr,
    pub cookie: Option<String>,
    raw: Option<Raw<TlsStream>>,
}

/// What was answered.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    /// In lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split_once('"')?.0)
    }
}

impl<'s> Browser<'s> {
    pub fn of(server: &'s mut Server, from: &str) -> Browser<'s> {
        let line = server.wait_for_log(|line| line.contains("\"listening\"") && line.contains("\"https\""));
        let site = super::address_in(&line);
        Browser { server, site, from: from.parse().unwrap(), cookie: None, raw: None }
    }

    /// The same site from another address, as somebody else.
    pub fn another(&self, from: &str) -> Browser<'s> {
        Browser { server: self.server, site: self.site, from: from.parse().unwrap(), cookie: None, raw: None }
    }

    pub fn site(&self) -> SocketAddr {
        self.site
    }

    pub fn server(&self) -> &'s Server {
        self.server
    }

    pub fn get(&mut self, path: &str) -> Page {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), &[], "")
    }

    /// Sends a form as a browser sends it.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = format!("https://localhost:{}", self.site.port());
        self.post_with(path, fields, &[("Origin", &origin), ("Sec-Fetch-Site", "same-origin")])
    }

    pub fn post_with(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        self.ask(&format!("POST {path} HTTP/1.1\r\n"), &[&kind, headers].concat(), &body)
    }

    /// Fills in the form of a page, and sends it.
    pub fn register(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = self.get(path);
        let seal = form.hidden("seal").unwrap_or_else(|| panic!("no form: {form:?}")).to_owned();
        let token = form.hidden("t").map(str::to_owned);
        let token: Vec<_> = token.iter().map(|token| ("t", token.as_str())).collect();
        self.post("/register", &[&[("seal", seal.as_str())], &token[..], fields].concat())
    }

    /// Sends a request line and headers, and reads the answer. The connection is kept for the next one.
    pub fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &str) -> Page {
        let mut raw = self.raw.take().unwrap_or_else(|| self.connect());
        let mut request = line.to_owned();
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: localhost:{}\r\n", self.site.port());
        }
        request.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        request.extend(self.cookie.iter().map(|cookie| format!("Cookie: {cookie}\r\n")));
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        raw.say(&format!("{request}\r\n{body}"));
        let head = raw.hear("\r\n\r\n");
        let mut lines = head.trim_end().lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut page = Page { status, headers, text: String::new() };
        let length = page.header("content-length").map_or(0, |length| length.parse().unwrap());
        if page.header("transfer-encoding") == Some("chunked") {
            page.text = chunks(&mut raw);
        } else if !line.starts_with("HEAD") {
            page.text = raw.hear_bytes(length);
        }
        if let Some(cookie) = page.header("set-cookie") {
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        if page.header("connection") != Some("close") {
            self.raw = Some(raw);
        }
        page
    }

    /// A connection to the site.
    pub fn connect(&self) -> Raw<TlsStream> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::new(self.from, 0)).unwrap();
        connect(&socket, &self.site).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut config = config(self.server, &rustls::version::TLS13);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        Raw::over(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream))
    }
}

/// A body that comes in pieces (RFC 9112 §7.1).
fn chunks(raw: &mut Raw<TlsStream>) -> String {
    let mut text = String::new();
    loop {
        let size = raw.hear("\r\n");
        let piece = raw.hear_bytes(usize::from_str_radix(size.trim(), 16).unwrap());
        raw.hear("\r\n");
        if piece.is_empty() {
            return text;
        }
        text += &piece;
    }
}
