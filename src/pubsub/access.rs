//! Who may do what with a node: the table of affiliations (XEP-0060 §4.1), the access models (§4.5) and the publish
//! models (§16.4.4), decided by plain facts about whoever asks.

use rondel_storage::pubsub::{AccessModel, Affiliation, NodeConfig, PublishModel, SubscriptionState};

use super::error::PubsubError;

/// What whoever asks is to a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The affiliation.
    pub affiliation: Affiliation,
    /// The explicit subscription.
    pub subscription: Option<SubscriptionState>,
    /// Whether there is a subscription to the owner's presence (`from` or `both` in the owner's roster).
    pub has_presence: bool,
    /// Whether the owner's roster has the entity in one of the groups that the node allows.
    pub is_in_group: bool,
}

impl Standing {
    /// Somebody unknown.
    pub const STRANGER: Standing =
        Standing { affiliation: Affiliation::None, subscription: None, has_presence: false, is_in_group: false };

    /// Whether the access model alone lets the entity in; the reason if not.
    fn admitted(&self, access: AccessModel) -> Result<(), PubsubError> {
        let (admitted, reason) = match access {
            AccessModel::Open => return Ok(()),
            AccessModel::Presence => (self.has_presence, PubsubError::PRESENCE_REQUIRED),
            // XEP-0060 §6.5.1: both subscribed to the presence and in a group.
            AccessModel::Roster => (self.has_presence && self.is_in_group, PubsubError::NOT_IN_GROUP),
            AccessModel::Authorize => {
                (self.subscription == Some(SubscriptionState::Subscribed), PubsubError::SUBSCRIPTION_REQUIRED)
            }
            // Whoever is on the list has an affiliation.
            AccessModel::Whitelist => (false, PubsubError::CLOSED_NODE),
        };
        if admitted { Ok(()) } else { Err(reason) }
    }

    /// Whether items may be retrieved (XEP-0060 §6.5.1), and whether notifications may be sent.
    pub fn may_retrieve(&self, config: &NodeConfig) -> Result<(), PubsubError> {
        match self.affiliation {
            Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => Ok(()),
            Affiliation::PublishOnly | Affiliation::Outcast => Err(PubsubError::FORBIDDEN),
            Affiliation::None => self.admitted(config.access),
        }
    }

    /// What comes of a wish to subscribe (XEP-0060 §6.1.3).
    pub fn may_subscribe(&self, config: &NodeConfig) -> Result<SubscriptionState, PubsubError> {
        match (self.may_retrieve(config), config.access, self.affiliation) {
            (Err(_), AccessModel::Authorize, Affiliation::None) => match self.subscription {
                _ if !config.subscribe => Err(PubsubError::unsupported("subscribe")),
                Some(SubscriptionState::Pending) => Err(PubsubError::PENDING),
                _ => Ok(SubscriptionState::Pending),
            },
            (Err(reason), ..) => Err(reason),
            (Ok(()), ..) if !config.subscribe => Err(PubsubError::unsupported("subscribe")),
            (Ok(()), ..) => Ok(SubscriptionState::Subscribed),
        }
    }

    /// Whether the entity receives what is published without having said so: an auto-subscription (XEP-0060 §9.1.2).
    pub fn is_subscribed_by_presence(&self, config: &NodeConfig) -> bool {
        self.has_presence && config.access != AccessModel::Authorize && self.may_retrieve(config).is_ok()
    }

    /// Whether items may be published.
    pub fn may_publish(&self, config: &NodeConfig) -> bool {
        let is_subscriber = || {
            self.subscription == Some(SubscriptionState::Subscribed) && self.may_retrieve(config).is_ok()
                || self.is_subscribed_by_presence(config)
        };
        match (self.affiliation, config.publish) {
            (Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly, _) => true,
            (Affiliation::Outcast, _) => false,
            (Affiliation::Member | Affiliation::None, PublishModel::Publishers) => false,
            (Affiliation::Member | Affiliation::None, PublishModel::Subscribers) => is_subscriber(),
            (Affiliation::Member | Affiliation::None, PublishModel::Open) => true,
        }
    }

