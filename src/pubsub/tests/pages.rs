//! Retrieving items (XEP-0060 §6.5), in pages (XEP-0059).

use super::*;

/// A node with the items a to j, of which j is the newest.
fn world() -> World {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("max_items", "max")]);
    "abcdefghij".chars().for_each(|id| drop(world.publish(JULIET, "blog", &id.to_string())));
    world
}

fn get(items: &str, set: &str) -> String {
    let set =
        if set.is_empty() { String::new() } else { format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>") };
    everybody(&format!("<items node='blog' {items}/>{set}"))
}

/// The items of an answer, and what it says of its place: index, first, last, count.
fn page(answer: &str) -> (String, Option<String>) {
    let element = parse(answer);
    let set = element.child("set", ns::RESULT_SETS).map(|set| {
        let text = |name| set.child(name, ns::RESULT_SETS).map_or("-".to_owned(), Element::text);
        let first = set.child("first", ns::RESULT_SETS);
        let index = first.and_then(|first| first.attribute("index")).unwrap_or("-");
        format!("{index} {} {} {}", text("first"), text("last"), text("count"))
    });
    (ids(answer).concat(), set)
}

#[test]
fn the_newest_come_first() {
    let mut world = world();
    let rows = [
        ("", "", "jihgfedcba", None),
        ("max_items='3'", "", "jih", None),
        ("max_items='99'", "", "jihgfedcba", None),
        ("", "<max>4</max>", "jihg", Some("0 j g 10")),
        ("max_items='3'", "<max>4</max>", "jih", Some("0 j h 10")),
        ("", "<max>4</max><after>g</after>", "fedc", Some("- f c 10")),
        ("", "<max>4</max><after>c</after>", "ba", Some("8 b a 10")),
        ("", "<max>4</max><after>a</after>", "", Some("- - - 10")),
        ("", "<max>2</max><before>g</before>", "ih", Some("- i h 10")),
        ("", "<max>9</max><before>g</before>", "jih", Some("0 j h 10")),
        ("", "<max>3</max><before/>", "cba", Some("7 c a 10")),
        ("", "<max>0</max>", "", Some("- - - 10")),
        ("", "<after>c</after>", "ba", Some("8 b a 10")),
    ];
    for (items, set, expected, place) in rows {
        let answer = world.ok(JULIET, Action::Get, &get(items, set));
        assert_eq!(page(&answer), (expected.to_owned(), place.map(str::to_owned)), "{items} {set}");
    }
    let gone = world.fails(JULIET, Action::Get, &get("", "<after>x</after>"));
    assert_eq!(gone, PubsubError::ITEM_NOT_FOUND);
    let index = world.fails(JULIET, Action::Get, &get("", "<max>2</max><index>4</index>"));
    assert_eq!((index.kind, index.condition), ("cancel", "feature-not-implemented"));
}

#[test]
fn one_page_after_another_is_the_whole_list() {
    let mut world = world();
    for (at, start) in [("after", ""), ("before", "<before/>")] {
        let (mut all, mut next) = (String::new(), start.to_owned());
        loop {
            let answer = world.ok(JULIET, Action::Get, &get("", &format!("<max>3</max>{next}")));
            let (found, _) = page(&answer);
            let Some(edge) = (if at == "after" { found.chars().last() } else { found.chars().next() }) else { break };
            next = format!("<{at}>{edge}</{at}>");
            all = if at == "after" { all + &found } else { found + &all };
        }
        assert_eq!(all, "jihgfedcba", "{at}");
    }
}

#[test]
fn items_by_their_ids() {
    let mut world = world();
    let by_id = |ids: &str| {
        let ids: String = ids.chars().map(|id| format!("<item id='{id}'/>")).collect();
        everybody(&format!("<items node='blog'>{ids}</items>"))
    };
    let answer = world.ok(JULIET, Action::Get, &by_id("cxbc"));
    assert_eq!(page(&answer), ("cb".to_owned(), None));
    assert!(answer.contains(&format!("<item id='c'>{}</item>", payload("c"))));
    assert_eq!(world.ok(JULIET, Action::Get, &by_id("x")), everybody("<items node='blog'/>"));
}

/// XEP-0060 §6.5.4: an answer that would be too long says so.
#[test]
fn what_does_not_fit_is_left_out_and_said_so() {
    let mut world = world();
    world.limits.page_items_max = 4;
    assert_eq!(page(&world.ok(JULIET, Action::Get, &get("", ""))), ("jihg".to_owned(), Some("0 j g 10".to_owned())));
    assert_eq!(page(&world.ok(JULIET, Action::Get, &get("max_items='4'", ""))), ("jihg".to_owned(), None));
    world.limits.page_items_max = 100;
    // Two items fit: their payloads, ids and tags.
    world.limits.page_bytes_max = 2 * (payload("a").len() + 1 + 64);
    assert_eq!(page(&world.ok(JULIET, Action::Get, &get("", ""))), ("ji".to_owned(), Some("0 j i 10".to_owned())));
    let backwards = get("", "<max>5</max><before>f</before>");
    assert_eq!(page(&world.ok(JULIET, Action::Get, &backwards)), ("hg".to_owned(), Some("- h g 10".to_owned())));
    let by_id = everybody("<items node='blog'><item id='a'/><item id='b'/><item id='c'/></items>");
    assert_eq!(page(&world.ok(JULIET, Action::Get, &by_id)), ("ab".to_owned(), Some("- a b 10".to_owned())));
    // One comes in any case.
    world.limits.page_bytes_max = 1;
    assert_eq!(page(&world.ok(JULIET, Action::Get, &get("", ""))), ("j".to_owned(), Some("0 j j 10".to_owned())));
}

#[test]
fn a_node_without_items() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[]);
    assert_eq!(world.ok(JULIET, Action::Get, &get("", "")), everybody("<items node='blog'/>"));
    let answer = world.ok(JULIET, Action::Get, &get("max_items='2'", "<max>2</max>"));
    assert_eq!(page(&answer), (String::new(), Some("- - - 0".to_owned())));
}
