//! Who lives here: domains, accounts, and which address belongs to whom.
//!
//! Built once from the configuration and replaced whole on reload, so a message sees one state from start to end.

use crate::{JunkFlags, Ruleset};
use dns::Domain;
use std::collections::HashMap;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization as _;

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Name of the account.
    pub account: Arc<str>,
    /// Mailbox for what is accepted and fits no ruleset.
    pub mailbox: Arc<str>,
    /// Mail that goes elsewhere; the first that fits decides.
    pub rulesets: Arc<[Ruleset]>,
}

impl Destination {
    /// A mailbox for all that is accepted.
    pub fn new(account: &str, mailbox: &str) -> Self {
        Self { account: account.into(), mailbox: mailbox.into(), rulesets: Arc::default() }
    }
}

/// How the local parts of one domain are read.
#[derive(Debug, Clone, Default)]
pub struct LocalDomain {
    /// Separators; what follows the first one found is ignored (`user+shop` is `user`).
    pub separators: Vec<char>,
    /// Are `User` and `user` different people?
    pub case_sensitive: bool,
}

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRules {
    /// Recipients of submitted messages in 24 hours.
    pub messages_per_day: u32,
    /// Recipients never written to before, in 24 hours.
    pub first_time_recipients_per_day: u32,
    /// Which mailboxes tell what is junk; nothing is marked without.
    pub junk_flags: Option<JunkFlags>,
}

impl Default for AccountRules {
    fn default() -> Self {
        Self { messages_per_day: 1000, first_time_recipients_per_day: 200, junk_flags: None }
    }
}

/// Why an address is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHere {
    /// Mail for the domain is not ours.
    Domain,
    /// The domain is ours, the address is nobody's.
    Address,
}

