//! Reading the log, page after page, so that a long one needs no memory.

use std::iter::Peekable;

use super::flags::{Only, Selection};
use crate::admin::{Backend, Failure, ListLog, LogEntry, LogPage, PAGE_ENTRIES_MAX, Part, Request, ask};

/// One part of the log.
pub(super) struct Entries<'b> {
    backend: &'b dyn Backend,
    list: Option<ListLog>,
    page: std::vec::IntoIter<LogEntry>,
}

impl<'b> Entries<'b> {
    pub fn new(backend: &'b dyn Backend, list: ListLog) -> Entries<'b> {
        let list = Some(ListLog { limit: PAGE_ENTRIES_MAX, ..list });
        Entries { backend, list, page: Vec::new().into_iter() }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<LogEntry, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let list = self.list.take()?;
            match ask::<LogPage>(self.backend, Request::ListLog(list.clone())) {
                Ok(page) => {
                    self.list = page.next.map(|next| ListLog { after: Some(next), ..list });
                    self.page = page.entries.into_iter();
                }
                Err(failure) => return Some(Err(failure)),
            }
        }
    }
}

/// Of one part of the log, what is selected.
pub(super) fn listed(selection: &Selection, part: Part) -> ListLog {
    ListLog {
        part,
        since_us: selection.since,
        until_us: selection.until,
        network: selection.from_address.map(|network| network.to_string()),
        domain: selection.domain.clone(),
        ..ListLog::default()
    }
}

/// Both parts of the log, or one of them, in the order of time.
pub(super) fn both<'b>(
    backend: &'b dyn Backend,
    selection: &Selection,
    only: Option<Only>,
) -> impl Iterator<Item = Result<LogEntry, Failure>> + 'b {
    let part = |part, other| (only != Some(other)).then(|| Entries::new(backend, listed(selection, part)));
    let mut made = part(Part::Made, Only::Refused).into_iter().flatten().peekable();
    let mut refused = part(Part::Refused, Only::Made).into_iter().flatten().peekable();
    std::iter::from_fn(move || match (at(&mut made), at(&mut refused)) {
        (Some(made_us), Some(refused_us)) if refused_us < made_us => refused.next(),
        (None, _) => refused.next(),
        _ => made.next(),
    })
}

/// When the next entry was; a failure comes first.
fn at(entries: &mut Peekable<impl Iterator<Item = Result<LogEntry, Failure>>>) -> Option<u64> {
    entries.peek().map(|entry| entry.as_ref().map_or(0, |entry| entry.place.at_us))
}
