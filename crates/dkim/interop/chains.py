#!/usr/bin/env python3
"""Writes testdata/arc: messages with chains sealed here, with the result that RFC 8617 asks for. See README.md."""

from crafting import Key, Suite, add_set, crlf, txt

KEYS = {name: Key(name) for name in ["rsa2048", "rsa512", "ed25519", "ed25519b"]}
SUITE = Suite("arc")
BASE = crlf("""From: Joe <joe@example.test>
To: list@example.net
Subject: Lunch on Friday
Date: Tue, 14 Nov 2023 22:13:20 +0000

Who has time for lunch?
""")


def zone(selector, domain, key):
    kind = "rsa" if KEYS[key].is_rsa else "ed25519"
    return txt(f"{selector}._domainkey.{domain}", f"v=DKIM1; k={kind}; p={KEYS[key].p()}")


def sets(count, message=BASE, **each):
    for number in range(1, count + 1):
        message = add_set(message, KEYS, number, **each)
    return message


def change(message, *edits):
    for old, new in edits:
        assert old.encode() in message, old
        message = message.replace(old.encode(), new.encode(), 1)
    return message


def case(name, why, want, message, **more):
    SUITE.add(name, why, message, want, **more)


with open(f"{SUITE.folder}/keys.zone", "w") as file:
    file.write("; The keys that all cases share; a case's own zone is added.\n")
    file.write(zone("rsa", "example.test", "rsa2048") + zone("ed", "example.test", "ed25519"))

case("none", "RFC 8617 §5.2, step 1: no sets, no chain.", "none 0 - - -", BASE)
case("one-set-rsa", "RFC 8617 §5.2: one good set passes.", "pass 1 0 - -", sets(1, key="rsa2048"))
case("one-set-ed25519", "RFC 8463 §3: Ed25519 seals as well.", "pass 1 0 - -", sets(1))
case("three-sets", "RFC 8617 §5.2: every seal is verified.", "pass 3 0 - -", sets(3))
case("fifty-sets", "RFC 8617 §5.2, step 1: fifty are allowed.", "pass 50 0 - -", sets(50))
case("different-sealers", "RFC 8617 §4.1.3: every handler has a key of its own.", "pass 2 0 - -",
     add_set(sets(1), KEYS, 2, key="ed25519b", seal={"d": "relay.test", "s": "x"}, signature={"d": "relay.test", "s": "y"}),
     zone=zone("x", "relay.test", "ed25519b") + zone("y", "relay.test", "ed25519b"))
case("fifty-one-sets", "RFC 8617 §5.2, step 1: more than fifty fail.", "fail 50 - - dkim.arc-too-many-sets",
     add_set(sets(50), KEYS, 51))
case("body-changed", "RFC 8617 §5.2, step 4: the newest message signature must verify.",
     "fail 1 - 1 dkim.body-hash-mismatch", change(sets(1), ("lunch?", "dinner?")))
case("header-changed", "RFC 8617 §5.2, step 4: the newest message signature must verify.",
     "fail 1 - 1 dkim.bad-signature", change(sets(1), ("Joe <joe", "Jim <joe")))
case("results-changed", "RFC 8617 §5.2, step 6: the seal covers the results.", "fail 1 - 1 dkim.bad-signature",
     change(sets(1), ("arc=none", "arc=pass")))
case("older-results-changed", "RFC 8617 §5.2, step 6: every seal must verify.", "fail 2 - 1 dkim.bad-signature",
     change(add_set(sets(1, results="mx.example.net; first"), KEYS, 2), ("first", "other")))
case("seal-by-another", "RFC 8617 §5.2, step 6: a seal by another key.", "fail 1 - 1 dkim.bad-signature",
     sets(1, key="ed25519b", signature={"s": "x"}), zone=zone("x", "example.test", "ed25519b"))
case("changed-before-second", "RFC 8617 §5.2, step 5: the first handler's message is not this one; the chain holds.",
     "pass 2 2 - -", add_set(change(sets(1), ("Subject: ", "Subject: [list] ")), KEYS, 2))
case("changed-before-third", "RFC 8617 §5.2, step 5: the message is as it was from the third set on.", "pass 3 3 - -",
     add_set(change(sets(2), ("lunch?", "lunch?\r\n-- \r\nthe list")), KEYS, 3))
case("changed-before-second-of-three", "RFC 8617 §5.2, step 5: from the second set on.", "pass 3 2 - -",
     add_set(add_set(change(sets(1), ("Subject: ", "Subject: [list] ")), KEYS, 2), KEYS, 3))
case("older-signature-without-key", "RFC 8617 §5.2, step 5: an older message signature whose key is gone.",
     "pass 2 2 - -", add_set(sets(1, signature={"s": "gone"}), KEYS, 2))
