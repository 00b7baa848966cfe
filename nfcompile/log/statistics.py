"""The figures of a log daemon: a file that it writes every few seconds, read by `log --stats`."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from nfcompile.kernel import KernelError
from nfcompile.log.delivery import DeliveryState

FILE = "statistics.json"


class SourceFigures(NamedTuple):
    """One source of messages. `lost` did not get from the kernel to the daemon; `overruns` is how often the
    kernel said so; `foreign` are messages about what the site does not translate, or not log; `room` is the
    size of the receive buffer in bytes."""

    name: str
    read: int
    foreign: int
    lost: int
    overruns: int
    room: int


class LogFigures(NamedTuple):
    """All figures since the daemon started; times are as in the history. `held` blocks are assigned now."""

    started: str
    written: str
    pid: int
    site: str
    held: int
    sources: tuple[SourceFigures, ...]
    outputs: tuple[DeliveryState, ...]

    @property
    def lost(self) -> int:
        """Records that are in no output and never will be."""
        return sum(one.lost for one in self.sources) + sum(one.lost for one in self.outputs)


def as_data(figures: LogFigures) -> dict[str, Any]:
    """The figures as one JSON object."""
    return figures._asdict() | {
        "lost": figures.lost,
        "sources": [one._asdict() for one in figures.sources],
        "outputs": [one._asdict() for one in figures.outputs],
    }


def write(folder: str, figures: LogFigures) -> None:
    """Put the figures into the folder of the daemon. Raises OSError."""
    path = os.path.join(folder, FILE)
    with open(f"{path}.new", "w") as file:
        json.dump(as_data(figures), file)
    os.replace(f"{path}.new", path)


def read(folder: str) -> LogFigures:
    """The figures that a daemon has written last. Raises KernelError where there are none."""
    path = os.path.join(folder, FILE)
    try:
        with open(path) as file:
            data = json.load(file)
        del data["lost"]
        return LogFigures(**data)._replace(
            sources=tuple(SourceFigures(**one) for one in data["sources"]),
            outputs=tuple(DeliveryState(**one) for one in data["outputs"]),
        )
    except FileNotFoundError:
        raise KernelError(f"no 'nfcompile log' has written figures to '{path}'") from None
    except OSError as error:
        raise KernelError(f"cannot read '{path}': {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise KernelError(f"'{path}' is damaged") from None


def exposition(figures: LogFigures) -> str:
    """The figures as Prometheus reads them (text format 0.0.4)."""
    lines: list[str] = []

    def family(name: str, kind: str, text: str, samples: list[tuple[str, str, int]]) -> None:
        lines.append(f"# HELP nfcompile_log_{name} {text}\n# TYPE nfcompile_log_{name} {kind}")
        lines.extend(
            f'nfcompile_log_{name}{{{label}="{_escaped(value)}"}} {number}'
            for label, value, number in samples
        )

    for field, text in (
        ("read", "Messages read from the kernel"),
        ("lost", "Messages of the kernel that did not reach the daemon"),
        ("overruns", "How often the kernel had no room for messages"),
    ):
        samples = [("source", one.name, int(getattr(one, field))) for one in figures.sources]
        family(f"{field}_total", "counter", text, samples)
    for field, kind, text in (
        ("delivered", "counter", "Records delivered"),
        ("waiting", "gauge", "Records in memory"),
        ("spooled", "gauge", "Bytes of records on the disk"),
        ("lost", "counter", "Records lost because memory and disk were full"),
    ):
        name = f"output_{field}" + ("_total" if kind == "counter" else "_bytes" if field == "spooled" else "")
        family(name, kind, text, [("output", one.name, int(getattr(one, field))) for one in figures.outputs])
    away = [("output", one.name, int(bool(one.away))) for one in figures.outputs]
    family("output_away", "gauge", "Whether the output takes no records at present", away)
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
