"""Two sides that have to say the same of random sites; where they do not, the least that shows it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from random import Random
from typing import Any

import pytest

from nfcompile.pipeline import Compiled
from support.random_sites import RandomSite, accepted

Asked = Callable[[Compiled, Random], str]
"""'' or what two sides say differently of a site; with the same dice it asks the same."""
Path = tuple[Any, ...]


def agree(sites: Iterable[RandomSite], ask: Asked) -> None:
    """Fail at the first site where ask finds something."""
    for site in sites:
        found = ask(site.compiled, Random(site.name))
        if found:
            pytest.fail(f"{found}\nrandom site {site.name}, of which is left:\n{smallest(site, ask)}")


def smallest(site: RandomSite, ask: Asked) -> str:
    """The site without all that can be taken away while it still compiles and ask still finds something."""
    data = site.data
    while less := next((one for one in fewer(data) if _found(one, ask, site.name)), None):
        data = less
    return json.dumps(data, indent=1)


def _found(data: dict[str, Any], ask: Asked, name: str) -> bool:
    compiled = accepted(data)
    try:
        return compiled is not None and ask(compiled, Random(name)) != ""
    except KeyError:  # without that key an interface has a name that the lab has no wire for
        return False


def fewer(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The site without one of its keys or list items, the outermost first."""
    for *home, last in sorted(places(data), key=len):
        less = copy.deepcopy(data)
        del reduce(lambda value, key: value[key], home, less)[last]
        yield less


def places(value: object, path: Path = ()) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))