case("cv-pass-first", "RFC 8617 §5.2, step 3: cv= of the first set is none.", "fail 1 - 1 dkim.arc-wrong-cv",
     add_set(BASE, KEYS, 1, cv="pass"))
case("cv-none-second", "RFC 8617 §5.2, step 3: cv= of all others is pass.", "fail 2 - 2 dkim.arc-wrong-cv",
     add_set(sets(1), KEYS, 2, cv="none"))
case("cv-fail-newest", "RFC 8617 §5.2, step 2: the chain had failed before.", "fail 2 - 2 dkim.arc-failed-before",
     add_set(sets(1), KEYS, 2, cv="fail", own_only=True))
case("cv-fail-first", "RFC 8617 §5.2, step 2: the same with one set.", "fail 1 - 1 dkim.arc-failed-before",
     add_set(BASE, KEYS, 1, cv="fail"))
case("cv-fail-older", "RFC 8617 §5.2, step 3: no cv= may be fail.", "fail 3 - 2 dkim.arc-wrong-cv",
     add_set(add_set(sets(1), KEYS, 2, cv="fail"), KEYS, 3))
case("cv-missing", "RFC 8617 §4.1.3: cv= is required.", "fail 1 - 1 dkim.missing-tag",
     add_set(BASE, KEYS, 1, seal={"cv": None}))
case("cv-unknown", "RFC 8617 §4.4: none, pass or fail.", "fail 1 - 1 dkim.arc-bad-cv", add_set(BASE, KEYS, 1, cv="good"))
case("cv-upper-case", "RFC 8617 §4.4: case means nothing in the grammar.", "pass 1 0 - -",
     add_set(BASE, KEYS, 1, cv="NONE"))
case("gap", "RFC 8617 §5.2, step 3: instances are 1 to N.", "fail 3 - 2 dkim.arc-gap", add_set(sets(1), KEYS, 3))
case("begins-at-two", "RFC 8617 §5.2, step 3: instances are 1 to N.", "fail 2 - 1 dkim.arc-gap", add_set(BASE, KEYS, 2))
for name in ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"]:
    short = name[4:].lower()
    case(f"without-{short}", "RFC 8617 §5.2, step 3: exactly one of each in a set.", "fail 1 - 1 dkim.arc-incomplete-set",
         change(sets(1), (name + ":", "X-Was-" + name + ":")))
    field = next(line for line in sets(1).split(b"\r\n") if line.startswith(name.encode())) + b"\r\n\tx\r\n"
    case(f"two-{short}", "RFC 8617 §5.2, step 3: exactly one of each in a set.", "fail 1 - 1 dkim.arc-duplicate-field",
         (field.replace(b"\r\n\tx", b"") if b"Results" in field else field) + sets(1))
case("instance-zero", "RFC 8617 §4.2.1: instances begin at 1.", "fail 0 - - dkim.arc-bad-instance", add_set(BASE, KEYS, 0))
case("instance-word", "RFC 8617 §4.2.1: an instance is a number.", "fail 1 - - dkim.arc-bad-instance",
     change(sets(1), ("ARC-Seal: i=1;", "ARC-Seal: i=one;")))
case("instance-long", "RFC 8617 §4.2.1: of one or two digits.", "fail 1 - - dkim.arc-bad-instance",
     change(sets(1), ("ARC-Seal: i=1;", "ARC-Seal: i=001;")))
case("instance-missing", "RFC 8617 §4.2.1: i= is required.", "fail 1 - - dkim.missing-tag",
     change(sets(1), ("ARC-Seal: i=1;", "ARC-Seal:")))
case("results-without-instance", "RFC 8617 §4.1.1: results begin with the instance.", "fail 1 - - dkim.arc-bad-instance",
     change(sets(1), ("ARC-Authentication-Results: i=1; ", "ARC-Authentication-Results: ")))
case("results-commented", "RFC 8617 §4.1.1: comments may stand around the instance.", "pass 1 0 - -",
     sets(1, info="(one) i = {} (a (nested; \\)) b)"))
case("seal-with-fields", "RFC 8617 §4.1.3: h= is not allowed in a seal.", "fail 1 - 1 dkim.arc-seal-with-h",
     add_set(BASE, KEYS, 1, seal={"h": "from"}))
case("seal-with-unknown-tag", "RFC 6376 §3.2: unknown tags are ignored.", "pass 1 0 - -",
     add_set(BASE, KEYS, 1, seal={"note": "x"}))
case("signature-with-version", "RFC 8617 §4.1.2: v= is ignored.", "pass 1 0 - -",
     add_set(BASE, KEYS, 1, signature={"v": "7"}))
for name in ["arc-seal", "arc-message-signature", "arc-authentication-results"]:
    case(f"signature-over-{name}", "RFC 8617 §4.1.2: ARC fields must not be signed.", "fail 1 - 1 dkim.arc-field-signed",
         add_set(BASE, KEYS, 1, signature={"h": "from:to:subject:" + name}))
