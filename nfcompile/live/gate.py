"""The gate of a pair's node as contents of its set."""

from __future__ import annotations

from nfcompile.kernel.filling import Filled
from nfcompile.lower import names
from nfcompile.lower.context import lowering_context
from nfcompile.pipeline import Compiled

KEY = f"set {names.GATE}"
TYPE = ("ifname",)


def interfaces(compiled: Compiled) -> tuple[str, ...]:
    """The interfaces whose new connections the gate holds back."""
    context = lowering_context(compiled.site, compiled.allocations)
    return tuple(dict.fromkeys((*context.inside, *context.outside)))


def opened(compiled: Compiled) -> Filled:
    """The gate, open."""
    return Filled(str(names.GATE), TYPE, (), [((name,), (), 0) for name in interfaces(compiled)])


def closed() -> Filled:
    """The gate, closed."""
    return Filled(str(names.GATE), TYPE, (), ())
