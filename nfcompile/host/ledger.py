"""What `host apply` has done and `host revert` undoes: steps in their order, in a file of the state
directory.

    DIR/host.json    {"identity": boot and namespace, "steps": [...], "before": {"<change>": [steps], ...}}

`before` has what stood before each change of the history that had the host's half with it (`apply --host`).
Written before the steps are made, so that one that was cut off can be undone. After a start of the machine
the kernel has forgotten all of them but the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from nfcompile import durable
from nfcompile.host.steps import SetMtu, SetSysctl, Step, WriteLldp, as_data, from_data, target
from nfcompile.kernel import KernelError

FILE = "host.json"


class Ledger(NamedTuple):
    """The steps that stand, in the order in which they were made; those that stood before changes of the
    history, by their numbers."""

    identity: str
    steps: tuple[Step, ...] = ()
    before: dict[int, tuple[Step, ...]] = {}


def read(folder: str, identity: str) -> Ledger:
    """What was done in this namespace since the machine was started. `identity` names both."""
    path = os.path.join(folder, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        steps = tuple(map(from_data, data["steps"]))
        before = {int(number): tuple(map(from_data, made)) for number, made in data["before"].items()}
        if data["identity"] != identity:
            return Ledger(identity, tuple(one for one in steps if isinstance(one, WriteLldp)))
        return Ledger(identity, steps, before)
    except FileNotFoundError:
        return Ledger(identity)
    except OSError as error:
        raise KernelError(f"cannot read '{path}': {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KernelError(f"'{path}' is damaged, so what 'host apply' has done is not known") from None


def write(folder: str, ledger: Ledger) -> None:
    """Put it in the place of the last one, on the disk when this returns; without steps there is no file."""
    path = os.path.join(folder, FILE)
    try:
        if ledger.steps or ledger.before:
            before = {number: [*map(as_data, made)] for number, made in ledger.before.items()}
            data = {"identity": ledger.identity, "steps": [*map(as_data, ledger.steps)], "before": before}
            durable.replace(path, json.dumps(data).encode())
        elif os.path.exists(path):
            os.unlink(path)
    except OSError as error:
        raise KernelError(f"cannot write '{path}': {error.strerror}") from None


def joined(before: Iterable[Step], made: Iterable[Step]) -> tuple[Step, ...]:
    """Steps and later ones: of two changes of one value there remains one, from the first to the last value.

    >>> joined([SetMtu("lan0", 1500, 9000)], [SetMtu("lan0", 9000, 2000)])
    (SetMtu(interface='lan0', before=1500, after=2000),)
    """
    found = {target(one): one for one in before}
    for one in made:
        known = found.get(target(one))
        if known is None:
            found[target(one)] = one
        elif isinstance(one, SetMtu | SetSysctl | WriteLldp):
            found[target(one)] = from_data({**as_data(known), "after": one.after})
    return tuple(found.values())
