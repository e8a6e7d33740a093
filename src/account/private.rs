//! Private XML storage (XEP-0049): what an account's clients keep for themselves.
//!
//! A request is read, then the storage is asked for what [`Request::read`] says, and [`Request::proceed`] takes it from
//! there.

use rondel_storage::{Outcome, Owner, ReadRequest, WriteRequest, private};

use super::delivery::IqType;
use super::unreadable;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// The namespace, advertised by a server that stores such data. The specification has no word on that; clients look
/// for it.
pub const FEATURES: &[&str] = &[NAMESPACE];

/// The namespace of its requests.
pub const NAMESPACE: &str = "jabber:iq:private";

/// What bounds what an account may keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrivateLimits {
    /// Names under which something is kept, at most. Also bounds the elements of one request.
    pub items_max: usize,
    /// Bytes of everything that is kept, names included.
    pub bytes_max: u64,
}

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// What is kept under this namespace and name?
    Get(private::Name),
    /// From now on these are kept; `None` removes. Each name once.
    Set(Vec<(private::Name, Option<private::Item>)>),
}

/// How it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The request is answered with this payload, which stands as it is in a client's stream.
    Answer(Vec<u8>),
    /// This is written, and the request then answered with an empty result. If it is refused
    /// ([`Outcome::Refused`]), something has changed meanwhile: [`Request::read`] again.
    Write(WriteRequest),
}

impl Request {
    /// Reads the payload of an IQ, `<query/>`. To somebody else's account the answer is [`Refusal::forbidden`] instead.
    pub fn parse(kind: IqType, query: &Element, limits: &PrivateLimits) -> Result<Request, Refusal> {
        // What is kept needs a namespace of its own, and at least one element has to be there (§2.3). The condition
        // that the specification names for its absence is one of streams; this is the one that it allows instead.
        let is_own = |element: &Element| !element.namespace.is_empty() && element.namespace != NAMESPACE;
        let count = query.children().count();
        if count == 0 || !query.children().all(is_own) {
            return Err(Refusal::not_acceptable());
        }
        let name = |element: &Element| (element.namespace.clone(), element.name.clone());
        match kind {
            IqType::Get => match query.children().next() {
                Some(element) if count == 1 => Ok(Request::Get(name(element))),
                _ => Err(Refusal::bad_request()),
            },
            IqType::Set => {
                if count > limits.items_max {
                    return Err(too_much());
                }
                let mut items: Vec<(private::Name, Option<private::Item>)> = Vec::new();
                for element in query.children() {
                    let name = name(element);
                    let at = items.iter().position(|(known, _)| *known == name).unwrap_or(items.len());
                    if at == items.len() {
                        items.push((name, None));
                    }
                    // An element with nothing in it reads the same as one that is not kept.
                    if !element.is_empty() {
                        let item = items[at].1.get_or_insert_with(|| private::Item { xml: Vec::new() });
                        element.write_to(&mut item.xml, ns::CLIENT);
                    }
                }
                Ok(Request::Set(items))
            }
            IqType::Result | IqType::Error => Err(Refusal::bad_request()),
        }
    }

    /// What has to be read for it.
    pub fn read(&self, owner: &Owner) -> ReadRequest {
        match self {
            Request::Get((namespace, name)) => private::get(owner, namespace, name),
            Request::Set(items) => private::prepare(owner, items.iter().map(|(name, _)| name)),
        }
    }

    /// Goes on with what was read.
    pub fn proceed(&self, owner: &Owner, outcome: Outcome, limits: &PrivateLimits) -> Result<Step, Refusal> {
        match self {
            Request::Get((namespace, name)) => {
                let item = private::decode(owner, namespace, name, outcome).map_err(unreadable)?;
                let mut answer = format!("<query xmlns='{NAMESPACE}'>").into_bytes();
                match item {
                    Some(item) => answer.extend_from_slice(&item.xml),
                    None => Element::new(name, namespace).write_to(&mut answer, NAMESPACE),
                }
                answer.extend_from_slice(b"</query>");
                Ok(Step::Answer(answer))
            }
            Request::Set(items) => {
                let change = private::Change::decode(owner, items, outcome).map_err(unreadable)?;
                let totals = change.totals();
                let is_too_much = totals.items > limits.items_max as u64 || totals.bytes > limits.bytes_max;
                // What is less than before is taken in any case: a limit may have been lowered.
                if is_too_much && change.grows() { Err(too_much()) } else { Ok(Step::Write(change.into_request())) }
            }
        }
    }
}

