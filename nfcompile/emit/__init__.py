"""nft's own vocabulary as values, and their text. Never heard of a pool.

Text is put together here and not by a template engine: importing one costs ten times the start of
Python itself, and `build` is run on every commit (bench/startup.py).
"""

from nfcompile.emit.expressions import Element, Name
from nfcompile.emit.objects import (
    Chain,
    Counter,
    CtHelper,
    CtTimeout,
    Flowtable,
    Hook,
    Map,
    Object,
    Rule,
    Set,
    Table,
)
from nfcompile.emit.text import Text, object_lines, render

__all__ = [
    "Chain",
    "Counter",
    "CtHelper",
    "CtTimeout",
    "Element",
    "Flowtable",
    "Hook",
    "Map",
    "Name",
    "Object",
    "Rule",
    "Set",
    "Table",
    "Text",
    "object_lines",
    "render",
]
