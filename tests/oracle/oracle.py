#!/usr/bin/env python3
"""Judges slot image headers, bundles, trust anchors, signatures and journal records by the documents alone.

Standard input: one JSON object a line, `kind` and what the kind needs, bytes in hexadecimal. Standard output: for each line the code (0 = accepted)
and, after a blank, the decoded values in one canonical spelling. Nothing in here is derived from the Rust source.
"""

import json
import sys

import ed25519
from bundle import stored_chunks, verify_bundle
from codec import Fault
from image import Expectations, Trust, verify_header
from journal import read_record

BAD_SIGNATURE = 10
INVALID_ANCHOR = 255
TORN = 255


def judge(case):
    """The answer to one case."""
    try:
        return f"0 {KINDS[case['kind']](case)}"
    except Fault as fault:
        return str(fault.code)


def header(case):
    return verify_header(bytes.fromhex(case["bytes"]), trust_of(case), expectations_of(case))


def bundle(case):
    return verify_bundle(bytes.fromhex(case["bytes"]), trust_of(case), expectations_of(case))


def index(case):
    chunks = stored_chunks(case["image_len"], bytes.fromhex(case["bytes"]), case["bundle_len"])
    return ",".join(f"{offset}+{length}{'z' if compressed else ''}" for offset, length, compressed in chunks)


def anchor(case):
    if not Trust(keys_of(case), case["threshold"], 0).is_valid():
        raise Fault(INVALID_ANCHOR)
    return "valid"


def signature(case):
    key, message, data = (bytes.fromhex(case[name]) for name in ("key", "message", "bytes"))
    if not ed25519.verify(key, message, data):
        raise Fault(BAD_SIGNATURE)
    return "valid"


def record(case):
    found = read_record(bytes.fromhex(case["bytes"]), case["attempts"], case["boots"])
    if found is None:
        raise Fault(TORN)
    return f"{found[0]} {found[1]}"


def keys_of(case):
    return [bytes.fromhex(key) for key in case["keys"]]


def trust_of(case):
    return Trust(keys_of(case), case["threshold"], case["trust_floor"])


def expectations_of(case):
    numbers = {name: case[name] for name in ("hw", "slot_size", "write_size", "floor", "loader")}
    revoked = [bytes.fromhex(key) for key in case["revoked"]]
    return Expectations(product=case["product"], place=case["place"], revoked=revoked, **numbers)


KINDS = {"header": header, "bundle": bundle, "index": index, "anchor": anchor, "signature": signature, "record": record}


def main():
    """Answers every line."""
    for line in sys.stdin:
        print(judge(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
