"""Give hostile inputs to `import`, and report what should not be: a traceback, a line without a fate, a site
that `check` refuses, more than five seconds of processor time, a gigabyte of memory.

    python scripts/import_fuzz.py DIR [--inputs 5000] [--seconds 60] [--seed 1]

An input is made of the files below DIR: cut off, two of them spliced, words and bytes changed, lines repeated
up to 20,000, nested deeply; or it is random bytes. It is read as its own kind, another, or as `auto` says.
What fails is printed with its number; the same seed and `--only NUMBER` do it again.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from import_table import checked, files

from nfcompile.importers.importing import KINDS, import_files
from nfcompile.importers.kinds import UnknownKind
from nfcompile.importers.lines import read_text
from nfcompile.importers.reading import ImportOptions

MOST_SECONDS = 5.0
MOST_MEMORY = 1 << 30
MOST_LINES = 20_000
MOST_BYTES = 2_000_000
OPENERS = (b"{", b"(", b"[", b'{"a":', b"rule 1 {", b"acls {\n", b'resource "aviatrix_gateway_snat" "x" {')
ONE_ARMED = ImportOptions(inside=("eth0",), outside=("eth0",))
"""Pools whose ACL has every source cannot be one-armed, and `check` says so."""
OPTIONS = (
    ImportOptions(),
    ImportOptions(inside=("lan0",), outside=("wan0",), addresses={"lan0": 0x0A000001, "wan0": 0xC0000201}),
    ONE_ARMED,
)


class TooLong(Exception):
    """An import takes longer than it may."""


def main() -> int:
    """Fuzz; exit status 1 where anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    originals = [(kind, path.read_bytes()) for kind, path in files(asked.directory)]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGVTALRM, _too_long)
    ran, found, slowest, began = Counter[str](), 0, (0.0, 0), time.monotonic()
    for number in [asked.only] if asked.only is not None else range(asked.inputs):
        if time.monotonic() - began > asked.seconds:
            break
        how, kind, data, options = made(Random(f"{asked.seed}/{number}"), originals)
        start = time.process_time()
        problem = tried(kind, data, options)
        slowest = max(slowest, (time.process_time() - start, number))
        ran[how] += 1
        if problem:
            found += 1
            print(f"--only {number}: {how}, as {kind}, {len(data)} bytes: {problem}", flush=True)
        if asked.only is not None:
            sys.stdout.buffer.write(data)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"seed {asked.seed}: {sum(ran.values()):,} inputs, {found} problems")
    print(
        f"slowest {slowest[0]:.2f} s (--only {slowest[1]}), memory {memory} MB; {dict(sorted(ran.items()))}"
    )
    return 1 if found else 0


def made(dice: Random, originals: list[tuple[str, bytes]]) -> tuple[str, str, bytes, ImportOptions]:
    """How an input was made, the kind as which it is read, the input, and options."""
    kind, data = dice.choice(originals)
    how = dice.choices(list(WAYS), [1 if name in SLOW else 10 for name in WAYS])[0]
    data = WAYS[how](dice, data, dice.choice(originals)[1])[:MOST_BYTES]
    if dice.random() < 0.3:
        kind = dice.choice(KINDS)
    return how, kind, data, dice.choice(OPTIONS)


def _cut(dice: Random, data: bytes, other: bytes) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _spliced(dice: Random, data: bytes, other: bytes) -> bytes:
    """Pieces of two files by turns."""
    pieces = []
    for _ in range(dice.randint(2, 6)):
        data, other = other, data
        at = dice.randrange(len(data) + 1)
        pieces.append(data[at : at + dice.randrange(3000)])
    return b"".join(pieces)


def _words(dice: Random, data: bytes, other: bytes) -> bytes:
    """Words of a file in each other's places."""
    words = data.split(b" ")
    for _ in range(dice.randint(1, 30)):
        words[dice.randrange(len(words))] = dice.choice(words + other.split())
    return b" ".join(words)


def _bytes(dice: Random, data: bytes, other: bytes) -> bytes:
    """Bytes changed, anywhere."""
    changed = bytearray(data or b"x")
    for _ in range(dice.randint(1, 40)):
        changed[dice.randrange(len(changed))] = dice.choice(
            (0, 9, 10, 34, 39, 92, 123, 125, 255, dice.randrange(256))
        )
    return bytes(changed)


def _random(dice: Random, data: bytes, other: bytes) -> bytes:
    return dice.randbytes(dice.randrange(5000))


def _lines(dice: Random, data: bytes, other: bytes) -> bytes:
    """Lines of a file, shuffled, dropped and repeated."""
    lines = data.split(b"\n")
    return b"\n".join(dice.choices(lines, k=min(MOST_LINES, dice.choice((len(lines), 5 * len(lines))))))


def _many(dice: Random, data: bytes, other: bytes) -> bytes:
    """A file again and again, up to 20,000 lines."""
    lines = data.split(b"\n")
    return b"\n".join((lines * (MOST_LINES // len(lines) + 1))[:MOST_LINES])


def _nested(dice: Random, data: bytes, other: bytes) -> bytes:
    """What opens a block, and never closes it, in the midst of a file."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice(OPENERS) * dice.choice((50, 1000, 50_000)) + data[at:]


def _long(dice: Random, data: bytes, other: bytes) -> bytes:
    """One line of all that a file has."""
    return data.replace(b"\n", dice.choice((b" ", b",", b"\\\n"))) * dice.choice((1, 20))


def _numbers(dice: Random, data: bytes, other: bytes) -> bytes:
    """Digits changed: addresses, lengths and ports that there are not."""
    changed = bytearray(data)
    places = [at for at, one in enumerate(changed) if 48 <= one <= 57]
    for at in dice.choices(places, k=dice.randint(1, 60)) if places else ():
        changed[at] = dice.choice(b"0123456789")
    return bytes(changed)


WAYS: dict[str, Callable[[Random, bytes, bytes], bytes]] = {
    "cut off": _cut,
    "spliced": _spliced,
    "words": _words,
    "bytes": _bytes,
    "random": _random,
    "lines": _lines,
    "20,000 lines": _many,
    "nested": _nested,
    "one line": _long,
    "numbers": _numbers,
}


SLOW = ("20,000 lines", "one line")


def tried(kind: str, data: bytes, options: ImportOptions) -> str:
    """Import an input; '' or what is wrong with what came of it."""
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        found = import_files(kind, [("input", data)], options)
    except UnknownKind:
        return ""
    except TooLong:
        return f"more than {MOST_SECONDS:g} s of processor time"
    except BaseException:
        return traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    lines, accounted = len(read_text("input", data).lines), sum(found.account.totals.values())
    if lines != accounted:
        return f"{lines} lines, {accounted} accounted for"
    return "" if options is ONE_ARMED else checked(found)


def _too_long(*_: object) -> None:
    raise TooLong


if __name__ == "__main__":
    sys.exit(main())
