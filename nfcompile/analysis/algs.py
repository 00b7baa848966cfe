"""Application level gateways that the kernel does not have.

### alg-unavailable

An ALG is on that mainline kernels do not have: Linux has no connection tracking helper for RTSP (a
warning). `build` writes the rule nevertheless, because a kernel with such a module loads it; on any other
kernel `apply` and `check --kernel` report this line as an error.

```yaml
nat_defaults: {alg: {rtsp: on}}
```

```yaml
nat_defaults: {alg: {ftp: on}}
```
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
