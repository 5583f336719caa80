"""Strict Ed25519 verification, written from RFC 8032 section 5.1 and the signature rules of docs/format.md.

Nothing here is constant-time: it only ever sees public values. Sums of multiples of a point that is used often come from a table.
"""

import collections
import functools
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)
WINDOW = 8
USES_BEFORE_TABLE = 24


def add(p, q):
    """The sum of two points in extended coordinates (RFC 8032, 5.1.4)."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def negate(p):
    """The point's inverse."""
    return P - p[0], p[1], p[2], P - p[3]


def is_small_order(p):
    """Whether eight times the point is the identity."""
    for _ in range(3):
        p = add(p, p)
    return p[0] % P == 0 and (p[1] - p[2]) % P == 0


def recover_x(y, sign):
    """The x of a y and the parity wanted; None when there is none (RFC 8032, 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def y_and_sign(encoded):
    """The two fields of an encoded point."""
    number = int.from_bytes(encoded, "little")
    return number & (2**255 - 1), number >> 255


@functools.lru_cache(maxsize=4096)
def decode(encoded):
    """The point that 32 bytes encode, canonically; None when they encode none."""
    y, sign = y_and_sign(encoded)
    x = recover_x(y, sign) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def encode(p):
    """The 32 bytes of a point."""
    inverse = pow(p[2], -1, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@functools.lru_cache(maxsize=64)
def table(p):
    """For each window of a scalar the multiples of the point that may stand there, as `ready` makes them."""
    rows = []
    for _ in range(0, 256, WINDOW):
        row = [IDENTITY]
        for _ in range(2**WINDOW - 1):
            row.append(add(row[-1], p))
        rows.append(ready(row))
        p = add(row[-1], p)
    return rows


def ready(points):
    """What every addition of the same point computes from it: y - x, y + x and 2 d t, for z = 1."""
    prepared = []
    for p, inverse in zip(points, inverses([p[2] for p in points])):
        x, y = p[0] * inverse % P, p[1] * inverse % P
        prepared.append(((y - x) % P, (y + x) % P, 2 * D * x * y % P))
    return prepared


def inverses(numbers):
    """The inverses modulo p of numbers of which none is 0, by one inversion of their product."""
    products = [1]
    for number in numbers:
        products.append(products[-1] * number % P)
    inverse = pow(products[-1], -1, P)
    found = []
    for number, before in zip(reversed(numbers), reversed(products[:-1])):
        found.append(inverse * before % P)
        inverse = inverse * number % P
    return found[::-1]


uses = collections.Counter()


def multiply(scalar, p):
    """The scalar times the point; by a table once the point has been used often enough to be worth one."""
    uses[p] += 1
    return multiply_by_table(scalar, p) if uses[p] > USES_BEFORE_TABLE else multiply_by_doubling(scalar, p)


def multiply_by_doubling(scalar, p):
    total = IDENTITY
    for bit in reversed(range(scalar.bit_length())):
        total = add(total, total)
        if scalar >> bit & 1:
            total = add(total, p)
    return total


def multiply_by_table(scalar, p):
    """The additions are those of `add`, with points that are ready."""
    x, y, z, t = IDENTITY
    for row in table(p):
        digit = scalar & (2**WINDOW - 1)
        if digit:
            minus, plus, product = row[digit]
            a, b, c, d = (y - x) * minus % P, (y + x) * plus % P, t * product % P, 2 * z
            e, f, g, h = b - a, d - c, d + c, b + a
            x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
        scalar >>= WINDOW
    return x, y, z, t


BASE_Y = 4 * pow(5, -1, P) % P
BASE = decode(BASE_Y.to_bytes(32, "little"))


def is_strong_key(key):
    """Whether a key may stand in a trust anchor: canonical, and no small order whatever its sign bit says."""
    y, _ = y_and_sign(key)
    if y >= P:
        return False
    x = recover_x(y, 0)
    return x is None or not is_small_order((x, y, 1, x * y % P))


@functools.lru_cache(maxsize=65536)
def verify(key, message, signature):
    """Whether a signature holds: canonical S, A and R, no small order, and the cofactorless equation by recomputing R."""
    encoded_r, s = signature[:32], int.from_bytes(signature[32:], "little")
    a = decode(key)
    if s >= L or a is None or is_small_order(a):
        return False
    k = int.from_bytes(hashlib.sha512(encoded_r + key + message).digest(), "little") % L
    r = add(multiply(s, BASE), multiply(k, negate(a)))
    return encode(r) == encoded_r and not is_small_order(r)
