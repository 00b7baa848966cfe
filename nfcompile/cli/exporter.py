"""`nfcompile exporter`: the use of pools for Prometheus over HTTP, read at every scrape."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from nfcompile.cli import metrics, site, state
from nfcompile.cli.exit_status import OK, UsageProblem
from nfcompile.cli.options import Options

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


def run(options: Options) -> int:
    """Serve until SIGINT or SIGTERM."""
    from nfcompile.cli.membership import membership
    from nfcompile.cli.pair_metrics import PairCollected
    from nfcompile.deploy import pair
    from nfcompile.live.follow import ScrapedSite
    from nfcompile.live.scrape import Scraper

    host, port = address(options.listen)
    compilation, compiled = site.compiled_or_refused(options)
    state.examine(options)
    begins = ScrapedSite(compiled, "", compilation.document.name, site.choice(options))
    collectors: list[Collector] = [
        metrics.Collected(Scraper(begins, options.state_dir, options.netns, options.full).read)
    ]
    if compiled.site.pair is not None:
        collectors.append(PairCollected(lambda: pair.report(membership(options))))
    _serve(host, port, collectors, options.quiet)
    return OK


def address(listen: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 host stands in brackets.

    >>> address("127.0.0.1:9911"), address("[::1]:9911"), address(":9911")
    (('127.0.0.1', 9911), ('::1', 9911), ('', 9911))
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65535:
        raise UsageProblem(f"'{listen}' is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _serve(host: str, port: int, collectors: list[Collector], quiet: bool) -> None:
    made = metrics.registry(*collectors)
    from prometheus_client import start_http_server

    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        server, _ = start_http_server(port, host or "0.0.0.0", made)
    except OSError as error:
        raise UsageProblem(f"cannot listen at {host}:{port}: {error.strerror}") from None
    if not quiet:
        print(f"serving http://{host or '0.0.0.0'}:{server.server_port}/metrics", file=sys.stderr, flush=True)
    signal.sigwait(ends)
    server.shutdown()
