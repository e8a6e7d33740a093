//! The engine against a naive model: nodes are lists of items, and every request does to them what XEP-0060 says.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A node: its items, oldest first, and its configuration.
#[derive(Clone, Debug, Default)]
struct Node {
    items: Vec<(String, String)>,
    max: Option<usize>,
    is_transient: bool,
    rejects: bool,
}

impl Node {
    fn max(&self, limits: &PubsubLimits) -> usize {
        self.max.unwrap_or(limits.items_max_per_node as usize)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u8, Option<u8>, u8),
    Retract(u8, u8),
    Purge(u8),
    Delete(u8),
    Create(u8),
    MaxItems(u8, Option<u8>),
    Persist(u8, bool),
    Full(u8, bool),
    /// The clock jumps, forwards or back.
    Clock(i8),
}

fn step() -> impl Strategy<Value = Step> {
    let (node, id) = (0u8..3, 0u8..6);
    prop_oneof![
        12 => (node.clone(), prop::option::weighted(0.8, id.clone()), any::<u8>())
            .prop_map(|(node, id, text)| Step::Publish(node, id, text)),
        4 => (node.clone(), id).prop_map(|(node, id)| Step::Retract(node, id)),
        1 => node.clone().prop_map(Step::Purge),
        1 => node.clone().prop_map(Step::Delete),
        1 => node.clone().prop_map(Step::Create),
        3 => (node.clone(), prop::option::of(1u8..5)).prop_map(|(node, max)| Step::MaxItems(node, max)),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, persist)| Step::Persist(node, persist)),
        1 => (node, any::<bool>()).prop_map(|(node, rejects)| Step::Full(node, rejects)),
        1 => any::<i8>().prop_map(Step::Clock),
    ]
}

type Model = BTreeMap<String, Node>;

/// Carries out a step on the model: the error it ends with, if it does.
fn expected(model: &mut Model, step: &Step, fresh: &str, limits: &PubsubLimits) -> Option<PubsubError> {
    const UNSUPPORTED: PubsubError = PubsubError::unsupported("persistent-items");
    let name = |node: &u8| format!("node{node}");
    let existing = |model: &Model, node: &u8| model.contains_key(&name(node));
    match step {
        Step::Publish(node, id, text) => {
            let node = model.entry(name(node)).or_insert_with(|| Node { max: Some(1), ..Node::default() });
            let id = id.map_or_else(|| fresh.to_owned(), |id| format!("id{id}"));
            if node.is_transient {
                return None;
            }
            let is_there = node.items.iter().any(|(of, _)| *of == id);
            if node.rejects && !is_there && node.items.len() >= node.max(limits) {
                return Some(PubsubError::NODE_FULL);
            }
            node.items.retain(|(of, _)| *of != id);
            node.items.push((id, payload(&text.to_string())));
            let too_many = node.items.len().saturating_sub(node.max(limits));
            node.items.drain(..too_many);
        }
        Step::Retract(node, id) => {
            let Some(node) = model.get_mut(&name(node)) else { return Some(PubsubError::ITEM_NOT_FOUND) };
            if node.is_transient {
                return Some(UNSUPPORTED);
            }
            let before = node.items.len();
            node.items.retain(|(of, _)| *of != format!("id{id}"));
            if node.items.len() == before {
                return Some(PubsubError::ITEM_NOT_FOUND);
            }
        }
        Step::Create(node) if existing(model, node) => return Some(PubsubError::CONFLICT),
        Step::Create(node) => drop(model.insert(name(node), Node { max: Some(1), ..Node::default() })),
        Step::Clock(_) => {}
        Step::Purge(node)
        | Step::Delete(node)
        | Step::MaxItems(node, _)
        | Step::Persist(node, _)
        | Step::Full(node, _)
            if !existing(model, node) =>
        {
            return Some(PubsubError::ITEM_NOT_FOUND);
        }
        Step::Delete(node) => drop(model.remove(&name(node))),
        Step::Purge(node) | Step::MaxItems(node, _) | Step::Persist(node, _) | Step::Full(node, _) => {
            let node = model.get_mut(&name(node)).unwrap();
            match step {
                Step::Purge(_) if node.is_transient => return Some(UNSUPPORTED),
                Step::Purge(_) => node.items.clear(),
                Step::Persist(_, persist) => {
                    node.is_transient = !persist;
                    if node.is_transient {
                        node.items.clear();
                    }
                }
                Step::Full(_, rejects) => node.rejects = *rejects,
                Step::MaxItems(_, max) => {
                    node.max = max.map(usize::from);
                    let too_many = node.items.len().saturating_sub(node.max(limits));
                    node.items.drain(..too_many);
                }
                _ => {}
            }
        }
    }
    None
}

