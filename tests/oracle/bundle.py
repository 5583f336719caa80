"""Bundle v1, written from docs/format.md, "Bundle, version 1"."""

import hashlib

from image import HEADER_SIZE, check_chunk_table, chunk_count, chunk_length, refuse_if, verify_header

MAGIC = b"TWINBNDL"
TABLE_AT = 8 + HEADER_SIZE
COMPRESSED = 2**31
MAX_STORED = 524_288


def verify_bundle(data, trust, expect):
    """The manifest of a bundle whose every chunk holds, for an installer that does not decompress; else a Fault."""
    refuse_if(data[:8] != MAGIC, 49)
    refuse_if(len(data) < TABLE_AT, 51)
    manifest = verify_header(data[8:TABLE_AT], trust, expect)
    count = chunk_count(manifest.image_end())
    index_at = TABLE_AT + 32 * count
    refuse_if(len(data) < index_at + 4 * count, 51)
    table = data[TABLE_AT:index_at]
    check_chunk_table(manifest, table)
    chunks = stored_chunks(manifest.image_end(), data[index_at : index_at + 4 * count], len(data))
    for number, (offset, length, compressed) in enumerate(chunks):
        refuse_if(compressed, 52)
        digest = hashlib.sha256(data[offset : offset + length]).digest()
        refuse_if(digest != table[32 * number : 32 * number + 32], 44)
    return manifest


def stored_chunks(image_end, index, bundle_len):
    """Offset, stored length and compression of each chunk; else a Fault."""
    count = chunk_count(image_end)
    refuse_if(len(index) != 4 * count, 50)
    offset = TABLE_AT + 36 * count
    chunks = []
    for number in range(count):
        entry = int.from_bytes(index[4 * number : 4 * number + 4], "little")
        compressed, stored = entry >= COMPRESSED, entry % COMPRESSED
        fits = 1 <= stored <= MAX_STORED if compressed else stored == chunk_length(number, image_end)
        refuse_if(not fits, 50)
        chunks.append((offset, stored, compressed))
        offset += stored
    refuse_if(offset != bundle_len, 51)
    return chunks
