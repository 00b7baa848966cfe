"""`nfcompile host cloud aws`: secondary addresses, Elastic IPs, and forwarding for an instance of AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from nfcompile.cli import site as cli_site
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem
from nfcompile.cli.options import Options
from nfcompile.diagnostics import SiteError
from nfcompile.kernel import KernelError
from nfcompile.pipeline import Compilation, Compiled

if TYPE_CHECKING:
    from nfcompile.host.aws import Step


class Done(NamedTuple):
    """What was done, or would be; the new Elastic IPs by private address."""

    steps: tuple[str, ...] = ()
    elastic: dict[str, str] = {}


def aws(options: Options) -> int:
    """Do for SITE what the cloud has to do; REFUSED where the site or the cloud does not allow it."""
    if (options.instance is None) != (options.region is None):
        raise UsageProblem("--instance and --region go together")
    result = cli_site.compiled(options.site, options)
    done = Done()
    if result.compiled is not None:
        try:
            done = _done(result, options)
        except SiteError as error:
            result = result.refused(error.diagnostics)
    if options.format == "json":
        answer = {"done": [*done.steps], "elastic_ips": done.elastic, "diagnostics": cli_site.as_data(result)}
        print(json.dumps(answer, indent=2))
    else:
        cli_site.tell(result, options)
        if result.compiled is not None and not options.quiet:
            _tell(done, options)
    return OK if result.compiled is not None else REFUSED


def _done(result: Compilation, options: Options) -> Done:
    from nfcompile.host import aws, metadata

    assert result.compiled is not None
    named = metadata.Instance(options.instance, options.region or "") if options.instance else None
    where = named or metadata.instance()
    ec2 = aws.client(where.region)
    todo = _steps(ec2, where.instance, result.compiled, options)
    elastic = {} if options.dry_run else aws.bring(ec2, todo)
    return Done(tuple(step.text for step in todo), elastic)


def _steps(ec2: Any, instance: str, compiled: Compiled, options: Options) -> tuple[Step, ...]:
    """What is missing on the instance. Raises SiteError, and KernelError where the node may not take."""
    from nfcompile.host import aws, aws_pair

    pair = aws_pair.wanted(compiled.site)
    if not pair:
        if options.take:
            raise KernelError("--take is for a node of a pair")
        asked = aws.wanted(compiled.site)
        return aws.steps(asked, aws.observe(ec2, instance, asked))
    if options.take and not options.instance:
        _refuse_backup(compiled)
    seen, elsewhere = aws_pair.observe(ec2, instance, pair)
    return aws_pair.steps(pair, seen, elsewhere, options.take)


def _refuse_backup(compiled: Compiled) -> None:
    from nfcompile.deploy import takeover

    if missing := takeover.missing_address(takeover.pair_of(compiled), None):
        raise takeover.NotMaster(missing)


def _tell(done: Done, options: Options) -> None:
    for text in done.steps:
        print(text)
    for private, public in done.elastic.items():
        print(f"{private} is {public} outside")
    nothing = "nothing to change" if not done.steps else "done"
    print("not done (dry run)" if options.dry_run and done.steps else nothing)
