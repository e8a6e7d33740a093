//! Reading XEP-0227: piece after piece of a file, and of those that it includes (XInclude).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use xml::reader::{EventReader, ParserConfig, XmlEvent};

use super::export::{PIE, PIE_ARCHIVE};
use super::pieces::{self, Unknown};
use super::{Piece, percent_decoded};
use crate::xml::{Builder, Element, namespaces as ns};

/// The namespace of inclusion.
const XINCLUDE: &str = "http://www.w3.org/2001/XInclude";

/// How deep files may include each other: the server's, a host's, a user's.
const FILES_DEEP: usize = 4;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}:{column}: {text}", .path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1 on.
    pub line: u64,
    /// The place in it, from 1 on.
    pub column: u64,
    /// What is wrong.
    pub text: String,
}

/// What is wrong: in this file, or in one that it includes.
enum Wrong {
    Here(String),
    There(ReadError),
}

impl From<String> for Wrong {
    fn from(text: String) -> Wrong {
        Wrong::Here(text)
    }
}

/// Where in a file the reader is.
#[derive(Clone, Debug, PartialEq)]
enum Level {
    /// In `<server-data/>`.
    Server,
    /// In `<host/>`, of this domain.
    Host(String),
    /// In `<user/>`.
    User,
    /// In something that a user has many of, told one by one.
    Many(Many),
    /// In `<items/>` of this node.
    Items(String),
    /// In what nobody here knows.
    Unknown,
}

/// What a user has many of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Many {
    Roster,
    Private,
    Offline,
    Archive,
    /// The configurations of nodes, which stand together with the people.
    Nodes,
    Items,
}

/// Reads a file.
pub struct Pie<'t> {
    tell: &'t mut dyn FnMut(Piece) -> Result<(), String>,
    unknown: Unknown,
}

