"""`nfcompile lookup` with a time, a log, the kernel or a report: a question, and what it is answered from."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from nfcompile.allocation import lookup
from nfcompile.cli import files, lookup_answers, lookup_logs, lookup_report, site, state
from nfcompile.cli.ends import read_end_in_vlan
from nfcompile.cli.exit_status import OK, REFUSED, UsageProblem, note
from nfcompile.cli.lookup_report import AnsweredQuestion
from nfcompile.cli.options import Options
from nfcompile.kernel import KernelError
from nfcompile.model.fleet import NodeChoice
from nfcompile.pipeline import compile_text
from nfcompile.records import assignment_log, lookup_at, store
from nfcompile.records.lookup_at import Attribution, BindingQuestion, Configuration, KnownSite, Owners
from nfcompile.records.timeline import Moment, Timeline, timeline

if TYPE_CHECKING:
    from nfcompile.log.answers import LogReader

_DATE_ONLY = re.compile(r"[\d-]*", re.ASCII)


class Answers(NamedTuple):
    """What was found, and what was live then; None for a site that is named on the command line, and where
    a log alone answers. `log_doubt` is what is not certain by the log, '' where it is."""

    found: list[Attribution]
    moment: Moment | None = None
    log_doubt: str = ""


class LookupSources(NamedTuple):
    """The history, and the site that the command line names; each None where it is not asked.

    `known` compiles a site of the history by its digest; `owners` knows the assignments of dynamic pools.
    `log` is a log that `nfcompile log` has written.
    """

    timeline: Timeline | None
    known: Callable[[str], KnownSite]
    named: tuple[KnownSite, Configuration] | None
    owners: Owners | None
    log: LogReader | None = None

    def find(self, question: BindingQuestion) -> Answers:
        """The site that was named answers a question without a time, the history every other one; beside
        it the log, which answers alone where there is no history."""
        answers = self._by_address(question)
        asked = question.address, question.vid
        return answers._replace(found=[one for one in answers.found if lookup.is_in_vlan(one.answer, *asked)])

    def _by_address(self, question: BindingQuestion) -> Answers:
        asked = question if question.at else question._replace(at=store.now())
        if self.log is not None:
            self.log.statement(asked)  # `owners` reads it, so that the log is asked once
        if question.at is None and self.named is not None:
            found = Answers(lookup_at.find(asked, self.named[0], self.named[1], self.owners))
            live = [self.named[1].file]
        elif self.timeline is not None:
            moment = self.timeline.when(asked.at or "")
            found = Answers(lookup_at.find_at(asked, self.timeline, self.known, self.owners), moment)
            live = [f"{one.file} ({one.site[:12]})" if one.site else "no table" for one in moment.live]
        elif self.log is not None:
            found, live = Answers([]), []
        else:
            raise UsageProblem("a question with a time needs a history, and there is none")
        return found if self.log is None else self._beside_log(asked, found, live)

    def _beside_log(self, asked: BindingQuestion, found: Answers, live: list[str]) -> Answers:
        from nfcompile.log.agreement import compared

        assert self.log is not None
        statement = self.log.statement(asked)
        both, doubt = compared(found.found, statement, self.log.archive.name, live)
        return found._replace(found=both, log_doubt=doubt)


def run(options: Options) -> int:
    """Answer one question."""
    asked = options.words[-1]
    end = read_end_in_vlan(asked)
    at = None if options.at is None else moment(options.at)
    question = BindingQuestion(end.address, end.port, options.proto, at, end.is_ipv6, end.vid)
    named = options.words[0] if len(options.words) == 2 else None if at else "site.yaml"
    sources = opened_sources(options, named, timed=at is not None)
    answers = sources.find(question)
    found = answers.found
    answered = AnsweredQuestion(lookup_report.spelled(question, asked), *answers)
    if options.format == "csv":
        lookup_report.write_csv([answered])
    elif options.report:
        lookup_report.write(asked, question, answered, options.format)
    elif options.is_json:
        certain = None if answers.moment is None and sources.log is None else not answered.doubt
        print(json.dumps(lookup_answers.as_data([one.answer for one in found], certain)))
    elif found:
        print("\n\n".join(lookup_answers.text(one.answer) for one in found))
    for line in () if options.quiet else _notes(asked, question, answers, sources):
        note(line)
    return OK if found else REFUSED


def _notes(asked: str, question: BindingQuestion, answers: Answers, sources: LookupSources) -> Iterator[str]:
    """What is missing in the answers, and what is not certain about them."""
    at, (found, live, log_doubt) = question.at, answers
    if sources.log is not None and sources.timeline is None and sources.named is None:
        yield "there is no history here: the log alone answers, and deterministic pools are not in it"
    if log_doubt:
        yield f"by the log it is not certain: {log_doubt}"
    if not found and (at is None or live is None):
        yield f"no binding has {asked}"
    elif not found and live is not None and not live.live and sources.timeline is not None:
        yield f"the history begins {sources.timeline.begins}; what was live at {at} is not known"
    elif not found:
        yield f"no binding had {asked} at {at}"
    if live is not None and live.doubt:
        yield f"what was live at {at or 'this time'} is not certain: {live.doubt}"
        answering = {one.configuration.site for one in found if one.configuration}
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

    log = lookup_logs.opened(options)
    past = _timeline(path, options, log is not None) if timed or named is None else None
    owners: Owners | None = None
    site_named = _named(named, options) if named is not None and options.at is None else None
    if log is not None:
        from nfcompile.log.agreement import ArchiveOwners

        owners = ArchiveOwners(log)
    elif options.log:
        assignments = lookup_logs.assignments(options.log)
        owners = lookup_at.LoggedOwners(assignment_log.AssignmentLog(assignments), past, known)
    elif options.live:
        from nfcompile.live.owners import KernelOwners

        state.examine(options)
        owners = KernelOwners(options.netns)
    return LookupSources(past, known, site_named, owners, log)


def _timeline(path: str, options: Options, may_miss: bool) -> Timeline | None:
    """The history; without one an error, unless it `may_miss`."""
    log = store.read(path)
    state.tell_damaged(path, log, options)
    past = timeline(log, store.clock())
    if not past.begins and may_miss:
        return None
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
