"""Makes signed messages with any tags, right or wrong, by means of dkimpy's parts. Nothing of the Rust crate is used."""

import base64
import hashlib
import os
import re
import subprocess

import nacl.signing
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import RSASSA_PKCS1_v1_5_sign, parse_pem_private_key

HERE = os.path.dirname(os.path.abspath(__file__))
TESTDATA = os.path.join(HERE, "..", "testdata")


def key_path(name):
    return os.path.join(TESTDATA, "keys", name + ".pem")


class Key:
    """A private key of testdata/keys."""

    def __init__(self, name):
        with open(key_path(name), "rb") as file:
            self.pem = file.read()
        self.is_rsa = not name.startswith("ed25519")
        der = subprocess.run(
            ["openssl", "pkey", "-in", key_path(name), "-pubout", "-outform", "DER"],
            check=True, capture_output=True).stdout
        self.spki = der
        # The key itself: behind the algorithm, which has a fixed length for each.
        self.bare = der[24 if len(der) > 255 else 22:] if self.is_rsa else der[12:]
        if not self.is_rsa:
            raw = base64.b64decode(re.search(b"--\n(.*?)\n--", self.pem, re.S).group(1))
            self.ed = nacl.signing.SigningKey(raw[-32:])

    def sign(self, data, digest=hashlib.sha256):
        if self.is_rsa:
            return RSASSA_PKCS1_v1_5_sign(digest(data), parse_pem_private_key(self.pem))
        return self.ed.sign(digest(data).digest()).signature

    def p(self):
        """The text for p=."""
        return base64.b64encode(self.spki if self.is_rsa else self.bare).decode()


def split(message):
    """Fields as [name, value with line end], and the body."""
    header, _, body = message.partition(b"\r\n\r\n")
    fields = []
    for line in re.findall(rb".*?\r\n", header + b"\r\n", re.S):
        if line[:1] in (b" ", b"\t"):
            fields[-1][1] += line
        else:
            name, _, value = line.partition(b":")
            fields.append([name, value])
    return fields, body


def join(fields, body):
    return b"".join(name + b":" + value for name, value in fields) + b"\r\n" + body


def tag(value, name):
    """The value of a tag without white space; None if it is not there."""
    match = re.search(rb"(?:^|;)\s*" + name.encode() + rb"\s*=([^;]*)", value)
    return re.sub(rb"\s", b"", match.group(1)) if match else None


def policy(value):
    c = tag(value, "c")
    try:
        return CanonicalizationPolicy.from_c_value(c.lower() if c else None)
    except Exception:
        return CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")


def digest_of(value):
    return hashlib.sha1 if (tag(value, "a") or b"").lower().endswith(b"sha1") else hashlib.sha256


def body_hash(value, body):
    canonical = policy(value).canonicalize_body(body)
    length = tag(value, "l")
    if length is not None and length.isdigit():
        canonical = canonical[: int(length)]
    return base64.b64encode(digest_of(value)(canonical).digest())


def header_data(fields, place, value):
    """What is signed: the fields of h=, bottom first, and the signature's own without its value."""
    p = policy(value)
    left = [field for at, field in enumerate(fields) if at != place]
    data = b""
    for wanted in (tag(value, "h") or b"").split(b":"):
        for at in range(len(left) - 1, -1, -1):
            if left[at] is not None and left[at][0].strip().lower() == wanted.strip().lower():
                [(name, text)] = p.canonicalize_headers([left[at]])
                data += name + b":" + text
                left[at] = None
                break
    [(name, text)] = p.canonicalize_headers([(fields[place][0], value)])
    return data + name + b":" + text.rstrip(b"\r\n")


def fill(message, keys, marker=b"@"):
    """Fills `bh=@` with the body hash, and `b=@name` with a signature by the key `name`, from the last field up."""
    fields, body = split(message)
    for field in fields:
        hashed = body_hash(field[1], body)
        field[1] = re.sub(rb"(bh=\s*)" + marker, lambda match: match.group(1) + hashed, field[1])
    for place in range(len(fields) - 1, -1, -1):
        match = re.search(rb"b=" + marker + rb"(\w+)", fields[place][1])
        if match:
            value = fields[place][1]
            empty = value[: match.start()] + b"b=" + value[match.end():]
            key = keys[match.group(1).decode()]
            signature = key.sign(header_data(fields, place, empty), digest_of(value))
            text = fold(base64.b64encode(signature))
            fields[place][1] = value[: match.start()] + b"b=" + text + value[match.end():]
    return join(fields, body)


