//! The domains and accounts of this server, and which address belongs to which account.
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
    /// The account's name, as in the store.
    pub account: Arc<str>,
    /// The mailbox for mail that matches no ruleset.
    pub mailbox: Arc<str>,
    /// Mail that goes elsewhere; the first ruleset that matches decides.
    pub rulesets: Arc<[Ruleset]>,
}

impl Destination {
    /// A destination without rulesets.
    pub fn new(account: &str, mailbox: &str) -> Self {
        Self { account: account.into(), mailbox: mailbox.into(), rulesets: Arc::default() }
    }
}

/// How local parts of one domain are compared.
#[derive(Debug, Clone, Default)]
pub struct LocalDomain {
    /// Separators. The local part ends at the first one; the rest is ignored (`user+shop` is `user`).
    pub separators: Vec<char>,
    /// Are `User` and `user` different addresses?
    pub case_sensitive: bool,
}

/// The limits and options of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRules {
    /// Recipients of submitted messages in any 24 hours.
    pub messages_per_day: u32,
    /// Recipients never written to before, in any 24 hours.
    pub first_time_recipients_per_day: u32,
    /// Marks messages by the mailbox they go to; without it none is marked.
    pub junk_flags: Option<JunkFlags>,
}

impl Default for AccountRules {
    fn default() -> Self {
        Self { messages_per_day: 1000, first_time_recipients_per_day: 200, junk_flags: None }
    }
}

/// Why an address has no account here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHere {
    /// This server does not accept mail for the domain.
    Domain,
    /// The domain is ours, but no account has the address.
    Address,
}

/// All domains, addresses and accounts.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    domains: HashMap<Domain, LocalDomain>,
    accounts: HashMap<Arc<str>, AccountRules>,
    addresses: HashMap<Domain, HashMap<String, Destination>>,
    catch_alls: HashMap<Domain, Destination>,
    /// Host names whose `postmaster` has a reader.
    hosts: Vec<Domain>,
    postmaster: Option<Destination>,
    everything: Option<Destination>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a domain whose mail this server accepts.
    pub fn add_domain(&mut self, domain: Domain, rules: LocalDomain) {
        self.domains.insert(domain, rules);
    }

    /// Makes an account known with its limits; its addresses are added one by one.
    pub fn add_account(&mut self, name: &str, rules: AccountRules) {
        self.accounts.insert(Arc::from(name), rules);
    }

    /// Gives an address to an account. The local part is made canonical by the rules of its domain.
    pub fn add_address(&mut self, localpart: &str, domain: Domain, to: Destination) {
        let canonical = self.canonical(localpart, &domain).unwrap_or_else(|| localpart.to_owned());
        self.addresses.entry(domain).or_default().insert(canonical, to);
    }

    /// Sends mail for unassigned addresses of a domain to an account.
    pub fn add_catch_all(&mut self, domain: Domain, to: Destination) {
        self.catch_alls.insert(domain, to);
    }

    /// Sets who reads mail for `postmaster`, and at which host names.
    pub fn set_postmaster(&mut self, hosts: Vec<Domain>, to: Destination) {
        self.hosts = hosts;
        self.postmaster = Some(to);
    }

    /// Developer mode: sends mail for every other address of any domain to this account.
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

    /// Does this server accept mail for the domain?
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// The local part in the form in which it is compared: cut at a separator, in lower case unless the domain tells case
    /// apart, its letters composed (NFC). None if nothing is left.
    pub fn canonical(&self, localpart: &str, domain: &Domain) -> Option<String> {
        let rules = self.domains.get(domain);
        let separators = rules.map_or(&[][..], |rules| &rules.separators);
        let end = localpart.find(separators).unwrap_or(localpart.len());
        let base = localpart.get(..end).filter(|base| !base.is_empty())?;
        let case_sensitive = rules.is_some_and(|rules| rules.case_sensitive);
        let folded = if case_sensitive { base.to_owned() } else { base.to_lowercase() };
        // RFC 6532 §3.1: text that looks the same is equal, whether an accent is a character of its own or not.
        Some(folded.nfc().collect())
    }

    /// Finds the destination of an address. `domain` is none for the bare `<postmaster>` of RFC 5321 §4.5.1. `postmaster`
    /// says whether `postmaster` of a host name counts: it does for recipients, but not for logins.
    ///
    /// # Errors
    /// The address has no account here.
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

    /// As [`Directory::resolve`], but without [`Directory::set_everything`]: finds the owner of an address.
    ///
    /// # Errors
    /// The address has no account here.
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
        // Nothing is left of the local part, so the catch-all does not take it either.
        let Some(canonical) = self.canonical(localpart, domain) else { return Err(NotHere::Address) };
        let exact = self.addresses.get(domain).and_then(|addresses| addresses.get(&canonical));
        // RFC 5321 §4.5.1: mail for the postmaster of this host goes to its operator, so a catch-all of a domain with the
        // host's name does not take it.
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
    fn postmaster_always_has_a_reader() {
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
    fn a_catch_all_does_not_take_the_postmaster_of_the_host() {
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
    fn compositions_of_the_same_letters_are_one_address() {
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
