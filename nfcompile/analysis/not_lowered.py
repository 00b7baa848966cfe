"""Keys that this version reads and checks, but cannot compile yet.

### not-supported

A setting that this version of nfcompile understands, but has no ruleset for yet. The site is refused, so that
the setting is not ignored.

```yaml
nat_defaults: {assignment_trial: 60}
```

```yaml
nat_defaults: {assignment_trial: 30}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from nfcompile.analysis.check_input import CheckInput
from nfcompile.diagnostics import Diagnostic, Path
from nfcompile.model.site import Site

SCHEMA_KEYS = frozenset(
    {
        ("site.nat_defaults", "assignment_trial"),
    }
)
"""Keys that no golden ruleset can have yet. The commit that lowers a key removes it here and below."""


def check(checked: CheckInput) -> Iterator[Diagnostic]:
    """One error for each setting in use."""
    for path, words in dict(_settings(checked.site)).items():
        yield Diagnostic("not-supported", f"{words} is not supported yet", path)


def _settings(site: Site) -> Iterator[tuple[Path, str]]:
    for key in ("assignment_trial",):
        if key in site.defaults.differing:
            yield ("nat_defaults", key), f"'{key}: {_spelled(getattr(site.defaults, key))}'"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
