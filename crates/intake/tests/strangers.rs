//! What strangers can learn about which users exist.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use moxd_intake::{AccountRules, Destination, Directory, Environment, Intake, LocalDomain, credentials};
use ratelimit::{LoginKey, Network};
use sasl::{Channel, Mechanism, Nonce, Password, Step};
use smtpserver::{Backend, Kind, Refusal, Standing, replies};
use std::time::Duration;
use store::Store;

/// A server where ann has a password: an account in a domain that tells case apart, and in one that does not.
fn intake() -> Intake {
    let store = Store::memory();
    let mut directory = Directory::new();
    let domain = |name: &str| name.parse().unwrap();
    directory.add_domain(domain("exact.example"), LocalDomain { separators: vec![], case_sensitive: true });
    directory.add_domain(domain("lax.example"), LocalDomain { separators: vec!['+'], case_sensitive: false });
    for (account, place) in [("ann", "exact.example"), ("ann2", "lax.example")] {
        directory.add_account(account, AccountRules::default());
        directory.add_address("ann", domain(place), Destination::new(account, "Inbox"));
        let id = store.open_account(account, store::INITIAL_MAILBOXES, common::now()).wait().unwrap();
        let mut transaction = store.transaction(common::now());
        let password = Password::new("moxmoxmox").unwrap();
        transaction.set_credentials(id, Some(credentials(&password, common::different)));
        store.commit(transaction).wait().unwrap();
    }
    let environment = Environment { random: common::different, ..common::ENVIRONMENT };
    Intake::new(store, None, common::settings(directory), environment).unwrap()
}

/// Salt and iterations that SCRAM sends to a client that claims this name.
async fn challenge(intake: &Intake, mechanism: Mechanism, username: &str) -> (String, String) {
    let client = common::client(Kind::Submissions, None);
    let mut connection = intake.connect(&client);
    let mut server = sasl::Server::new(mechanism, &Channel::tls(), Nonce::from_random([1; 18]));
    let first = format!("n,,n={username},r=0123456789");
    let Step::Need(need) = server.begin(Some(first.as_bytes())).unwrap() else { panic!("a need") };
    let standing = Standing { known: false, network: Network::new(client.ip(), 21) };
    let verifier = intake.secret(&mut connection, &client, standing, need).await.unwrap();
    let Step::Challenge(challenge) = server.supply(verifier).unwrap() else { panic!("a challenge") };
    let challenge = String::from_utf8(challenge).unwrap();
    let mut fields = challenge.split(',').skip(1).map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap())
}

/// Groups spellings by the salt that they get: for each, the index of the first spelling with the same salt.
async fn pattern(intake: &Intake, mechanism: Mechanism, spellings: &[String]) -> Vec<usize> {
    let mut salts = Vec::new();
    for spelling in spellings {
        salts.push(challenge(intake, mechanism, spelling).await.0);
    }
    salts.iter().map(|salt| salts.iter().position(|other| other == salt).unwrap()).collect()
}

#[tokio::test]
async fn spellings_of_a_name_show_one_salt_or_several_whether_it_exists_or_not() {
    let intake = intake();
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        for (place, distinct) in [("exact.example", 5), ("lax.example", 1)] {
            let spellings = |name: &str| {
                let titled = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
                let names =
                    [name.to_owned(), name.to_uppercase(), titled, format!("{name}+x"), format!("{name}+Y")];
                names.map(|name| format!("{name}@{place}"))
            };
            let known = pattern(&intake, mechanism, &spellings("ann")).await;
            let unknown = pattern(&intake, mechanism, &spellings("bob")).await;
            assert_eq!(known, unknown, "{place}");
            let mut kinds = known;
            kinds.dedup();
            assert_eq!(kinds.len(), distinct, "{place}");
        }
    }
}

#[tokio::test]
async fn salts_and_iterations_of_unknown_names_look_like_those_of_known_ones() {
    let intake = intake();
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        let known = challenge(&intake, mechanism, "ann@exact.example").await;
        for unknown in ["bob@exact.example", "ann@elsewhere.example", "ann", "@", "Ann@exact.example"] {
            let shown = challenge(&intake, mechanism, unknown).await;
            assert_eq!((shown.0.len(), &shown.1), (known.0.len(), &known.1), "{unknown}");
            assert_ne!(shown.0, known.0, "{unknown}");
        }
    }
}

#[test]
fn a_name_without_an_account_takes_no_room_and_is_not_kept() {
    let intake = intake();
    let keys = ["x", "hunter2", "eve@exact.example"].map(|name| intake.login_key(&name.repeat(40)));
    assert!(keys.iter().all(|key| matches!(key, LoginKey::Nobody(_))), "{keys:?}");
    assert_eq!(intake.login_key("ann@exact.example"), LoginKey::Account("ann".into()));
    // Strangers cannot make names collide: the hash differs with each start.
    assert_ne!(intake.login_key("x"), self::intake().login_key("x"));
}

#[tokio::test]
async fn unknown_addresses_are_counted_and_others_are_not() {
    let server = common::server(None, AccountRules::default());
    let smtp = common::client(Kind::Smtp, None);
    let alone = Refusal::with(replies::RECIPIENT_ALONE, 1);
    let counted = alone.clone().about_unknown_recipient();
    for (to, alone) in [
        (["ann@a.example", "eve@a.example"], &counted),
        (["eve@a.example", "mallory@a.example"], &counted),
        (["eve@a.example", "ann@a.example"], &alone),
    ] {
        let mut connection = server.backend.connect(&smtp);
        let refusal = server.begin(&mut connection, &smtp, "x@b.example", &to).await.unwrap_err();
        assert_eq!(refusal, *alone, "{to:?}");
    }
    let text = "From: x@b.example\r\n\r\nbody\r\n";
    let refusal = server.send(&smtp, "x@b.example", &["eve@a.example"], text).await.unwrap_err();
    let unknown = Refusal::new(replies::NO_SUCH_USERS).after(Duration::from_secs(5));
    assert_eq!(refusal, unknown.clone().about_unknown_recipient());
    assert_ne!(refusal, unknown);
    // Users may know which addresses exist.
    let user = common::client(Kind::Submission, Some("ann"));
    let mut connection = server.backend.connect(&user);
    let refusal =
        server.begin(&mut connection, &user, "ann@a.example", &["eve@a.example"]).await.unwrap_err();
    assert_eq!(refusal, Refusal::new(replies::NO_SUCH_USER));
}
