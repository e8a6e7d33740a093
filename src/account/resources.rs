//! The connected resources of the accounts at home on a shard.

use std::rc::Rc;

use hashbrown::HashMap;
use rondel_shards::ConnectionId;

use super::delivery::ResourceState;

/// A connected resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The resourcepart.
    pub name: Box<str>,
    /// Its connection on this shard.
    pub connection: ConnectionId,
    /// The client's installation, if it has said which (XEP-0386 §4.4).
    pub agent: Option<Box<str>>,
    /// Present once it is available: its last presence as it was sent to others, and the priority in it.
    pub presence: Option<Presence>,
}

/// The presence of an available resource.
#[derive(Clone, Debug)]
pub struct Presence {
    /// The priority (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// The stanza with its `from`, shared by all who get it.
    pub stanza: Rc<[u8]>,
}

impl Resource {
    /// What delivery needs to know.
    pub fn state(&self) -> ResourceState {
        ResourceState {
            available: self.presence.is_some(),
            priority: self.presence.as_ref().map_or(0, |presence| presence.priority),
        }
    }
}

/// What to do when a resource is asked for that is connected already (RFC 6120 §7.7.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conflict {
    /// The old one goes.
    Replace,
    /// The new one is refused.
    Refuse,
    /// The new one gets another name.
    Rename,
}

/// What bounds the resources of an account.
#[derive(Clone, Copy, Debug)]
pub struct BindLimits {
    /// When a resource is taken.
    pub policy: Conflict,
    /// Resources at once.
    pub sessions_max: usize,
}

/// A resource was bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bound {
    /// Its name.
    pub name: Box<str>,
    /// The connections that must end with `<conflict/>`: of who had it before, and of the same client's earlier
    /// session.
    pub replaced: Vec<ConnectionId>,
}

/// Why a resource cannot be bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BindError {
    /// It is taken: `<conflict/>`.
    Conflict,
    /// The account has as many as it may: `<resource-constraint/>`.
    TooMany,
}

/// All accounts of a shard with a connected resource. An account leaves memory with its last one.
#[derive(Default)]
pub struct Accounts {
    by_jid: HashMap<Box<str>, Vec<Resource>>,
}

impl Accounts {
    /// The connected resources of an account, in the order in which they were bound.
    pub fn resources(&self, bare_jid: &str) -> &[Resource] {
        self.by_jid.get(bare_jid).map_or(&[], Vec::as_slice)
    }

    /// A connected resource.
    pub fn resource_mut(&mut self, bare_jid: &str, connection: ConnectionId) -> Option<&mut Resource> {
        self.by_jid.get_mut(bare_jid)?.iter_mut().find(|resource| resource.connection == connection)
    }

    /// Accounts with a connected resource.
    pub fn len(&self) -> usize {
        self.by_jid.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.by_jid.is_empty()
    }

    /// Binds a resource to a connection. `agent` is the client's installation, `other` makes another name for
    /// [`Conflict::Rename`].
    pub fn bind(
        &mut self,
        bare_jid: &str,
        name: &str,
        agent: Option<String>,
        connection: ConnectionId,
        limits: BindLimits,
        other: impl FnOnce() -> String,
    ) -> Result<Bound, BindError> {
        let BindLimits { policy, sessions_max } = limits;
        let resources = self.by_jid.get(bare_jid).map_or(&[][..], Vec::as_slice);
        let taken = resources.iter().find(|resource| *resource.name == *name).map(|resource| resource.connection);
        let (name, taken): (Box<str>, _) = match (taken, policy) {
            (None, _) => (name.into(), None),
            (Some(_), Conflict::Refuse) => return Err(BindError::Conflict),
            (Some(_), Conflict::Rename) => (other().into(), None),
            (Some(connection), Conflict::Replace) => (name.into(), Some(connection)),
        };
        let earlier = resources.iter().filter(|resource| {
            Some(resource.connection) == taken || (agent.is_some() && resource.agent.as_deref() == agent.as_deref())
        });
        let replaced: Vec<_> = earlier.map(|resource| resource.connection).collect();
        if resources.len() - replaced.len() >= sessions_max {
            return Err(BindError::TooMany);
        }
        let agent = agent.map(String::into_boxed_str);
        let resource = Resource { name: name.clone(), connection, agent, presence: None };
        match self.by_jid.get_mut(bare_jid) {
            Some(resources) => resources.push(resource),
            None => {
                self.by_jid.insert(bare_jid.into(), vec![resource]);
            }
        }
        Ok(Bound { name, replaced })
    }

    /// Takes the resource of a connection out, wherever it is: for when nobody knows its account any more.
    pub fn unbind_anywhere(&mut self, connection: ConnectionId) -> Option<(Box<str>, Resource)> {
        let holds = |resources: &Vec<Resource>| resources.iter().any(|resource| resource.connection == connection);
        let account = self.by_jid.iter().find(|(_, resources)| holds(resources)).map(|(account, _)| account.clone());
        let account = account?;
        let resource = self.unbind(&account, connection)?;
        Some((account, resource))
    }

    /// Takes a resource out, and the account with its last one.
    pub fn unbind(&mut self, bare_jid: &str, connection: ConnectionId) -> Option<Resource> {
        let resources = self.by_jid.get_mut(bare_jid)?;
        let at = resources.iter().position(|resource| resource.connection == connection)?;
        let resource = resources.remove(at);
        if resources.is_empty() {
            self.by_jid.remove(bare_jid);
        }
        Some(resource)
    }
}
