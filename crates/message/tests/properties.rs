#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use moxd_message::{AuthResults, Date, MAX_PROPERTY, MethodResult, from_domain, fuzzing, headers};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

/// The fixtures of a suite, to be mutated.
fn seeds(suite: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(suite);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "msg"))
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    seeds
}

/// A seed with some pieces replaced, doubled or taken out.
fn mutated(suite: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let edit = (any::<prop::sample::Index>(), 0..30_usize, any::<prop::sample::Index>(), 0..200_usize);
    let edits = prop::collection::vec((edit, prop::collection::vec(token(), 0..3)), 0..6);
    (prop::sample::select(seeds(suite)), edits).prop_map(|(mut data, edits)| {
        for ((at, cut, from, copied), new) in edits {
            let at = at.index(data.len() + 1);
            let from = from.index(data.len() + 1);
            let copy = data[from..data.len().min(from + copied)].to_vec();
            let new = new.concat().into_iter().chain(copy);
            data.splice(at..data.len().min(at + cut), new).for_each(drop);
        }
        data
    })
}

/// Byte sequences that parsers often get wrong.
fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\r\n\r\n",
            " ",
            "\t",
            "--",
            "--b",
            "--b--",
            ":",
            ";",
            ",",
            "<",
            ">",
            "(",
            ")",
            "\"",
            "\\",
            "@",
            "=",
            "=?utf-8?q?",
            "?=",
            "[",
            "]",
            "/",
            ".",
            "\0",
            "é",
            "From: ",
            "Content-Type: multipart/mixed; boundary=b",
            "Content-Type: message/rfc822",
            "Authentication-Results: mx.example.org;",
            "none",
            "a@example.org",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        any::<[u8; 1]>().prop_map(Vec::from),
    ]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(token(), 0..60).prop_map(|tokens| tokens.concat())
}

/// Text around an address that may break the grammar in any way, and has no address itself.
fn around() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\"",
            "(",
            ")",
            "<",
            ">",
            "[",
            "]",
            ",",
            ";",
            ":",
            "\\",
            ".",
            " ",
            "\t",
            "\r\n ",
            "\0",
            "Boss",
            "ü",
            "=?utf-8?q?",
            "=?utf-8?b?",
            "?=",
            "=",
            "\u{200e}",
            "x.example",
            "1",
        ])
        .prop_map(str::to_owned),
        "[ -?A-~]{0,3}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// No text around the one address hides the domain whose DMARC policy counts.
    #[test]
    fn the_one_address_in_from_is_found(before in around(), after in around()) {
        let header = format!("From: {before}<boss@example.com>{after}\r\n\r\n");
        let found = from_domain(&headers(header.as_bytes())).map(|domain| domain.to_string());
        prop_assert_eq!(found.as_deref(), Ok("example.com"));
    }

    #[test]
    fn any_header(data in prop_oneof![soup(), mutated("headers"), mutated("mime")]) {
        fuzzing::headers(&data);
    }

    #[test]
    fn any_mime(data in prop_oneof![soup(), mutated("mime"), mutated("dsn")]) {
        fuzzing::mime(&data);
    }

    #[test]
    fn any_report(data in mutated("dsn")) {
        fuzzing::dsn(&data);
    }

    #[test]
    fn any_addresses(data in prop_oneof![soup(), mutated("addresses")]) {
        fuzzing::addresses(&data);
    }

    #[test]
    fn any_auth_results(data in prop_oneof![soup(), auth_results_soup(), mutated("auth_results")]) {
        fuzzing::auth_results(&data);
    }

    #[test]
    fn any_moment_round_trips(unix in any::<i64>(), zone in any::<i16>()) {
        let date = Date::new(unix, zone);
        prop_assert_eq!(date.to_string().parse(), Ok(date));
    }

    #[test]
    fn any_results_stay_in_their_field(texts in prop::collection::vec(text(), 7)) {
        let [id, method, result, comment, reason, name, value] = texts.try_into().unwrap();
        let mut results = AuthResults::new(format!("i{id}"));
        let found = MethodResult::new(format!("m{method}"), format!("r{result}"));
        results.methods.push(found.comment(comment).reason(reason).property("smtp", format!("n{name}"), value.as_str()));
        let field = results.field();
        let read = AuthResults::parse(field.split_once(':').unwrap().1.as_bytes()).unwrap();
        prop_assert_eq!(read.field(), field);
        prop_assert_eq!(read.methods.len(), 1);
        // A property is printed entirely, or left out if it is too long; escapes at most double it.
        let whole: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        match read.methods[0].properties.as_slice() {
            [property] => prop_assert_eq!(&property.value, &whole),
            properties => prop_assert!(properties.is_empty() && 2 * whole.len() + 2 > MAX_PROPERTY),
        }
    }
}

/// Short and very long texts of characters that need escapes or folding.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        token().prop_map(|t| String::from_utf8_lossy(&t).into_owned()),
        any::<char>().prop_map(String::from)
    ];
    (prop::collection::vec(piece, 0..8), prop_oneof![Just(1), 1..100_usize])
        .prop_map(|(text, times)| text.concat().repeat(times))
}

fn auth_results_soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "mx",
        " ",
        ";",
        "; spf=pass",
        "; dkim/1=fail",
        " reason=",
        "\"q \\\" q\"",
        " smtp.mailfrom=",
        "a@b.example",
        "(c",
        ")",
        "(c)",
        "\r\n\t",
        "none",
        "; none",
        "\"a b\"@b.example",
        "/",
        "=",
        ".",
        "é",
        "\\",
        " header.d=x",
    ]);
    prop::collection::vec(word, 0..20).prop_map(|words| format!("mx{}", words.concat()).into_bytes())
}
