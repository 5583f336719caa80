"""Slot image header, manifest and chunk table, written from docs/format.md ("Slot image", "Chunk table", "Order of checks") and DESIGN section 2."""

import hashlib
import zlib
from dataclasses import dataclass, field

import ed25519
from codec import LEFT_OVER, MALFORMED, Fault, Reader

HEADER_SIZE = 1024
SIGNED_SIZE = 732
MAX_BODY = 716
ENTRY_SIZE = 72
CHUNK_SIZE = 262_144

KINDS = ("Firmware", "Kernel", "Initrd", "DeviceTree", "CommandLine", "RootFs", "Aux", "Loader")
PLACES = {
    "Firmware": ("InPlace", "At"),
    "Kernel": ("At", "Auto"),
    "Initrd": ("At", "Auto"),
    "DeviceTree": ("At", "Auto"),
    "CommandLine": ("InPlace", "At", "Auto"),
    "RootFs": ("InPlace",),
    "Aux": ("InPlace", "At"),
}


@dataclass
class Part:
    kind: str
    offset: int
    len: int
    mem: int
    place: str
    entry: int
    encoding: str
    sha256: bytes
    check: str

    def end(self):
        return self.offset + self.len

    def family(self):
        """The kind without an Aux part's number."""
        return self.kind.partition("(")[0]

    def __str__(self):
        numbers = f"{self.offset}+{self.len}/{self.mem}"
        return f"{self.kind}@{numbers}:{self.place}:{self.entry}:{self.encoding}:{self.sha256.hex()}:{self.check}"


@dataclass
class Manifest:
    product: str
    hw: int
    version: tuple
    security_counter: int
    slot: str
    revoke: list
    created: int
    build: bytes
    chunks: bytes
    min_loader: int
    requires: int
    parts: list
    extra: list

    def image_end(self):
        return self.parts[-1].end()

    def families(self):
        return {part.family() for part in self.parts}

    def __str__(self):
        revoke = ",".join(key.hex() for key in self.revoke)
        version = ".".join(map(str, self.version))
        extra = ",".join(f"{tag}:{data.hex()}" for tag, data in self.extra)
        head = f"{self.product} hw={self.hw} v={version} counter={self.security_counter} slot={self.slot} revoke={revoke}"
        middle = f"created={self.created} build={self.build.hex()} chunks={self.chunks.hex()} loader={self.min_loader} requires={self.requires}"
        return f"{head} {middle} parts={','.join(map(str, self.parts))} extra={extra}"


@dataclass
class Trust:
    """A trust anchor."""

    keys: list
    threshold: int
    floor: int

    def is_valid(self):
        ids = {key_id(key) for key in self.keys}
        vetted = all(len(key) == 32 and ed25519.is_strong_key(key) for key in self.keys)
        return 1 <= len(self.keys) <= 8 and len(ids) == len(self.keys) and vetted and 1 <= self.threshold <= len(self.keys)


@dataclass
class Expectations:
    """What a header must fit; `place` is "a", "b" or "golden"."""

    product: str
    hw: int
    place: str
    slot_size: int
    write_size: int
    floor: int
    loader: int
    revoked: list = field(default_factory=list)


def key_id(key):
    return hashlib.sha256(key).digest()[:8]


def verify_header(header, trust, expect):
    """The manifest of a header that passes steps 1 to 7, else a Fault."""
    body = framed_body(header)
    signers = valid_signers(header, trust, expect.revoked)
    manifest = read_manifest(body)
    check_format(manifest, expect)
    check_policy(manifest, trust, expect)
    check_revocations(manifest, trust, expect, signers)
    return manifest


def framed_body(header):
    """Steps 1 and 2."""
    body_len = int.from_bytes(header[12:16], "little")
    refuse_if(header[:8] != b"TWINSLOT", 1)
    refuse_if(int.from_bytes(header[8:10], "little") != 1, 2)
    refuse_if(header[10] != 1, 3)
    refuse_if(header[11] != 0, 4)
    refuse_if(not 1 <= body_len <= MAX_BODY, 5)
    refuse_if(zlib.crc32(header[:1020]) != int.from_bytes(header[1020:], "little"), 7)
    refuse_if(any(header[16 + body_len : SIGNED_SIZE]), 6)
    check_signature_list(header)
    return header[16 : 16 + body_len]


def entries(header):
    area = header[SIGNED_SIZE:1020]
    return [area[at : at + ENTRY_SIZE] for at in range(0, len(area), ENTRY_SIZE)]


def check_signature_list(header):
    listed = entries(header)
    for number, entry in enumerate(listed):
        behind = listed[number + 1 :]
        if not any(entry):
            refuse_if(any(map(any, behind)), 8)
            return
        refuse_if(any(any(later) and later[:8] == entry[:8] for later in behind), 9)


