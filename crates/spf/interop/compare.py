"""Compares the results of this crate with pyspf's over the same zone and queries; README.md says how to run it."""

import pathlib
import shlex
import socket
import subprocess
import sys

import spf

HERE = pathlib.Path(__file__).parent
RECEIVER = "receiver.test"
FAILURES = {"servfail", "timeout", "bogus", "refused", "malformed"}
NO_EXPLANATION = "-"


def read_zone(path):
    """The records by name and type, and the names whose lookups fail."""
    records, failing = {}, set()
    for line in path.read_text().splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, ";", '"', "\\"
        words = list(lexer)
        if not words:
            continue
        if words[0].startswith("!"):
            if words[0][1:] in FAILURES:
                failing.add((words[1].rstrip(".").lower(), words[2] if len(words) > 2 else None))
            continue
        name, kind, data = words[0].rstrip(".").lower(), words[1], words[2:]
        records.setdefault(name, {}).setdefault(kind, []).append(data)
    return records, failing


def value(kind, data):
    """One record as pyspf wants it from its DNS library."""
    if kind == "TXT":
        return tuple(text.encode() for text in data)
    if kind == "MX":
        return int(data[0]), data[1].rstrip(".")
    if kind == "AAAA":
        return bytes(socket.inet_pton(socket.AF_INET6, data[0]))
    return data[0].rstrip(".")


def lookup_in(records, failing):
    """A stand-in for spf.DNSLookup that answers from the zone."""

    def lookup(name, kind, strict=True, timeout=None):
        name = name.rstrip(".").lower()
        for _ in range(10):
            if (name, None) in failing or (name, kind) in failing:
                raise spf.TempError("DNS failure")
            held = records.get(name, {})
            if kind in held:
                return [((name, kind), value(kind, data)) for data in held[kind]] + aliases
            if "CNAME" not in held:
                return aliases
            target = value("CNAME", held["CNAME"][0])
            aliases.append(((name, "CNAME"), target))
            name = target.lower()
        return aliases

    def fresh(*arguments, **named):
        nonlocal aliases
        aliases = []
        return lookup(*arguments, **named)

    aliases = []
    return fresh


def theirs(ip, mail_from, helo):
    """pyspf's result, and its explanation if the domain publishes one."""
    sender = "" if mail_from == "-" else mail_from
    query = spf.query(i=ip, s=sender, h="" if helo == "-" else helo, receiver=RECEIVER)
    query.set_default_explanation(NO_EXPLANATION)
    result, _, explanation = query.check()
    return result, explanation if result == "fail" else NO_EXPLANATION


def main(evaluator):
    zone, queries = HERE / "records.zone", HERE / "queries.txt"
    records, failing = read_zone(zone)
    spf.DNSLookup = lookup_in(records, failing)
    known = {}
    for line in (HERE / "differences.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            query, pair = line.split(" = ")
            known[query] = pair

    output = subprocess.run([evaluator, zone, queries], capture_output=True, text=True, check=True).stdout
    asked = [line for line in queries.read_text().splitlines() if line and not line.startswith("#")]
    agreed, explained, wrong = set(), set(), []
    differing = set()
    answers = output.splitlines()
    assert len(answers) == len(asked), "an answer for every query"
    for query, answer in zip(asked, answers):
        ip, mail_from, helo = query.split()
        result, _, _, explanation = answer.split("\t")
        other = theirs(ip, mail_from, helo)
        domain = (helo if mail_from == "-" else mail_from.rpartition("@")[2]).lower()
        agreed.add(domain)
        if (result, explanation) == other:
            if query in known:
                wrong.append(f"{query}: listed as a difference, but both say {result}")
            continue
        differing.add(domain)
        pair = f"{result} / {other[0]}" if result != other[0] else f"{result} {explanation} / {other[1]}"
        if known.get(query) == pair:
            explained.add(query)
        else:
            wrong.append(f"{query}: {answer!r}, pyspf {other!r}")
    print(f"{len(asked)} queries about {len(agreed)} records, pyspf {spf.__version__}")
    print(f"{len(agreed - differing)} records agree in result and explanation for every query")
    print(f"{len(explained)} queries differ as differences.txt explains, {len(wrong)} otherwise")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
