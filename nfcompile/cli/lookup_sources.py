"""`nfcompile lookup` with a time, a log, the kernel or a report: a question, and what it is answered from."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

from nfcompile.cli import files, lookup, lookup_report, site, state
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, note, to_stderr
from nfcompile.cli.lookup_report import AnsweredQuestion
from nfcompile.cli.options import Options
from nfcompile.kernel import KernelError
from nfcompile.model.fleet import NodeChoice
from nfcompile.pipeline import compile_text
from nfcompile.records import assignment_log, lookup_at, store
from nfcompile.records.lookup_at import Attribution, BindingQuestion, Configuration, KnownSite, Owners
from nfcompile.records.timeline import Moment, Timeline, timeline

_DATE_ONLY = re.compile(r"[\d-]*", re.ASCII)


class Answers(NamedTuple):
    """What was found, and what was live then; None for a site that is named on the command line."""

    found: list[Attribution]
    moment: Moment | None = None


class LookupSources(NamedTuple):
    """The history, and the site that the command line names; each None where it is not asked.

    `known` compiles a site of the history by its digest; `owners` knows the assignments of dynamic pools.
    """

    timeline: Timeline | None
    known: Callable[[str], KnownSite]
    named: tuple[KnownSite, Configuration] | None
    owners: Owners | None

    def find(self, question: BindingQuestion) -> Answers:
        """The site that was named answers a question without a time, the history every other one."""
        if question.at is None and self.named is not None:
            now = question._replace(at=store.now())
            return Answers(lookup_at.find(now, self.named[0], self.named[1], self.owners))
        if self.timeline is None:
            raise UsageProblem("a question with a time needs a history, and there is none")
        asked = question if question.at else question._replace(at=store.now())
        found = lookup_at.find_at(asked, self.timeline, self.known, self.owners)
        return Answers(found, self.timeline.when(asked.at or ""))


def run(options: Options) -> int:
    """Answer one question."""
    asked = options.words[-1]
    address, port = lookup.question(asked)
    at = None if options.at is None else moment(options.at)
    question = BindingQuestion(address, port, options.proto, at)
    named = options.words[0] if len(options.words) == 2 else None if at else "site.yaml"
    sources = opened_sources(options, named, timed=at is not None)
    found, moment_found = sources.find(question)
    if options.format == "csv":
        spelled = lookup_report.spelled(question, asked)
        lookup_report.write_csv([AnsweredQuestion(spelled, found, moment_found)])
    elif options.report:
        lookup_report.write(asked, question, found, moment_found, options.format)
    elif options.is_json:
        certain = None if moment_found is None else not moment_found.doubt
        print(json.dumps(lookup.as_data([one.answer for one in found], certain)))
    elif found:
        print("\n\n".join(lookup.text(one.answer) for one in found))
    for line in () if options.quiet else _notes(asked, question, found, moment_found, sources):
        note(line)
    return OK if found else REFUSED


def _notes(
    asked: str,
    question: BindingQuestion,
    found: list[Attribution],
    live: Moment | None,
    sources: LookupSources,
) -> Iterator[str]:
    """What is missing in the answers, and what is not certain about them."""
    at = question.at
    if not found and (at is None or live is None):
        yield f"no binding has {asked}"
    elif not found and live is not None and not live.live and sources.timeline is not None:
        yield f"the history begins {sources.timeline.begins}; what was live at {at} is not known"
    elif not found:
        yield f"no binding had {asked} at {at}"
    if live is not None and live.doubt:
        yield f"what was live at {at or 'this time'} is not certain: {live.doubt}"
        answering = {one.configuration.site for one in found}
        silent = [one for one in live.live if one.site not in answering] if found else []
        for one in silent:
            name = f"'{one.file}' ({one.site[:12]})" if one.site else "no table"
            yield f"{name} may have been live too; by it, no binding had {asked}"


@functools.lru_cache(maxsize=4096)
def moment(text: str) -> str:
    """Read a time of ISO 8601; without a zone it is UTC.

    >>> moment("2026-05-01T12:00:00+02:00"), moment("2026-05-01 10:00")
    ('2026-05-01T10:00:00.000000Z', '2026-05-01T10:00:00.000000Z')
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or _DATE_ONLY.fullmatch(text):
        raise UsageProblem(f"'{text}' is not a time as 2026-05-01T12:00:00Z (without a zone it is UTC)")
    try:
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise UsageProblem(f"'{text}' is out of range") from None
    spelled = found.strftime(assignment_log.TIME).rjust(27, "0")
    if spelled > store.now():
        raise UsageProblem(f"'{text}' is in the future")
    return spelled


def opened_sources(options: Options, named: str | None, timed: bool) -> LookupSources:
    """Read what is needed: the history only where a question has a time or no site is named."""
    path = store.directory(options.state_dir or store.DEFAULT, options.netns)

    events = store.read(path).events if timed or named is None else ()
    nodes = {event.site: NodeChoice(event.node, True) for event in events if event.node}

    @functools.cache
    def known(digest: str) -> KnownSite:
        compilation = compile_text(store.site(path, digest), digest, nodes.get(digest, site.choice(options)))
        if compilation.compiled is None:
            text = f"this version of nfcompile rejects the site {digest} of the history"
            site.refuse(compilation, options, text)
        return KnownSite(compilation.compiled)

    past = _timeline(path, options) if timed or named is None else None
    owners: Owners | None = None
    site_named = _named(named, options) if named is not None and options.at is None else None
    if options.log is not None:
        owners = lookup_at.LoggedOwners(assignment_log.AssignmentLog(_assignments(options.log)), past, known)
    elif options.live:
        from nfcompile.live.owners import KernelOwners

        state.examine(options)
        owners = KernelOwners(options.netns)
    return LookupSources(past, known, site_named, owners)


def _timeline(path: str, options: Options) -> Timeline:
    log = store.read(path)
    state.tell_damaged(path, log, options)
    past = timeline(log, store.clock())
    if not past.begins:
        raise KernelError(f"there is no history in '{path}', so what was live is not known")
    return past


def _named(name: str, options: Options) -> tuple[KnownSite, Configuration]:
    data = files.read(name)
    compilation = site.compiled_text(data, files.shown(name), options)
    if compilation.compiled is None:
        site.refuse(compilation, options)
    digest = hashlib.sha256(data).hexdigest()
    return KnownSite(compilation.compiled), Configuration(digest, files.shown(name))


def _assignments(name: str) -> Iterator[assignment_log.Assignment]:
    """The assignments of a log; lines that cannot be read are warned of, since an answer may hang on them."""
    now = datetime.now(UTC)
    with open_text(name) as stream:
        for number, line in enumerate(stream, 1):
            try:
                found = assignment_log.read_line(line, now)
            except (ValueError, KeyError, TypeError) as error:
                at_line(name, number, f"warning: not read: {error}")
                continue
            if found is not None:
                yield found


def at_line(name: str, number: int, text: str) -> None:
    """Print on stderr what a line of a file has."""
    to_stderr(f"{files.shown(name)}:{number}: {text}")


def open_text(name: str) -> TextIO:
    """A text that the command line names; - is standard input."""
    if name == files.STDIN and sys.stdin is not None:
        return sys.stdin
    try:
        return open(name, encoding="utf-8-sig", errors="replace", newline="")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageProblem(f"cannot read '{name}': {reason}") from None