def valid_signers(header, trust, revoked):
    """Step 3: the ids of the anchor's keys that signed."""
    known = {key_id(key): key for key in trust.keys}
    signers = set()
    for entry in entries(header):
        key = known.get(entry[:8])
        if not any(entry) or key is None or entry[:8] in revoked:
            continue
        refuse_if(not ed25519.verify(key, header[:SIGNED_SIZE], entry[8:]), 10)
        signers.add(entry[:8])
    refuse_if(len(signers) < trust.threshold, 11)
    return signers


def read_manifest(body):
    """Step 4."""
    reader = Reader(body)
    manifest = Manifest(
        product=read_product(reader),
        hw=reader.varint(32),
        version=(reader.varint(16), reader.varint(16), reader.varint(16), reader.varint(32)),
        security_counter=reader.varint(32),
        slot=reader.variant(("Any", "A", "B")),
        revoke=reader.sequence(4, lambda: reader.take(8)),
        created=reader.number(),
        build=reader.take(32),
        chunks=reader.take(32),
        min_loader=reader.varint(16),
        requires=reader.varint(32),
        parts=reader.sequence(6, lambda: read_part(reader)),
        extra=reader.sequence(3, lambda: (reader.varint(16), reader.string(32))),
    )
    refuse_if(len(reader.rest()) != 0, LEFT_OVER)
    return manifest


def read_product(reader):
    name = reader.string(32)
    refuse_if(not name or any(not 0x21 <= byte <= 0x7E for byte in name), MALFORMED)
    return name.decode("ascii")


def read_part(reader):
    return Part(
        kind=read_kind(reader),
        offset=reader.number(),
        len=reader.number(),
        mem=reader.number(),
        place=read_place(reader),
        entry=reader.number(),
        encoding=reader.variant(("Plain", "Lz4", "Zstd", "Aes")),
        sha256=reader.take(32),
        check=reader.variant(("AtBoot", "ByOs")),
    )


def read_kind(reader):
    kind = reader.variant(KINDS)
    return f"Aux({reader.byte()})" if kind == "Aux" else kind


def read_place(reader):
    place = reader.variant(("InPlace", "At", "Auto"))
    return f"At({reader.number()})" if place == "At" else place


def check_format(manifest, expect):
    """Step 5."""
    refuse_if(manifest.requires != 0, 16)
    refuse_if(manifest.min_loader > expect.loader, 37)
    seen = set()
    for part in manifest.parts:
        refuse_if(part.kind == "Loader", 22)
        refuse_if(part.encoding != "Plain", 23)
        refuse_if((part.kind == "RootFs") != (part.check == "ByOs"), 21)
        refuse_if(part.kind in seen, 19)
        seen.add(part.kind)
    check_company(manifest.families())
    end = HEADER_SIZE
    for part in manifest.parts:
        check_part(part, end, expect)
        end = part.end()


def check_company(families):
    """What may stand together."""
    refuse_if(not families & {"Firmware", "Kernel"}, 17)
    refuse_if({"Firmware", "Kernel"} <= families, 18)
    refuse_if("Kernel" not in families and families & {"Initrd", "DeviceTree", "CommandLine"}, 20)
    refuse_if("RootFs" in families and "CommandLine" not in families, 33)


def check_part(part, previous_end, expect):
    refuse_if(part.len == 0 or part.mem < part.len, 27)
    refuse_if(part.entry >= part.len, 28)
    refuse_if(part.offset < HEADER_SIZE or part.offset % max(1024, expect.write_size) != 0, 25)
    refuse_if(part.offset < previous_end, 24)
    refuse_if(part.end() >= 2**64, 48)
    refuse_if(part.end() > expect.slot_size, 26)
    refuse_if(part.place.partition("(")[0] not in PLACES[part.family()] or (part.kind == "Firmware" and part.entry != 0), 29)


def check_policy(manifest, trust, expect):
    """Step 6."""
    allowed = {"a": ("Any", "A"), "b": ("Any", "B"), "golden": ("Any",)}
    refuse_if(manifest.product != expect.product, 34)
    refuse_if(manifest.hw != 0 and not manifest.hw >> expect.hw & 1, 35)
    refuse_if(manifest.slot not in allowed[expect.place], 36)
    refuse_if(manifest.security_counter < max(trust.floor, expect.floor), 38)


def check_revocations(manifest, trust, expect, signers):
    """Step 7."""
    revoked = set(expect.revoked) | set(manifest.revoke)
    keys = {key_id(key) for key in trust.keys}
    refuse_if(len(keys - revoked) < trust.threshold, 39)
    refuse_if(len(signers - revoked) < trust.threshold, 11)


def chunk_count(image_end):
    """How many chunks an image has."""
    return -(-max(image_end - HEADER_SIZE, 0) // CHUNK_SIZE)


def chunk_length(number, image_end):
    """The length of one chunk of an image."""
    return min(CHUNK_SIZE, image_end - HEADER_SIZE - number * CHUNK_SIZE)


def check_chunk_table(manifest, table):
    fits = len(table) == 32 * chunk_count(manifest.image_end())
    refuse_if(not fits or hashlib.sha256(table).digest() != manifest.chunks, 43)


def refuse_if(fault, code):
    if fault:
        raise Fault(code)
