#!/usr/bin/env python3
"""Compares with dkimpy: what one signs the other verifies, over awkward messages, all canonicalisations and algorithms.

Usage: compare.py PATH-OF-THE-EXAMPLE-BINARY
"""

import base64
import os
import re
import subprocess
import sys
import tempfile

import dkim

from awkward import messages
from crafting import Key, key_path, txt

DOMAIN = "example.test"
KINDS = [f"{header}/{body}" for header in ("simple", "relaxed") for body in ("simple", "relaxed")]
KEYS = {"rsa": Key("rsa2048"), "ed": Key("ed25519")}
RECORDS = {
    f"{selector}._domainkey.{DOMAIN}.": f"v=DKIM1; k={'rsa' if key.is_rsa else 'ed25519'}; p={key.p()}"
    for selector, key in KEYS.items()
}


def look_up(name, timeout=5):
    text = RECORDS.get(name.decode() if isinstance(name, bytes) else name)
    return text.encode() if text else None


class Ours:
    """This crate, through its example."""

    def __init__(self, binary):
        self.binary = binary
        self.zone = tempfile.NamedTemporaryFile("w", suffix=".zone")
        self.zone.write("".join(txt(name.rstrip("."), text) for name, text in RECORDS.items()))
        self.zone.flush()

    def run(self, message, *arguments):
        # dkimpy takes the time from the clock.
        now = subprocess.run(["date", "+%s"], check=True, capture_output=True).stdout.decode().strip()
        done = subprocess.run([self.binary, *arguments, now], input=message, capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return done.stdout

    def sign(self, message, selector, kinds):
        name = "rsa2048" if selector == "rsa" else "ed25519"
        return self.run(message, "sign", key_path(name), DOMAIN, selector, kinds)

    def seal(self, message, selector):
        name = "rsa2048" if selector == "rsa" else "ed25519"
        return self.run(message, "seal", key_path(name), DOMAIN, selector, self.zone.name)

    def verify(self, message):
        return self.run(message, "verify", self.zone.name).decode().splitlines()


def their_signature(message, selector, kinds):
    key = KEYS[selector]
    private = key.pem if key.is_rsa else base64.b64encode(bytes(key.ed))
    header, body = kinds.split("/")
    return dkim.sign(
        message, selector.encode(), DOMAIN.encode(), private, canonicalize=(header.encode(), body.encode()),
        signature_algorithm=b"rsa-sha256" if key.is_rsa else b"ed25519-sha256")


def their_set(message):
    private = KEYS["rsa"].pem
    results = f"Authentication-Results: mx.{DOMAIN}; arc={'pass' if b'ARC-Seal' in message else 'none'}\r\n".encode()
    return b"".join(dkim.arc_sign(results + message, b"rsa", DOMAIN.encode(), private, f"mx.{DOMAIN}".encode()))


def compare(ours, problems):
    counts = {"ours-by-theirs": [0, 0], "theirs-by-ours": [0, 0], "changed-is-noticed": [0, 0]}

    def count(what, good, name):
        counts[what][0] += good
        counts[what][1] += 1
        if not good:
            problems.append(f"{what}: {name}")

    number = 0
    for name, message in messages():
        number += 1
        for selector in KEYS:
            for kinds in KINDS:
                case = f"{name}, {selector}, {kinds}"
                signed = ours.sign(message, selector, kinds)
                try:
                    good = dkim.verify(signed, dnsfunc=look_up)
                except dkim.DKIMException as error:
                    good = False
                    case += f" ({error})"
                count("ours-by-theirs", good, case)
                signed = their_signature(message, selector, kinds) + message
                count("theirs-by-ours", ours.verify(signed)[0] == "pass -", f"{case}: {ours.verify(signed)}")
                changed = re.sub(rb"(\r\n\r\n)", rb"\1!", signed, count=1)
                count("changed-is-noticed", ours.verify(changed)[0] == "fail dkim.body-hash-mismatch", case)
    return number, counts


def compare_chains(ours, problems):
    counts = {"our-sets-by-theirs": [0, 0], "their-sets-by-ours": [0, 0], "mixed-chains": [0, 0]}

    def count(what, good, name):
        counts[what][0] += good
        counts[what][1] += 1
        if not good:
            problems.append(f"{what}: {name}")

    for name, message in messages():
        for selector in KEYS:
            sealed = ours.seal(ours.seal(message, selector), selector)
            if selector == "rsa":
                status, _, reason = dkim.arc_verify(sealed, dnsfunc=look_up)
                count("our-sets-by-theirs", status == b"pass", f"{name}: {reason}")
        theirs = their_set(message) + message
        count("their-sets-by-ours", ours.verify(theirs)[-1] == "arc=pass 1 -", f"{name}: {ours.verify(theirs)[-1]}")
        mixed = ours.seal(theirs, "rsa")
        status, _, reason = dkim.arc_verify(mixed, dnsfunc=look_up)
        good = status == b"pass" and ours.verify(mixed)[-1] == "arc=pass 2 -"
        count("mixed-chains", good, f"{name}: {reason} {ours.verify(mixed)[-1]}")
    return counts


def main():
    ours, problems = Ours(os.path.abspath(sys.argv[1])), []
    number, counts = compare(ours, problems)
    print(f"{number} messages, {len(KINDS)} canonicalizations, {len(KEYS)} algorithms")
    for what, (good, all_) in {**counts, **compare_chains(ours, problems)}.items():
        print(f"{what}: {good} of {all_}")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
