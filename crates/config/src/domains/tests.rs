use super::*;
use crate::{Problem, ProblemKind, parse_domains};
use std::path::Path;
use std::time::Duration;

#[track_caller]
fn domains(text: &str) -> Domains {
    match parse_domains(text, "config/domains.toml") {
        Ok(domains) => domains,
        Err(problems) => panic!("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn two_lines_are_enough() {
    let domains = domains("[domains.localhost]\n[accounts.mox.destinations.\"mox@localhost\"]\n");
    let account = &domains.accounts["mox"];
    let [destination] = account.destinations.as_slice() else { panic!("one destination") };
    assert_eq!(
        (destination.address.to_string().as_str(), destination.mailbox.as_str()),
        ("mox@localhost", "Inbox")
    );
    assert_eq!((account.max_messages_per_day, account.max_first_time_recipients_per_day), (1000, 200));
    assert_eq!((&account.junk_flags, &account.rejects_mailbox), (&None, &None));
}

#[test]
fn addresses_are_canonical() {
    let domains = domains(
        r#"
[domains."bücher.example"]
[domains."case.example"]
case_sensitive = true
catchall_separators = []
[accounts.a.destinations]
"Alice@BÜCHER.example" = {}
"@xn--bcher-kva.example" = { mailbox = "Rest" }
"Bob@case.example" = {}
"bob@case.example" = {}
"a+b@case.example" = {}
"with space@case.example" = {}
"#,
    );
    let mut got: Vec<_> = domains.accounts["a"].destinations.iter().map(|d| d.address.to_string()).collect();
    got.sort();
    let expected = [
        "@bücher.example",
        "Bob@case.example",
        "a+b@case.example",
        "alice@bücher.example",
        "bob@case.example",
        "with space@case.example",
    ];
    assert_eq!(got, expected);
}

#[test]
fn compositions_of_the_same_letters_are_one_address() {
    let text = "[domains.\"a.example\"]\n[accounts.a.destinations]\n\"j\u{fc}rgen@a.example\" = {}\n";
    assert_eq!(domains(text).accounts["a"].destinations[0].address.to_string(), "j\u{fc}rgen@a.example");
    let again = format!("{text}[accounts.b.destinations]\n\"Ju\u{308}rgen@a.example\" = {{}}\n");
    let problems = parse_domains(&again, "domains.toml").unwrap_err();
    assert_eq!(problems[0].kind(), ProblemKind::Duplicate);
}

#[test]
fn problems_show_international_names_as_they_stand_in_the_file() {
    let text = "[domains.\"bücher.example\"]\nx = 1\n\"\\u0007\\\"\" = 1\n";
    let problems = parse_domains(text, "domains.toml").unwrap_err();
    let keys: Vec<_> = problems.iter().map(Problem::key).collect();
    assert_eq!(keys, ["domains.\"bücher.example\".x", r#"domains."bücher.example"."\u0007\"""#]);
    let text = "[domains.\"bücher example\"]\ncatchall_separators = [\"ü\"]\n";
    let problems = parse_domains(text, "domains.toml").unwrap_err();
    assert!(problems[1].what().contains("\"ü\""), "{problems:?}");
}

#[test]
fn dkim_selectors() {
    let domains = domains(
        r#"
[domains."example.org".dkim]
sign = ["b", "a"]
[domains."example.org".dkim.selectors.a]
key = "dkim/a.pem"
[domains."example.org".dkim.selectors.b]
key = "/keys/b.pem"
algorithm = "rsa-sha256"
headers = ["from", "Subject"]
seal = false
canonicalization = "simple/relaxed"
expiration = "7d"
"#,
    );
    let dkim = &domains.domains[&"example.org".parse().unwrap()].dkim;
    assert_eq!(dkim.sign, ["b", "a"]);
    assert_eq!(dkim.selectors["a"].key, Path::new("config/dkim/a.pem"));
    assert_eq!(dkim.selectors["a"].header_canonicalization, Canonicalization::Relaxed);
    assert_eq!(dkim.selectors["a"].headers.len(), 11);
    let expected = Selector {
        key: "/keys/b.pem".into(),
        algorithm: Some(Algorithm::RsaSha256),
        headers: vec!["from".to_owned(), "Subject".to_owned()],
        seal: false,
        header_canonicalization: Canonicalization::Simple,
        body_canonicalization: Canonicalization::Relaxed,
        expiration: Duration::from_secs(7 * 86_400),
    };
    assert_eq!(dkim.selectors["b"], expected);
}

/// The texts of what is wrong with domains.toml.
#[track_caller]
fn wrong(text: &str) -> String {
    let problems = parse_domains(text, "domains.toml").unwrap_err();
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_without_quotes_are_recognized() {
    for (header, expected) in [
        ("[domains.example.org]", "write [domains.\"example.org\"], in quotes"),
        ("[domains.mail.example.co.uk]", "write [domains.\"mail.example.co.uk\"], in quotes"),
        ("[domains.example.org.dkim]", "write [domains.\"example.org\"], in quotes"),
        ("[accounts.john.doe]", "write [accounts.\"john.doe\"], in quotes"),
        ("[domains.localhost.dkmi]", "did you mean dkim?"),
        ("[domains.localhost]\nbanana = 1", "known here: description,"),
    ] {
        let problems = wrong(&format!("{header}\n"));
        assert!(problems.contains(expected), "{header}: {problems}");
    }
}

#[test]
fn an_address_of_two_accounts_is_shown_at_both_places() {
    let problems = wrong(
        "[domains.localhost]\n[accounts.bob.destinations]\n\"@localhost\" = {}\n\
         [accounts.alice.destinations]\n\"@localhost\" = {}\n",
    );
    let expected = "domains.toml:5: accounts.alice.destinations.\"@localhost\": \
        is an address of account \"bob\" too, in line 3; leave it to one of them [config.duplicate]";
    assert_eq!(problems, expected);
}

#[test]
fn asks_about_what_is_probably_not_meant() {
    let server = "hostname = \"mail\"\nmetrics = \"0.0.0.0:8010\"\npostmaster.account = \"a\"\n\
        [listeners.x]\nips = [\"::\"]\nsmtp = { starttls = false }\n";
    let domains = "[domains.localhost]\n[accounts.a]\n[accounts.b.destinations]\n\"b@localhost\" = {}\n";
    let config = crate::parse((server, "moxd.toml"), (domains, "domains.toml")).unwrap();
    let questions: Vec<String> = config.questions().iter().map(Problem::to_string).collect();
    let [host, metrics, account] = questions.as_slice() else { panic!("{questions:?}") };
    assert!(host.starts_with("moxd.toml:1: hostname: is a name that other hosts cannot look up; "), "{host}");
    assert!(metrics.starts_with("moxd.toml:2: metrics: shows the metrics to everyone"), "{metrics}");
    assert!(account.starts_with("domains.toml:2: accounts.a: has no address, "), "{account}");
    assert!(questions.iter().all(|question| question.ends_with(" [config.questionable]")), "{questions:?}");
}

#[test]
fn accounts_are_meant_by_name_in_any_case_and_by_address() {
    let text = "[domains.\"a.example\"]\n[accounts.alice.destinations]\n\"Alice.B@a.example\" = {}\n\
        [accounts.Twin.destinations]\n\"@a.example\" = {}\n[accounts.twin]\n";
    let domains = parse_domains(text, "domains.toml").unwrap();
    for (given, expected) in [
        ("alice", Some("alice")),
        ("ALICE", Some("alice")),
        ("alice.b@A.example", Some("alice")),
        ("Twin", Some("Twin")),
        ("twin", Some("twin")),
        ("TWIN", None),
        // An address that only a catch-all receives is not a login name.
        ("other@a.example", None),
        ("alice.b@b.example", None),
        ("", None),
    ] {
        assert_eq!(domains.account(given), expected, "{given}");
    }
}