case("signature-simple", "RFC 8617 §4.1.2: as a DKIM-Signature, so canonicalisation is free.", "pass 1 0 - -",
     add_set(BASE, KEYS, 1, signature={"c": "simple/simple"}))
case("signature-with-length", "RFC 6376 §8.2: l= is refused as elsewhere.", "fail 1 - 1 dkim.body-length-used",
     add_set(BASE, KEYS, 1, signature={"l": "5"}))
case("signature-without-from", "RFC 6376 §5.4: From must be signed.", "fail 1 - 1 dkim.from-not-signed",
     add_set(BASE, KEYS, 1, signature={"h": "to:subject"}))
case("signature-expired", "RFC 6376 §3.5: x= is past.", "fail 1 - 1 dkim.expired",
     add_set(BASE, KEYS, 1, signature={"x": "1600000000"}))
case("signature-sha1", "RFC 8301 §3.1: SHA-1 does not count.", "fail 1 - 1 dkim.sha1-refused",
     add_set(BASE, KEYS, 1, key="rsa2048", signature={"a": "rsa-sha1"}))
case("seal-sha1", "RFC 8301 §3.1: SHA-1 does not count.", "fail 1 - 1 dkim.sha1-refused",
     add_set(BASE, KEYS, 1, key="rsa2048", seal={"a": "rsa-sha1"}))
case("key-missing", "RFC 8617 §5.2.1: all failures are permanent.", "fail 1 - 1 dkim.no-key",
     add_set(BASE, KEYS, 1, seal={"s": "gone"}))
case("key-lookup-fails", "RFC 8617 §5.2.1: those of DNS too.", "fail 1 - 1 dkim.key-lookup-failed",
     add_set(BASE, KEYS, 1, seal={"s": "slow"}), zone="!servfail slow._domainkey.example.test.\n")
case("key-revoked", "RFC 6376 §6.1.2: an empty p= means revoked.", "fail 1 - 1 dkim.key-revoked",
     add_set(BASE, KEYS, 1, seal={"s": "old"}), zone=txt("old._domainkey.example.test", "v=DKIM1; p="))
case("order-of-fields", "RFC 8617 §5.1.1: the order in the header means nothing.", "pass 2 0 - -",
     b"".join(reversed([f + b"\r\n" for f in sets(2).split(b"\r\n\r\n")[0].replace(b"\r\n\t", b"\x01").split(b"\r\n")]))
     .replace(b"\x01", b"\r\n\t") + b"\r\n" + BASE.split(b"\r\n\r\n", 1)[1])
case("white-space-changed", "RFC 8617 §5.1.1: seals are relaxed.", "pass 1 0 - -",
     change(sets(1), ("ARC-Authentication-Results: i=1; mx", "arc-authentication-results:  i=1;\r\n\t mx")))
case("header-malformed", "RFC 6376 §3.8: a header that readers may see differently.",
     "fail 1 - - dkim.malformed-header", change(sets(1), ("To: list", "hello\r\nTo: list")))
case("signature-without-subject", "RFC 8617 §4.1.2: of the fields only From is required, as in RFC 6376 §5.4.",
     "pass 1 0 - -", add_set(BASE, KEYS, 1, signature={"h": "from:to"}))
case("signed-field-copied", "RFC 6376 §8.15: a field that is signed once, and occurs twice.",
     "fail 1 - 1 dkim.unsigned-copy", change(sets(1), ("From: Joe", "Subject: other\r\nFrom: Joe")))
case("field-copied-before-second", "RFC 8617 §5.2, step 5: copied before the second set, which signs both.",
     "pass 2 2 - -", add_set(change(sets(1), ("From: Joe", "Subject: other\r\nFrom: Joe")), KEYS, 2,
                             signature={"h": "from:to:subject:subject:date"}))
case("instance-with-leading-zero", "RFC 8617 §4.2.1: of one or two digits, and the first may be zero.", "pass 1 0 - -",
     add_set(BASE, KEYS, 1, info="i=01", signature={"i": "01"}, seal={"i": "01"}))
case("instances-apart", "RFC 8617 §4.2: the fields of a set have one instance.", "fail 2 - 1 dkim.arc-incomplete-set",
     add_set(BASE, KEYS, 1, info="i=2"))
case("seal-tag-twice", "RFC 6376 §3.2: a tag given twice makes the list invalid.", "fail 1 - - dkim.duplicate-tag",
     add_set(BASE, KEYS, 1, seal={"t": "1; t=2"}))
for name in ["a", "d", "s"]:
    case(f"seal-missing-{name}", f"RFC 8617 §4.1.3: {name}= is required.", "fail 1 - 1 dkim.missing-tag",
         add_set(BASE, KEYS, 1, seal={name: None}))
