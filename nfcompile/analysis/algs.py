"""alg-unavailable: an ALG is on that no mainline kernel has (a warning).

Linux has no connection tracking helper for RTSP. `build` writes the rule, since a kernel with such a module
would load it; `apply` and `check --kernel` are refused at this line by every other kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One warning where rtsp is on."""
    if checked.site.defaults.alg.rtsp:
        yield Diagnostic(
            "alg-unavailable",
            "mainline kernels have no helper for rtsp",
            ("nat_defaults", "alg", "rtsp"),
            hint="set rtsp: off; most players fall back to RTP over the RTSP connection",
            severity="warning",
        )