/// All domains, addresses and accounts.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    domains: HashMap<Domain, LocalDomain>,
    accounts: HashMap<Arc<str>, AccountRules>,
    addresses: HashMap<Domain, HashMap<String, Destination>>,
    catch_alls: HashMap<Domain, Destination>,
    /// Host names at which `postmaster` is answered for.
    hosts: Vec<Domain>,
    postmaster: Option<Destination>,
    everything: Option<Destination>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a domain that mail is taken for.
    pub fn add_domain(&mut self, domain: Domain, rules: LocalDomain) {
        self.domains.insert(domain, rules);
    }

    /// Adds an account.
    pub fn add_account(&mut self, name: &str, rules: AccountRules) {
        self.accounts.insert(Arc::from(name), rules);
    }

    /// Gives an address to an account. The local part is the canonical one of its domain.
    pub fn add_address(&mut self, localpart: &str, domain: Domain, to: Destination) {
        let canonical = self.canonical(localpart, &domain).unwrap_or_else(|| localpart.to_owned());
        self.addresses.entry(domain).or_default().insert(canonical, to);
    }

    /// Sends what is nobody's in a domain to an account.
    pub fn add_catch_all(&mut self, domain: Domain, to: Destination) {
        self.catch_alls.insert(domain, to);
    }

    /// Says who reads mail for `postmaster`, and at which host names.
    pub fn set_postmaster(&mut self, hosts: Vec<Domain>, to: Destination) {
        self.hosts = hosts;
        self.postmaster = Some(to);
    }

    /// Developer mode: every address of every domain is this account's.
    pub fn set_everything(&mut self, to: Destination) {
        self.everything = Some(to);
    }

    /// Does [`Directory::set_everything`] hold?
    pub(crate) fn takes_everything(&self) -> bool {
        self.everything.is_some()
    }

    /// The rules of an account, if there is one of that name.
    pub fn account(&self, name: &str) -> Option<&AccountRules> {
        self.accounts.get(name)
    }

    /// The names of all accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(AsRef::as_ref)
    }

    /// Is mail for the domain ours?
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// The local part as it is compared: without what follows a separator, lower-case where the domain says so, its
    /// letters composed (NFC). None if nothing is left.
    pub fn canonical(&self, localpart: &str, domain: &Domain) -> Option<String> {
        let rules = self.domains.get(domain);
        let separators = rules.map_or(&[][..], |rules| &rules.separators);
        let end = localpart.find(separators).unwrap_or(localpart.len());
        let base = localpart.get(..end).filter(|base| !base.is_empty())?;
        let case_sensitive = rules.is_some_and(|rules| rules.case_sensitive);
        let folded = if case_sensitive { base.to_owned() } else { base.to_lowercase() };
        // RFC 6532 §3.1: what looks the same is the same, whether an accent is a character of its own or not.
        Some(folded.nfc().collect())
    }

    /// Whose mail this is. `domain` is none for the bare `<postmaster>` of RFC 5321 §4.5.1; whether `postmaster` of a
    /// host name counts is the caller's to say (it does for recipients, not for who may log in).
    ///
    /// # Errors
    /// The address is nobody's here.
    pub fn resolve(
        &self,
        localpart: &str,
        domain: Option<&Domain>,
        postmaster: bool,
    ) -> Result<Destination, NotHere> {
        let found = self.find(localpart, domain, postmaster);
        match (&self.everything, found) {
            (Some(everything), Err(_)) => Ok(everything.clone()),
            (_, found) => found,
        }
    }

    /// As [`Directory::resolve`], but developer mode's promise to take everything does not count: whose address it is.
    ///
    /// # Errors
    /// The address is nobody's here.
    pub fn find(
        &self,
        localpart: &str,
        domain: Option<&Domain>,
        postmaster: bool,
    ) -> Result<Destination, NotHere> {
        let is_postmaster = localpart.eq_ignore_ascii_case("postmaster");
        let keeper = self.postmaster.as_ref().filter(|_| postmaster && is_postmaster);
        let Some(domain) = domain else { return keeper.cloned().ok_or(NotHere::Address) };
        let is_host = is_postmaster && self.hosts.contains(domain);
        if !self.domains.contains_key(domain) {
            let missing = if is_host { NotHere::Address } else { NotHere::Domain };
            return keeper.filter(|_| is_host).cloned().ok_or(missing);
        }
        // Nothing is left of it: not even the rest of the domain is anybody's under this name.
        let Some(canonical) = self.canonical(localpart, domain) else { return Err(NotHere::Address) };
        let exact = self.addresses.get(domain).and_then(|addresses| addresses.get(&canonical));
        // RFC 5321 §4.5.1: mail for the postmaster of this very host goes to whoever runs it, so a catch-all of a domain
        // with the host's name does not take it.
        let rest = self.catch_alls.get(domain).filter(|_| !is_host);
        exact.or(rest).or(keeper).cloned().ok_or(NotHere::Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(account: &str) -> Destination {
        Destination::new(account, "Inbox")
    }

    fn domain(name: &str) -> Domain {
        name.parse().unwrap()
    }

    fn directory() -> Directory {
        let mut d = Directory::new();
        d.add_domain(domain("a.example"), LocalDomain { separators: vec!['+', '-'], case_sensitive: false });
        d.add_domain(domain("b.example"), LocalDomain { separators: vec![], case_sensitive: true });
        d.add_domain(domain("c.example"), LocalDomain { separators: vec!['+'], case_sensitive: false });
        d.add_account("ann", AccountRules::default());
        d.add_address("Ann", domain("a.example"), to("ann"));
        d.add_address("Bob", domain("b.example"), to("bob"));
        d.add_catch_all(domain("c.example"), to("all"));
        d.set_postmaster(vec![domain("mail.example")], to("root"));
        d
    }

    #[track_caller]
    fn check(address: &str, postmaster: bool, want: Result<&str, NotHere>) {
        let (localpart, host) = address.rsplit_once('@').unwrap_or((address, ""));
        let host = (!host.is_empty()).then(|| domain(host));
        let got = directory().resolve(localpart, host.as_ref(), postmaster);
        assert_eq!(got.as_ref().map(|d| &*d.account).map_err(|e| *e), want, "{address}");
    }

    #[test]
    fn resolves_addresses() {
        check("ann@a.example", true, Ok("ann"));
        check("ANN+shop@a.example", true, Ok("ann"));
        check("ann-list@a.example", true, Ok("ann"));
        check("+ann@a.example", true, Err(NotHere::Address));
        check("eve@a.example", true, Err(NotHere::Address));
        check("Bob@b.example", true, Ok("bob"));
        check("bob@b.example", true, Err(NotHere::Address));
        check("Bob+x@b.example", true, Err(NotHere::Address));
        check("anyone+x@c.example", true, Ok("all"));
        check("+x@c.example", true, Err(NotHere::Address));
        check("ann@elsewhere.example", true, Err(NotHere::Domain));
    }

    #[test]
    fn postmaster_is_always_read_by_somebody() {
        check("PostMaster", true, Ok("root"));
        check("postmaster", false, Err(NotHere::Address));
        check("postmaster@mail.example", true, Ok("root"));
        check("postmaster@mail.example", false, Err(NotHere::Address));
        check("eve@mail.example", true, Err(NotHere::Domain));
        check("postmaster@a.example", true, Ok("root"));
        check("postmaster@a.example", false, Err(NotHere::Address));
        check("postmaster@c.example", true, Ok("all"));
    }

    #[test]
    fn postmaster_of_the_host_is_not_the_catch_alls() {
        let mut d = directory();
        d.add_domain(domain("mail.example"), LocalDomain::default());
        d.add_catch_all(domain("mail.example"), to("all"));
        let find = |d: &Directory, local: &str, recipient| {
            let found = d.resolve(local, Some(&domain("mail.example")), recipient);
            found.map(|to| to.account.to_string())
        };
        assert_eq!(find(&d, "PostMaster", true), Ok("root".to_owned()));
        assert_eq!(find(&d, "postmaster", false), Err(NotHere::Address));
        assert_eq!(find(&d, "anyone", true), Ok("all".to_owned()));
        // An address that is given to an account by name is that account's.
        d.add_address("postmaster", domain("mail.example"), to("ann"));
        assert_eq!(find(&d, "postmaster", true), Ok("ann".to_owned()));
        assert_eq!(find(&d, "postmaster", false), Ok("ann".to_owned()));
    }

    #[test]
    fn an_address_is_one_however_its_letters_are_composed() {
        let mut d = directory();
        for (written, other) in [("j\u{fc}rgen", "Ju\u{308}rgen"), ("zoe\u{308}", "zo\u{eb}")] {
            d.add_address(written, domain("a.example"), to("ann"));
            assert_eq!(d.find(other, Some(&domain("a.example")), true), Ok(to("ann")), "{written}");
            d.add_address(written, domain("b.example"), to("bob"));
            let other = other.to_lowercase();
            assert_eq!(d.find(&other, Some(&domain("b.example")), true), Ok(to("bob")), "{written}");
        }
    }

    #[test]
    fn developer_mode_takes_everything() {
        let mut d = directory();
        d.set_everything(to("mox"));
        assert_eq!(d.resolve("x", Some(&domain("nowhere.example")), true), Ok(to("mox")));
        assert_eq!(d.resolve("ann", Some(&domain("a.example")), true), Ok(to("ann")));
        assert_eq!(d.find("x", Some(&domain("nowhere.example")), true), Err(NotHere::Domain));
    }
}