case("seal-empty", "RFC 8617 §5.2, step 6: no signature is not this one's.", "fail 1 - 1 dkim.bad-signature",
     add_set(BASE, KEYS, 1, seal={"b": "; note=b=@ed25519"}))
case("seal-algorithm-unknown", "RFC 8617 §4.1.3: a= as in RFC 6376.", "fail 1 - 1 dkim.unknown-algorithm",
     add_set(BASE, KEYS, 1, seal={"a": "ed25519-sha512"}))
case("seal-key-of-other-type", "RFC 6376 §6.1.2: the key must fit the algorithm.", "fail 1 - 1 dkim.key-type-mismatch",
     add_set(BASE, KEYS, 1, seal={"a": "rsa-sha256"}))
case("seal-key-too-small", "RFC 8301 §3.2: keys below 1024 bits do not count.", "fail 1 - 1 dkim.key-too-small",
     sets(1, key="rsa512", signature={"s": "small"}, seal={"s": "small"}), zone=zone("small", "example.test", "rsa512"))
case("seal-key-in-test", "RFC 8617 §5.2: a chain passes or fails; a key in test mode makes it no better.",
     "fail 1 - 1 dkim.bad-signature", change(sets(1, seal={"s": "test"}), ("arc=none", "arc=pass")),
     zone=txt("test._domainkey.example.test", "v=DKIM1; k=ed25519; t=y; p=" + KEYS["ed25519"].p()))
case("seal-of-long-ago", "RFC 8617 §4.1.3: t= tells when; nothing expires.", "pass 1 0 - -",
     add_set(BASE, KEYS, 1, seal={"t": "1"}))
case("older-seal-changed", "RFC 8617 §5.1.1: a seal covers the seals before it.", "fail 2 - 1 dkim.bad-signature",
     change(add_set(sets(1, seal={"note": "one"}), KEYS, 2), ("note=one", "note=two")))
case("newest-seal-changed", "RFC 8617 §5.2, step 6: the newest seal must verify too.", "fail 2 - 2 dkim.bad-signature",
     change(add_set(sets(1), KEYS, 2, seal={"note": "one"}), ("note=one", "note=two")))
case("two-algorithms", "RFC 8463 §3: each set by an algorithm of its own.", "pass 2 0 - -",
     add_set(sets(1, key="rsa2048"), KEYS, 2))
case("newest-signature-without-key", "RFC 8617 §5.2, step 4: the newest message signature needs its key.",
     "fail 1 - 1 dkim.no-key", sets(1, signature={"s": "gone"}))
case("newest-signature-in-future", "RFC 6376 §3.5: t= in the future.", "fail 1 - 1 dkim.signed-in-future",
     sets(1, signature={"t": "1800000000"}))
case("newest-signature-algorithm-unknown", "RFC 8617 §5.2, step 4: the newest message signature must verify.",
     "fail 1 - 1 dkim.unknown-algorithm", sets(1, signature={"a": "ed25519-sha512"}))
case("older-signature-algorithm-unknown", "RFC 8617 §5.2, step 5: an older message signature need not verify.",
     "pass 2 2 - -", add_set(sets(1, signature={"a": "ed25519-sha512"}), KEYS, 2))
case("older-signature-expired", "RFC 8617 §5.2, step 5: nor need it be in force any more.", "pass 2 2 - -",
     add_set(sets(1, signature={"x": "1600000000"}), KEYS, 2))
case("older-signature-of-nobody", "RFC 8617 §4.1.2: d= is required in every message signature.",
     "fail 2 - 1 dkim.missing-tag", add_set(sets(1, signature={"d": None}), KEYS, 2))
case("signature-over-results", "RFC 8617 §4.1.2: Authentication-Results may be signed, though it is not advised.",
     "pass 1 0 - -", add_set(b"Authentication-Results: mx.example.net; none\r\n" + BASE, KEYS, 1,
                             signature={"h": "from:to:subject:authentication-results"}))
case("cv-fail-newest-of-a-broken-chain", "RFC 8617 §5.2, step 2: what the newest seal says comes before the structure.",
     "fail 2 - 2 dkim.arc-failed-before",
     b"ARC-Authentication-Results: i=1; x\r\n" + add_set(sets(1), KEYS, 2, cv="fail", own_only=True))
case("cv-fail-newest-with-gap", "RFC 8617 §5.2, step 2: so does it with a set missing.",
     "fail 3 - 3 dkim.arc-failed-before", add_set(sets(1), KEYS, 3, cv="fail", own_only=True))
case("cv-fail-newest-in-upper-case", "RFC 8617 §4.4: case means nothing in the grammar.",
     "fail 2 - 2 dkim.arc-failed-before", add_set(sets(1), KEYS, 2, cv="FAIL", own_only=True))
print(f"{SUITE.count} cases in {SUITE.folder}")