/// Carries out a step on the service.
fn carried_out(world: &mut World, step: &Step) -> Option<PubsubError> {
    let name = |node: &u8| format!("node{node}");
    let configure = |node: &u8, var: &str, value: &str| {
        let form = form("http://jabber.org/protocol/pubsub#node_config", &[(var, value)]);
        owners(&format!("<configure node='{}'>{form}</configure>", name(node)))
    };
    let request = match step {
        Step::Publish(node, id, text) => {
            let id = id.map_or_else(String::new, |id| format!(" id='id{id}'"));
            let item = format!("<item{id}>{}</item>", payload(&text.to_string()));
            everybody(&format!("<publish node='{}'>{item}</publish>", name(node)))
        }
        Step::Retract(node, id) => everybody(&format!("<retract node='{}'><item id='id{id}'/></retract>", name(node))),
        Step::Create(node) => everybody(&format!("<create node='{}'/>", name(node))),
        Step::Purge(node) => owners(&format!("<purge node='{}'/>", name(node))),
        Step::Delete(node) => owners(&format!("<delete node='{}'/>", name(node))),
        Step::MaxItems(node, max) => configure(node, "max_items", &max.map_or("max".to_owned(), |max| max.to_string())),
        Step::Persist(node, persist) => configure(node, "persist_items", if *persist { "1" } else { "0" }),
        Step::Full(node, rejects) => {
            configure(node, "publish_node_full", if *rejects { "reject" } else { "retract-oldest" })
        }
        Step::Clock(seconds) => {
            world.now = world.now.saturating_add_signed(i64::from(*seconds) * 1_000_000);
            return None;
        }
    };
    match world.ask(JULIET, Action::Set, &request).reply {
        Reply::Result(_) => None,
        Reply::Error(error, _) => Some(error),
    }
}

proptest! {
    #[test]
    fn the_service_does_what_the_model_does(steps in prop::collection::vec(step(), 0..60)) {
        let (mut world, mut model) = (World::account(), Model::new());
        world.limits.items_max_per_node = 6;
        for step in steps {
            let fresh = format!("fresh{}", world.transactions + 1);
            let expected = expected(&mut model, &step, &fresh, &world.limits);
            prop_assert_eq!(carried_out(&mut world, &step), expected, "{:?}", step);
            for name in ["node0", "node1", "node2"] {
                let answer = world.ask(JULIET, Action::Get, &everybody(&format!("<items node='{name}'/>")));
                let answer = match (answer.reply, model.get(name)) {
                    (Reply::Result(payload), Some(_)) => String::from_utf8(payload).unwrap(),
                    (Reply::Error(error, _), None) => {
                        prop_assert_eq!(error, PubsubError::ITEM_NOT_FOUND);
                        continue;
                    }
                    (Reply::Error(error, _), Some(node)) if node.is_transient => {
                        prop_assert_eq!(error, PubsubError::unsupported("persistent-items"));
                        continue;
                    }
                    other => return Err(TestCaseError::fail(format!("{name}: {other:?}"))),
                };
                let items = model[name].items.iter().rev();
                let items: String = items.map(|(id, payload)| format!("<item id='{id}'>{payload}</item>")).collect();
                let items = if items.is_empty() {
                    format!("<items node='{name}'/>")
                } else {
                    format!("<items node='{name}'>{items}</items>")
                };
                prop_assert_eq!(answer, everybody(&items), "{:?}", step);
            }
        }
        // Nothing is stored of what is not there: per node one value, per item two.
        let items: usize = model.values().map(|node| node.items.len()).sum();
        prop_assert_eq!(world.memory.0.len(), model.len() + 2 * items);
    }
}
