//! Every file is read, or refused with reasons.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use moxd_config::*;
use proptest::prelude::*;

fn examples() -> [String; 2] {
    // The examples have every setting, so that mutations reach each of them.
    [example_server(), example_domains()].map(|text| text.replace("\n#", "\n").replace("\n# ", "\n## "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn takes_any_text(text in "\\PC{0,200}") {
        fuzzing::config(text.as_bytes());
    }

    #[test]
    fn takes_toml_of_any_shape(
        lines in prop::collection::vec(
            "(\\[\\[?)?(listeners|domains|accounts|limits|tls|smtp|\"a@b\"|x)(\\.(tls|smtp|dkim|selectors|\"\"))*(\\]\\]?)?( = (1|true|\"x\"|\\[1, \"y\"\\]|\\{ z = 1 \\}))?",
            0..12,
        ),
    ) {
        fuzzing::config(lines.join("\n").as_bytes());
    }

    /// Cuts, doubles and swaps pieces of the examples.
    #[test]
    fn takes_broken_examples(which in 0_usize..2, cut: prop::sample::Index, from: prop::sample::Index, to: prop::sample::Index) {
        let text = &examples()[which];
        let at = |index: &prop::sample::Index| text.floor_char_boundary(index.index(text.len()));
        let (from, to) = (at(&from).min(at(&to)), at(&from).max(at(&to)));
        let broken = [&text[..at(&cut)], &text[from..to], &text[at(&cut)..]].concat();
        fuzzing::config(broken.as_bytes());
        fuzzing::config([&text[..from], &text[to..]].concat().as_bytes());
    }
}

/// Breaks one value at a time in a valid file: each is reported, at its line.
#[test]
fn finds_a_wrong_value_wherever_it_is() {
    let [server, _] = examples();
    let mut checked = 0;
    for (i, line) in
        server.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && line.contains(" = "))
    {
        let (name, _) = line.split_once(" = ").unwrap();
        let broken: String = server
            .lines()
            .enumerate()
            .map(|(j, line)| if i == j { format!("{name} = 2000-01-01\n") } else { format!("{line}\n") })
            .collect();
        let problems = parse_server(&broken, "moxd.toml").unwrap_err();
        let found = problems.iter().any(|p| p.line() == i + 1 && p.kind() == ProblemKind::WrongType);
        assert!(found, "{name}: {problems:?}");
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}