def fold(text, width=70):
    return b"\r\n\t" .join(text[at: at + width] for at in range(0, len(text), width))


def crlf(text):
    return (text if isinstance(text, bytes) else text.encode()).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def txt(name, text):
    """A zone line; strings of at most 255 octets."""
    strings = [text[at: at + 250] for at in range(0, len(text), 250)] or [""]
    return f"{name}. TXT " + " ".join('"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"' for s in strings) + "\n"


class Suite:
    """A folder of fixtures."""

    def __init__(self, folder):
        self.folder = os.path.join(TESTDATA, folder)
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):
            if re.match(r"\d\d+-", name):
                os.remove(os.path.join(self.folder, name))
        self.count = 0

    def add(self, name, why, message, want, zone="", policy=""):
        self.count += 1
        stem = os.path.join(self.folder, f"{self.count:03}-{name}")
        parts = {"msg": message, "want": want + "\n", "why": why + "\n", "zone": zone, "policy": policy}
        for ending, content in parts.items():
            if content:
                with open(f"{stem}.{ending}", "wb") as file:
                    file.write(content if isinstance(content, bytes) else content.encode())


ARC = [b"ARC-Authentication-Results", b"ARC-Message-Signature", b"ARC-Seal"]


def instance(field):
    match = re.search(rb"(?:^|;)[^;=]*\bi\s*=\s*(\d+)", field[1])
    return int(match.group(1)) if match else 0


def seal_data(fields, seal, own_only=False):
    """All sets up to that of `seal`, oldest first, each as results, message signature, seal."""
    relaxed = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    last = instance(seal)
    data = b""
    for number in range(last if own_only else 1, last + 1):
        for name in ARC:
            for field in fields:
                if field[0].lower() == name.lower() and instance(field) == number and field is not seal:
                    [(n, text)] = relaxed.canonicalize_headers([field])
                    data += n + b":" + text
                    break
    [(n, text)] = relaxed.canonicalize_headers([seal])
    return data + n + b":" + text.rstrip(b"\r\n")


def add_set(message, keys, number, cv=None, key="ed25519", results="mx.example.net; arc=none", signature=None,
            seal=None, own_only=False, info="i={}"):
    """Puts a set on top. `signature` and `seal` replace tags (None leaves one out)."""
    algorithm = "rsa-sha256" if keys[key].is_rsa else "ed25519-sha256"
    selector = "rsa" if keys[key].is_rsa else "ed"
    who = {"d": "example.test", "s": selector}
    tags = {"i": number, "a": algorithm, "c": "relaxed/relaxed", **who, "h": "from:to:subject:date", "bh": "@",
            "b": "@" + key, **(signature or {})}
    seal_tags = {"i": number, "a": algorithm, "t": 1700000000, "cv": cv or ("none" if number == 1 else "pass"), **who,
                 "b": "@" + key, **(seal or {})}
    text = lambda t: "; ".join(f"{k}={v}" for k, v in t.items() if v is not None)
    message = fill(crlf(f"ARC-Message-Signature: {text(tags)}\n") + message, keys)
    message = crlf(f"ARC-Authentication-Results: {info.format(number)}; {results}\n") + message
    fields, body = split(message)
    value = crlf(" " + text(seal_tags) + "\n")
    place = value.index(b"b=@" + key.encode())
    end = place + len(b"b=@" + key.encode())
    empty = [ARC[2], value[:place] + b"b=" + value[end:]]
    signed = keys[key].sign(seal_data([empty] + fields, empty, own_only), digest_of(value))
    filled = value[:place] + b"b=" + fold(base64.b64encode(signed)) + value[end:]
    return join([[ARC[2], filled]] + fields, body)
