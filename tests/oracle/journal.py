"""Journal records, written from docs/format.md, "Journal"."""

import zlib
from dataclasses import dataclass

from codec import NUMBER_LIMIT, Fault, Reader

PHASES = ("Empty", "Trial", "Confirmed", "Rejected")
MALFORMED = 12


@dataclass
class SlotState:
    phase: str
    attempts_left: int
    boots_left: int
    digest: bytes
    reason: int

    def is_possible(self, attempts, boots):
        blank = not any(self.digest)
        idle = self.attempts_left == 0 and self.boots_left == 0
        return {
            "Empty": idle and blank,
            "Trial": self.attempts_left <= attempts and self.boots_left <= boots and not blank,
            "Confirmed": idle and not blank,
            "Rejected": idle,
        }[self.phase]

    def __str__(self):
        return f"{self.phase}:{self.attempts_left}:{self.boots_left}:{self.digest.hex()}:{self.reason}"


@dataclass
class State:
    preferred: str
    slots: dict
    in_flight: str
    floor: int
    revoked: list
    last_revert: tuple

    def is_possible(self, attempts, boots):
        other = "B" if self.preferred == "A" else "A"
        orphaned = self.slots[self.preferred].phase == "Empty" and self.slots[other].phase == "Confirmed"
        flying = self.in_flight is None or self.slots[self.in_flight].phase == "Trial"
        distinct = len(set(self.revoked)) == len(self.revoked)
        return all(slot.is_possible(attempts, boots) for slot in self.slots.values()) and flying and distinct and not orphaned

    def __str__(self):
        revoked = ",".join(key.hex() for key in self.revoked)
        revert = "-" if self.last_revert is None else ":".join(map(str, self.last_revert))
        slots = f"a={self.slots['A']} b={self.slots['B']}"
        return f"preferred={self.preferred} {slots} flying={self.in_flight or '-'} floor={self.floor} revoked={revoked} revert={revert}"


def read_record(data, attempts, boots):
    """Sequence and state of a valid record; None for anything else."""
    sequence = int.from_bytes(data[6:14], "little")
    whole = data[:6] == b"TWJR\x01\x00" and zlib.crc32(data[:124]) == int.from_bytes(data[124:128], "little")
    if len(data) != 128 or not whole or not 1 <= sequence < NUMBER_LIMIT:
        return None
    reader = Reader(data[14:124])
    try:
        state = read_state(reader)
    except Fault:
        return None
    valid = not any(reader.rest()) and state.is_possible(attempts, boots)
    return (sequence, state) if valid else None


def read_state(reader):
    return State(
        preferred=read_slot(reader),
        slots={"A": read_slot_state(reader), "B": read_slot_state(reader)},
        in_flight=reader.option(lambda: read_slot(reader)),
        floor=reader.varint(32),
        revoked=reader.sequence(6, lambda: reader.take(8)),
        last_revert=reader.option(lambda: (read_slot(reader), read_reason(reader), reader.number())),
    )


def read_slot(reader):
    return reader.variant(("A", "B"))


def read_slot_state(reader):
    return SlotState(reader.variant(PHASES), reader.byte(), reader.byte(), reader.take(16), read_reason(reader))


def read_reason(reader):
    """Every byte is a reason: a code that nobody here knows is one of a newer writer."""
    return reader.byte()