"""`nfcompile init`: a commented starting site."""

from __future__ import annotations

import os
import re
import sys

from nfcompile.cli import files
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, say
from nfcompile.cli.options import Options

EDITOR = "# yaml-language-server: $schema=site.schema.json (nfcompile schema > site.schema.json)\n"
"""What editors with the YAML language server read: where the schema is, beside the site."""
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,14}", re.ASCII)


def run(options: Options) -> int:
    """Write FILE from a template; '-' is stdout, and a file that exists is left alone."""
    file = options.site
    for name in (options.inside, options.outside):
        if not _INTERFACE.fullmatch(name):
            raise UsageProblem(f"'{name}' is not the name of a network interface")
    text = starting_site(options.template, options.inside, options.outside)
    if file == "-":
        sys.stdout.write(text)
        return OK
    if os.path.lexists(file):
        return say(f"'{file}' exists and is left as it is", REFUSED)
    files.write(file, text)
    if not options.quiet:
        print(f"wrote {files.printable(file)}; next: nfcompile check {files.printable(file)}")
    return OK


def starting_site(template: str, inside: str, outside: str) -> str:
    """The text of a starting site for a gateway with these interfaces, as `fmt` lays it out."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from nfcompile.cli.fmt import laid_out
    from nfcompile.source.document import parse

    page = Environment(
        loader=PackageLoader("nfcompile"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    text = page.get_template(f"init-{template}.yaml.j2").render(inside=inside, outside=outside)
    return laid_out(parse(f"{EDITOR}{text}".encode(), "site.yaml"))
