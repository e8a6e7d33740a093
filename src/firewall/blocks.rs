//! Rules that stand one after the other and of which mostly none holds: told at one look instead of one for each.

use hashbrown::HashSet;

use super::address::AddressPattern;
use super::entries::hash_of;
use super::program::{Rules, Tested, Visit};
use super::syntax::{SearchId, Test};
use super::template::{AddressPart, Function};
use super::world::Side;

/// From so many rules on it is worth a look of its own.
const RULES_MIN: usize = 3;

/// Rules that follow each other, and what all of them need to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// How many there are.
    pub rules: u32,
    /// What they need.
    pub needs: Needs,
}

/// What all rules of a block need to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Needs {
    /// The same test, with which each of them begins.
    Test(Tested),
    /// A part of an address, one for each of them: the hashes of all.
    Part(AddressPart, HashSet<u64>),
    /// That this part of an address is in some list.
    Listed(AddressPart),
    /// That one of the patterns can begin in this text.
    Beginning(SearchId),
}

/// The blocks of a chain, for one kind of stanza. Each visit that begins one is told its number, counted from 1.
pub fn blocks(visits: &mut [Visit], tested: &[Tested], tests: &[Test], rules: &Rules) -> Vec<Block> {
    let needs: Vec<Option<Needs>> = visits
        .iter()
        .map(|visit| {
            let first = tested.get(visit.first as usize).filter(|_| visit.all > 0)?;
            // What is counted before a rule is counted in any case.
            (visit.early == 0 && visit.is_candidate).then(|| needs(*first, &tests[first.test as usize], rules))?
        })
        .collect();
    let mut blocks: Vec<Block> = Vec::new();
    let mut begin = 0;
    while begin < visits.len() {
        let Some(mut shared) = needs[begin].clone() else {
            begin += 1;
            continue;
        };
        let mut end = begin + 1;
        while let Some(next) = needs.get(end).and_then(Option::as_ref)
            && shared.take(next)
        {
            end += 1;
        }
        if end - begin >= RULES_MIN {
            blocks.push(Block { rules: (end - begin) as u32, needs: shared });
            visits[begin].block = blocks.len() as u32;
        }
        begin = end;
    }
    blocks
}

impl Needs {
    /// Takes the needs of one more rule in, if one look can tell of both.
    fn take(&mut self, other: &Needs) -> bool {
        match (self, other) {
            (Needs::Part(part, hashes), Needs::Part(other, more)) if part == other => {
                hashes.extend(more);
                true
            }
            (own, other) => own == other,
        }
    }
}

/// What a rule needs that begins with this test, if it can be told together with others.
fn needs(tested: Tested, test: &Test, rules: &Rules) -> Option<Needs> {
    if tested.memo.is_some() {
        return Some(Needs::Test(tested));
    }
    let is_plain = !tested.is_negated;
    match test {
        Test::From(pattern) if is_plain => part(Side::Sender, pattern),
        Test::To(pattern) if is_plain => part(Side::Addressee, pattern),
        Test::CheckList(list, template) if is_plain => {
            let (_, spec) = rules.lists.get(list.index())?;
            template.address_part().filter(|_| spec.is_plain()).map(Needs::Listed)
        }
        Test::Scan(search, pattern, _) if is_plain => begins(*search, rules.patterns.get(pattern.index())?, rules),
        Test::Count(pattern, search, operator, number) if operator.holds(0, *number) == tested.is_negated => {
            begins(*search, rules.patterns.get(pattern.index())?, rules)
        }
        _ => None,
    }
}

fn part(side: Side, pattern: &AddressPattern) -> Option<Needs> {
    let (text, function) = match pattern.literals()? {
        (Some(node), host) => (format!("{node}@{host}"), Function::Bare),
        (None, host) => (host.to_owned(), Function::Host),
    };
    let hashes = [hash_of(text.as_bytes())].into_iter().collect();
    Some(Needs::Part(AddressPart { side, function: Some(function) }, hashes))
}

fn begins(search: SearchId, pattern: &super::pattern::Pattern, rules: &Rules) -> Option<Needs> {
    rules.searches.get(search.index())?.beginnings.as_ref()?;
    pattern.prefix().is_some().then_some(Needs::Beginning(search))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Rules;

    #[test]
    fn rules_that_begin_alike_are_told_together() {
        let mut script = String::from(
            "%SEARCH s: body#\n%LIST k: memory\n%LIST l: file:x\n%LIST m: file:y\n%LIST n: memory (filter: lower)\n",
        );
        (0..4).for_each(|number| script.push_str(&format!("%PATTERN p{number}: word{number}\n")));
        script.push('\n');
        for number in 0..3 {
            script.push_str(&format!("TYPE: chat\nFROM: a@h{number}\nDROP.\n\n"));
        }
        for number in 0..4 {
            script.push_str(&format!("FROM: spam@bad{number}/<*>\nDROP.\n\n"));
        }
        for number in 0..3 {
            script.push_str(&format!("TO: <*>@h{number}\nDROP.\n\n"));
        }
        for list in ["k", "l", "m", "n"] {
            script.push_str(&format!("CHECK LIST: {list} contains $<@from|host>\nTYPE: normal\nDROP.\n\n"));
        }
        for number in 0..4 {
            script.push_str(&format!("COUNT: p{number} in s > 0\nDROP.\n\n"));
        }
        script.push_str("COUNT: p0 in s < 1\nTO SELF?\nDROP.\n");
        let (rules, _) = Rules::load(&[("s", &script)], Default::default()).unwrap();
        let [blocks, ..] = &rules.chains[0].blocks;
        let shapes: Vec<(u32, &str)> = blocks
            .iter()
            .map(|block| {
                let what = match &block.needs {
                    Needs::Test(_) => "test",
                    Needs::Part(AddressPart { side: Side::Sender, .. }, hashes) if hashes.len() == 4 => "four senders",
                    Needs::Part(AddressPart { side: Side::Addressee, .. }, hashes) if hashes.len() == 3 => {
                        "three hosts"
                    }
                    Needs::Part(..) => "?",
                    Needs::Listed(_) => "listed",
                    Needs::Beginning(_) => "beginning",
                };
                (block.rules, what)
            })
            .collect();
        // A list with a filter is looked at itself.
        let expected = [(3, "test"), (4, "four senders"), (3, "three hosts"), (3, "listed"), (4, "beginning")];
        assert_eq!(shapes, expected);
    }
}