fn too_much() -> Refusal {
    Refusal::policy_violation().with_text("this is more than may be stored")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PrivateLimits = PrivateLimits { items_max: 2, bytes_max: 150 };

    fn owner() -> Owner {
        Owner::parse("hamlet@shakespeare.lit").unwrap()
    }

    fn parse(kind: IqType, children: &str) -> Result<Request, Refusal> {
        let xml = format!("<query xmlns='jabber:iq:private'>{children}</query>");
        Request::parse(kind, &Element::parse(xml.as_bytes()).unwrap(), &LIMITS)
    }

    /// A store in memory: what is kept under a key.
    #[derive(Default)]
    struct Kept(std::collections::HashMap<Vec<u8>, Vec<u8>>);

    impl Kept {
        /// Carries a request out; the payload of its answer, empty for none.
        fn run(&mut self, kind: IqType, children: &str) -> Result<String, Refusal> {
            let request = parse(kind, children)?;
            let outcome = match request.read(&owner()) {
                ReadRequest::Get(_, key) => Outcome::Value(self.0.get(&key).cloned()),
                ReadRequest::MultiGet(_, keys) => {
                    Outcome::Values(keys.iter().map(|key| self.0.get(key).cloned()).collect())
                }
                other => panic!("{other:?}"),
            };
            match request.proceed(&owner(), outcome, &LIMITS)? {
                Step::Answer(answer) => Ok(String::from_utf8(answer).unwrap()),
                Step::Write(write) => {
                    for operation in write.operations() {
                        match operation.clone() {
                            rondel_storage::Operation::Put(_, key, value) => self.0.insert(key, value),
                            rondel_storage::Operation::Delete(_, key) => self.0.remove(&key),
                            other => panic!("{other:?}"),
                        };
                    }
                    Ok(String::new())
                }
            }
        }
    }

    #[test]
    fn data_are_kept_and_returned() {
        // Examples 1 and 2.
        let mut kept = Kept::default();
        let prefs = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>";
        assert_eq!(kept.run(IqType::Set, prefs), Ok(String::new()));
        let answer = kept.run(IqType::Get, "<exodus xmlns='exodus:prefs'/>").unwrap();
        assert_eq!(answer, format!("<query xmlns='jabber:iq:private'>{prefs}</query>"));
        // Another name of the same namespace is another one.
        let answer = kept.run(IqType::Get, "<other xmlns='exodus:prefs'/>").unwrap();
        assert_eq!(answer, "<query xmlns='jabber:iq:private'><other xmlns='exodus:prefs'/></query>");
        // Nothing in it: nothing is kept any more.
        assert_eq!(kept.run(IqType::Set, "<exodus xmlns='exodus:prefs'/>"), Ok(String::new()));
        let answer = kept.run(IqType::Get, "<exodus xmlns='exodus:prefs'/>").unwrap();
        assert_eq!(answer, "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>");
    }

    #[test]
    fn several_elements_of_a_name_are_kept_together() {
        let mut kept = Kept::default();
        let both = "<a xmlns='b:c'>1</a><a xmlns='b:c' d='&apos;'>2</a>";
        assert_eq!(kept.run(IqType::Set, both), Ok(String::new()));
        let answer = kept.run(IqType::Get, "<a xmlns='b:c'/>").unwrap();
        assert_eq!(
            answer,
            "<query xmlns='jabber:iq:private'><a xmlns='b:c'>1</a><a xmlns='b:c' d='&#39;'>2</a></query>"
        );
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let refused = |kind, children: &str| parse(kind, children).unwrap_err().condition;
        // Example 4.
        assert_eq!(refused(IqType::Get, ""), "not-acceptable");
        assert_eq!(refused(IqType::Set, ""), "not-acceptable");
        assert_eq!(refused(IqType::Set, "<a xmlns='b:c'/><own/>"), "not-acceptable");
        assert_eq!(refused(IqType::Set, "<a xmlns=''/>"), "not-acceptable");
        assert_eq!(refused(IqType::Get, "<a xmlns='b:c'/><a xmlns='b:d'/>"), "bad-request");
        assert_eq!(refused(IqType::Result, "<a xmlns='b:c'/>"), "bad-request");
    }

    #[test]
    fn limits_hold() {
        let mut kept = Kept::default();
        let set = |kept: &mut Kept, children: &str| {
            let outcome = kept.run(IqType::Set, children);
            outcome.err().map(|refusal| refusal.condition)
        };
        assert_eq!(
            set(&mut kept, "<a xmlns='b:c'>1</a><a xmlns='b:d'>1</a><a xmlns='b:e'/>"),
            Some("policy-violation")
        );
        assert_eq!(set(&mut kept, "<a xmlns='b:c'>1</a><a xmlns='b:d'>1</a>"), None);
        assert_eq!(set(&mut kept, "<a xmlns='b:e'>1</a>"), Some("policy-violation"));
        assert_eq!(set(&mut kept, "<a xmlns='b:c'/><a xmlns='b:e'>1</a>"), None);
        let long = "x".repeat(200);
        assert_eq!(set(&mut kept, &format!("<a xmlns='b:e'>{long}</a>")), Some("policy-violation"));
        let longer = "x".repeat(60);
        assert_eq!(set(&mut kept, &format!("<a xmlns='b:e'>{longer}</a>")), None);
        assert_eq!(set(&mut kept, &format!("<a xmlns='b:d'>{longer}</a>")), Some("policy-violation"));
    }
}
