"""`nfcompile host cloud aws`: secondary addresses, Elastic IPs, and forwarding for an instance of AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.cli import outcome
from nfcompile.cli.guard import OK, REFUSED, UsageProblem
from nfcompile.cli.outcome import Outcome
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError

if TYPE_CHECKING:
    from nfcompile.cli.host import Wish


class Done(NamedTuple):
    """What was done, or would be; the new Elastic IPs by private address."""

    steps: tuple[str, ...] = ()
    elastic: dict[str, str] = {}


def aws(site: str, wish: Wish) -> int:
    """Do for SITE what the cloud has to do; REFUSED where the site or the cloud does not allow it."""
    if (wish.instance is None) != (wish.region is None):
        raise UsageProblem("--instance and --region go together")
    try:
        result = outcome.compiled(site)
        done = Done()
        if result.compiled is not None:
            try:
                done = _done(result, wish)
            except SiteError as error:
                result = result.refused(error.diagnostics)
    except (KernelError, UsageProblem) as problem:
        if wish.format == "json":
            print(
                json.dumps(
                    {"done": [], "elastic_ips": {}, "diagnostics": [], "error": str(problem)}, indent=2
                )
            )
        raise
    if wish.format == "json":
        answer = {"done": [*done.steps], "elastic_ips": done.elastic, "diagnostics": outcome.as_data(result)}
        print(json.dumps(answer, indent=2))
    else:
        outcome.tell(result, wish.quiet, wish.color)
        if result.compiled is not None and not wish.quiet:
            _tell(done, wish)
    return OK if result.compiled is not None else REFUSED


def _done(result: Outcome, wish: Wish) -> Done:
    from nfcompile.host import aws, metadata

    assert result.compiled is not None
    where = metadata.Instance(wish.instance, wish.region or "") if wish.instance else metadata.instance()
    asked = aws.wanted(result.compiled.site)
    ec2 = aws.client(where.region)
    todo = aws.steps(asked, aws.observe(ec2, where.instance, asked))
    elastic = {} if wish.dry_run else aws.bring(ec2, todo)
    return Done(tuple(step.text for step in todo), elastic)


def _tell(done: Done, wish: Wish) -> None:
    for text in done.steps:
        print(text)
    for private, public in done.elastic.items():
        print(f"{private} is {public} outside")
    nothing = "nothing to change" if not done.steps else "done"
    print("not done (dry run)" if wish.dry_run and done.steps else nothing)
