"""Where records can go: one kind, one file; OUTPUTS is the table by what a destination begins with."""

from __future__ import annotations

from collections.abc import Callable

from nfcompile.log.delivery import Output
from nfcompile.log.destination import NO_SETTINGS, BadDestination, OutputSettings, host_and_port


def _json_lines(destination: str, _: OutputSettings) -> Output:
    from nfcompile.log.outputs.json_lines import JsonLines

    return JsonLines(destination)


def _ipfix_udp(destination: str, _: OutputSettings) -> Output:
    from nfcompile.log.outputs.ipfix_udp import IpfixUdp

    return IpfixUdp(*host_and_port(destination))


def _ipfix_tcp(destination: str, _: OutputSettings) -> Output:
    from nfcompile.log.outputs.ipfix_tcp import IpfixTcp

    return IpfixTcp(*host_and_port(destination))


def _postgresql(destination: str, settings: OutputSettings) -> Output:
    from nfcompile.log.outputs.postgresql import PostgresqlOutput

    return PostgresqlOutput(f"postgresql://{destination}", settings)


def _parquet(destination: str, settings: OutputSettings) -> Output:
    from nfcompile.log.outputs.parquet import ParquetOutput

    return ParquetOutput(destination, settings)


OUTPUTS: dict[str, Callable[[str, OutputSettings], Output]] = {
    "json:": _json_lines,
    "ipfix+udp://": _ipfix_udp,
    "ipfix+tcp://": _ipfix_tcp,
    "postgresql://": _postgresql,
    "parquet:": _parquet,
}


def opened(destination: str, settings: OutputSettings = NO_SETTINGS) -> Output:
    """The output of that name. Raises BadDestination."""
    word = kind_of(destination)
    return OUTPUTS[word](destination.removeprefix(word), settings)


def kind_of(destination: str) -> str:
    """What a destination begins with. Raises BadDestination for one that is of no kind."""
    for word in OUTPUTS:
        if destination.startswith(word) and destination != word:
            return word
    known = ", ".join(f"{word}..." for word in OUTPUTS)
    raise BadDestination(f"'{destination}' is not a destination; destinations are {known}")