    /// Whether an item may be removed: owners remove every one, others their own as long as they may publish
    /// (XEP-0060 §4.1).
    pub fn may_remove(&self, config: &NodeConfig, is_own: bool) -> bool {
        self.affiliation == Affiliation::Owner || (is_own && self.may_publish(config))
    }

    /// Whether the node may be configured, purged and deleted, and its people managed.
    pub fn is_owner(&self) -> bool {
        self.affiliation == Affiliation::Owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::ServiceKind;
    use crate::pubsub::node::default_config;

    fn config(access: AccessModel, publish: PublishModel) -> NodeConfig {
        NodeConfig { access, publish, ..default_config(ServiceKind::Account, "urn:xmpp:mood") }
    }

    fn affiliated(affiliation: Affiliation) -> Standing {
        Standing { affiliation, ..Standing::STRANGER }
    }

    fn subscribed(state: SubscriptionState) -> Standing {
        Standing { subscription: Some(state), ..Standing::STRANGER }
    }

    const CONTACT: Standing = Standing { has_presence: true, ..Standing::STRANGER };
    const FRIEND: Standing = Standing { is_in_group: true, ..CONTACT };
    /// In the group, but without a subscription to the presence.
    const ACQUAINTANCE: Standing = Standing { is_in_group: true, ..Standing::STRANGER };

    #[test]
    fn the_access_models_for_each_kind_of_entity() {
        use PubsubError as E;
        let models = [
            AccessModel::Open,
            AccessModel::Presence,
            AccessModel::Roster,
            AccessModel::Authorize,
            AccessModel::Whitelist,
        ];
        let ok = Ok(());
        let rows = [
            (affiliated(Affiliation::Owner), [ok; 5]),
            (affiliated(Affiliation::Publisher), [ok; 5]),
            (affiliated(Affiliation::Member), [ok; 5]),
            (affiliated(Affiliation::PublishOnly), [Err(E::FORBIDDEN); 5]),
            (affiliated(Affiliation::Outcast), [Err(E::FORBIDDEN); 5]),
            (
                Standing::STRANGER,
                [
                    ok,
                    Err(E::PRESENCE_REQUIRED),
                    Err(E::NOT_IN_GROUP),
                    Err(E::SUBSCRIPTION_REQUIRED),
                    Err(E::CLOSED_NODE),
                ],
            ),
            (CONTACT, [ok, ok, Err(E::NOT_IN_GROUP), Err(E::SUBSCRIPTION_REQUIRED), Err(E::CLOSED_NODE)]),
            (FRIEND, [ok, ok, ok, Err(E::SUBSCRIPTION_REQUIRED), Err(E::CLOSED_NODE)]),
            (
                ACQUAINTANCE,
                [
                    ok,
                    Err(E::PRESENCE_REQUIRED),
                    Err(E::NOT_IN_GROUP),
                    Err(E::SUBSCRIPTION_REQUIRED),
                    Err(E::CLOSED_NODE),
                ],
            ),
            // A subscription does not outlive what it was based on.
            (
                subscribed(SubscriptionState::Subscribed),
                [ok, Err(E::PRESENCE_REQUIRED), Err(E::NOT_IN_GROUP), ok, Err(E::CLOSED_NODE)],
            ),
            (
                subscribed(SubscriptionState::Pending),
                [
                    ok,
                    Err(E::PRESENCE_REQUIRED),
                    Err(E::NOT_IN_GROUP),
                    Err(E::SUBSCRIPTION_REQUIRED),
                    Err(E::CLOSED_NODE),
                ],
            ),
            (Standing { affiliation: Affiliation::Outcast, ..FRIEND }, [Err(E::FORBIDDEN); 5]),
        ];
        for (standing, expected) in rows {
            for (access, expected) in models.into_iter().zip(expected) {
                let config = config(access, PublishModel::Publishers);
                assert_eq!(standing.may_retrieve(&config), expected, "{standing:?} {access:?}");
                if access != AccessModel::Authorize {
                    let subscription = expected.map(|()| SubscriptionState::Subscribed);
                    assert_eq!(standing.may_subscribe(&config), subscription, "{standing:?} {access:?}");
                }
            }
        }
    }

    #[test]
    fn subscriptions_that_an_owner_approves() {
        use SubscriptionState::{Pending, Subscribed};
        let config = config(AccessModel::Authorize, PublishModel::Publishers);
        let rows = [
            (Standing::STRANGER, Ok(Pending)),
            (FRIEND, Ok(Pending)),
            (subscribed(Pending), Err(PubsubError::PENDING)),
            (subscribed(Subscribed), Ok(Subscribed)),
            (affiliated(Affiliation::Member), Ok(Subscribed)),
            (affiliated(Affiliation::Outcast), Err(PubsubError::FORBIDDEN)),
            (affiliated(Affiliation::PublishOnly), Err(PubsubError::FORBIDDEN)),
        ];
        for (standing, expected) in rows {
            assert_eq!(standing.may_subscribe(&config), expected, "{standing:?}");
        }
        let closed = NodeConfig { subscribe: false, ..config };
        let unsupported = Err(PubsubError::unsupported("subscribe"));
        assert_eq!(Standing::STRANGER.may_subscribe(&closed), unsupported);
        assert_eq!(affiliated(Affiliation::Owner).may_subscribe(&closed), unsupported);
    }

    #[test]
    fn the_publish_models_for_each_kind_of_entity() {
        let models = [PublishModel::Publishers, PublishModel::Subscribers, PublishModel::Open];
        let rows = [
            (affiliated(Affiliation::Owner), [true, true, true]),
            (affiliated(Affiliation::Publisher), [true, true, true]),
            (affiliated(Affiliation::PublishOnly), [true, true, true]),
            (affiliated(Affiliation::Member), [false, false, true]),
            (affiliated(Affiliation::Outcast), [false, false, false]),
            (Standing::STRANGER, [false, false, true]),
            (CONTACT, [false, true, true]),
            (Standing { subscription: Some(SubscriptionState::Subscribed), ..CONTACT }, [false, true, true]),
            (Standing { subscription: Some(SubscriptionState::Pending), ..Standing::STRANGER }, [false, false, true]),
        ];
        for (standing, expected) in rows {
            for (publish, expected) in models.into_iter().zip(expected) {
                let config = config(AccessModel::Presence, publish);
                assert_eq!(standing.may_publish(&config), expected, "{standing:?} {publish:?}");
                let owner = standing.is_owner();
                assert_eq!(standing.may_remove(&config, true), expected || owner, "{standing:?} {publish:?}");
                assert_eq!(standing.may_remove(&config, false), owner, "{standing:?} {publish:?}");
            }
        }
    }

    #[test]
    fn presence_subscribes_where_the_access_model_lets_in() {
        let by_presence =
            |standing: Standing, access| standing.is_subscribed_by_presence(&config(access, PublishModel::Publishers));
        assert!(by_presence(CONTACT, AccessModel::Open) && by_presence(CONTACT, AccessModel::Presence));
        assert!(by_presence(FRIEND, AccessModel::Roster) && !by_presence(CONTACT, AccessModel::Roster));
        assert!(!by_presence(CONTACT, AccessModel::Whitelist) && !by_presence(CONTACT, AccessModel::Authorize));
        let member = Standing { affiliation: Affiliation::Member, ..CONTACT };
        assert!(by_presence(member, AccessModel::Whitelist));
        assert!(!by_presence(Standing::STRANGER, AccessModel::Open));
    }
}
