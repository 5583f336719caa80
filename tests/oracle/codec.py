"""The encoding that manifest and journal state share, written from docs/format.md, "Manifest"."""

NUMBER_LIMIT = 2**48


class Fault(Exception):
    """A value that is not what the format says; `code` is its rejection."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


MALFORMED = 12
LEFT_OVER = 13
NOT_CANONICAL = 14
TOO_LARGE = 15


class Reader:
    """Reads values from the front of bytes; the first fault is raised."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        """So many bytes as they are."""
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise Fault(MALFORMED)
        self.at += count
        return taken

    def byte(self):
        """A u8."""
        return self.take(1)[0]

    def varint(self, bits):
        """An unsigned LEB128 of a type with so many bits."""
        value = 0
        for shift in range(0, bits, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        if byte >= 0x80 or value >= 2**bits:
            raise Fault(MALFORMED)
        if byte == 0 and shift > 0:
            raise Fault(NOT_CANONICAL)
        return value

    def number(self):
        """A u64, which is below 2^48."""
        value = self.varint(64)
        if value >= NUMBER_LIMIT:
            raise Fault(TOO_LARGE)
        return value

    def variant(self, names):
        """An enum's variant, by name."""
        value = self.varint(32)
        if value >= len(names):
            raise Fault(MALFORMED)
        return names[value]

    def sequence(self, limit, item):
        """A list of at most `limit` items."""
        count = self.varint(32)
        if count > limit:
            raise Fault(MALFORMED)
        return [item() for _ in range(count)]

    def string(self, limit):
        """The bytes of a string or byte list."""
        count = self.varint(32)
        if count > limit:
            raise Fault(MALFORMED)
        return self.take(count)

    def option(self, item):
        """A value or None."""
        present = self.byte()
        if present > 1:
            raise Fault(MALFORMED)
        return item() if present else None

    def rest(self):
        """What has not been read."""
        return self.data[self.at :]