impl<'t> Pie<'t> {
    /// Whoever is told of each piece may end it all.
    pub fn new(tell: &'t mut dyn FnMut(Piece) -> Result<(), String>) -> Pie<'t> {
        Pie { tell, unknown: Unknown::default() }
    }

    /// Reads a file. Answers what was in it that is not known here.
    pub fn read(mut self, path: &Path) -> Result<Unknown, ReadError> {
        self.file(path, &mut Vec::new(), 0)?;
        Ok(self.unknown)
    }

    fn file(&mut self, path: &Path, levels: &mut Vec<Level>, depth: usize) -> Result<(), ReadError> {
        let fail = |text: String| ReadError { path: path.to_owned(), line: 1, column: 1, text };
        let file = File::open(path).map_err(|error| fail(error.to_string()))?;
        let config = ParserConfig::new().cdata_to_characters(true).ignore_comments(true);
        let mut reader = EventReader::new_with_config(BufReader::with_capacity(1 << 20, file), config);
        self.events(&mut reader, path, levels, depth).map_err(|error| match error {
            Wrong::There(error) => error,
            Wrong::Here(text) => {
                use xml::common::Position;
                let at = reader.position();
                ReadError { path: path.to_owned(), line: at.row + 1, column: at.column + 1, text }
            }
        })
    }

    fn events<R: Read>(
        &mut self,
        reader: &mut EventReader<R>,
        path: &Path,
        levels: &mut Vec<Level>,
        depth: usize,
    ) -> Result<(), Wrong> {
        let outside = levels.len();
        let mut builder = Builder::default();
        loop {
            let event = reader.next().map_err(|error| error.msg().to_string())?;
            match &event {
                XmlEvent::EndDocument => return Ok(()),
                XmlEvent::StartElement { .. } if !builder.is_within() => {
                    let mut opened = Builder::default();
                    opened.take(event.clone()).map_err(|error| error.to_string())?;
                    let start = opened.take(XmlEvent::EndElement { name: name_of(&event) });
                    let start = start.ok().flatten().ok_or_else(|| "an element is expected".to_owned())?;
                    if is(&start, "include", XINCLUDE)
                        && matches!(levels.last(), Some(Level::Server | Level::Host(_) | Level::User))
                    {
                        let next = included(path, &start)?;
                        if depth + 1 >= FILES_DEEP {
                            return Err("files include each other too deep".to_owned().into());
                        }
                        self.file(&next, levels, depth + 1).map_err(Wrong::There)?;
                        levels.push(Level::Unknown);
                    } else if let Some(level) = self.enter(&start, levels.last())? {
                        levels.push(level);
                    } else {
                        builder.take(event).map_err(|error| error.to_string())?;
                    }
                }
                XmlEvent::EndElement { .. } if !builder.is_within() => {
                    if levels.len() > outside && levels.pop() == Some(Level::User) {
                        (self.tell)(Piece::End)?;
                    }
                }
                _ => {
                    if let Some(element) = builder.take(event).map_err(|error| error.to_string())? {
                        self.element(&element, levels.last())?;
                    }
                }
            }
        }
    }

    /// An element begins. Where the reader is then, or none if the element is one piece.
    fn enter(&mut self, start: &Element, level: Option<&Level>) -> Result<Option<Level>, String> {
        Ok(Some(match level {
            None if is(start, "server-data", PIE) => Level::Server,
            None => return Err(format!("<server-data xmlns='{PIE}'> is expected, not <{}>", start.name)),
            Some(Level::Server) if is(start, "host", PIE) => {
                Level::Host(start.attribute("jid").ok_or("a host without its jid")?.to_owned())
            }
            Some(Level::Host(domain)) if is(start, "user", PIE) => {
                let local = start.attribute("name").ok_or("a user without a name")?.to_owned();
                (self.tell)(Piece::Begin { local, domain: domain.clone() })?;
                if let Some(password) = start.attribute("password").filter(|password| !password.is_empty()) {
                    (self.tell)(pieces::password(password))?;
                }
                Level::User
            }
            Some(Level::Server | Level::Host(_)) => {
                self.unknown.note(start);
                Level::Unknown
            }
            Some(Level::User) => match (&*start.name, &*start.namespace) {
                ("query", ns::ROSTER) => Level::Many(Many::Roster),
                ("query", "jabber:iq:private") => Level::Many(Many::Private),
                ("offline-messages", PIE) => Level::Many(Many::Offline),
                ("archive", PIE_ARCHIVE) => Level::Many(Many::Archive),
                ("pubsub", ns::PUBSUB_OWNER) => Level::Many(Many::Nodes),
                ("pubsub", ns::PUBSUB) => Level::Many(Many::Items),
                _ => return Ok(None),
            },
            Some(Level::Many(Many::Items)) if is(start, "items", ns::PUBSUB) => {
                Level::Items(start.attribute("node").unwrap_or_default().to_owned())
            }
            Some(Level::Many(_) | Level::Items(_)) => return Ok(None),
            Some(Level::Unknown) => Level::Unknown,
        }))
    }

    /// A piece has ended.
    fn element(&mut self, element: &Element, level: Option<&Level>) -> Result<(), String> {
        let unknown = &mut self.unknown;
        let piece = match level {
            Some(Level::User) => return pieces::of_user(element, unknown).into_iter().try_for_each(&mut *self.tell),
            Some(Level::Many(Many::Roster)) => pieces::contact(element),
            Some(Level::Many(Many::Private)) => Some(Piece::Private(element.clone())),
            Some(Level::Many(Many::Offline)) => pieces::offline(element),
            Some(Level::Many(Many::Archive)) => pieces::archived(element),
            Some(Level::Many(Many::Nodes)) => pieces::node(element),
            Some(Level::Items(node)) => pieces::item(node, element),
            _ => None,
        };
        match piece {
            Some(piece) => (self.tell)(piece),
            None => {
                unknown.note(element);
                Ok(())
            }
        }
    }
}

fn name_of(event: &XmlEvent) -> xml::name::OwnedName {
    match event {
        XmlEvent::StartElement { name, .. } => name.clone(),
        _ => xml::name::OwnedName::local(""),
    }
}

fn is(element: &Element, name: &str, namespace: &str) -> bool {
    element.name == name && element.namespace == namespace
}

/// The file that an inclusion names, within the folder of the one that it stands in (XEP-0227 §5).
fn included(path: &Path, include: &Element) -> Result<PathBuf, String> {
    let href = include.attribute("href").ok_or("an inclusion without href")?;
    if include.attribute("parse").is_some_and(|parse| parse != "xml") || include.attribute("xpointer").is_some() {
        return Err(format!("{href}: only whole XML files can be included"));
    }
    // What is no escape stands for itself.
    let href = percent_decoded(href).unwrap_or_else(|| href.to_owned());
    let is_within = Path::new(&href).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_within || href.contains("://") {
        return Err(format!("{href}: is not a file in the folder of this one"));
    }
    Ok(path.parent().unwrap_or(Path::new("")).join(href))
}
