//! What failed logins to one name are counted under.

use std::sync::Arc;

/// Stands for everything that a client may write to reach one account, or one name that is nobody's.
///
/// It is small whatever a stranger types, and holds nothing that a stranger has typed: that may be a password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginKey {
    /// An account that exists, by its name.
    Account(Arc<str>),
    /// A keyed hash of a name that is nobody's. The key must be unknown to clients, or they can make names collide.
    Nobody(u64),
}
