"""A first load in parts ends in the same table as in one batch, and meets packets only when it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from nfcompile.kernel import apply as kernel_apply
from nfcompile.kernel import netns, nft, parts
from nfcompile.kernel.objects import parse_objects
from nfcompile.kernel.stand_ins import stand_in
from support.sites import ROOT, site

EXAMPLES = ("isp", "static", "egress")
GOLDEN = ("npt", "low-ports", "cgnat-dynamic-hairpin", "vlan-same-address", "alg-cgnat")
SITES = [
    *(ROOT / "examples" / name / "site.yaml" for name in EXAMPLES),
    *(ROOT / "tests/golden" / name / "site.yaml" for name in GOLDEN),
]
LINES = 90


def may_send(lines: int, monkeypatch: pytest.MonkeyPatch, until: int = 1 << 30) -> list[str]:
    """nft as a user has it who may send so many lines; what is loaded, which ends after `until` batches."""
    sent: list[str] = []
    load = nft.load

    def small(text: str) -> tuple[nft.Refusal, ...]:
        if text.count("\n") > lines:
            raise nft.TooLargeForUser
        if len(sent) == until:
            raise KeyboardInterrupt
        sent.append(text)
        return load(text)

    monkeypatch.setattr(nft, "load", small)
    return sent


def loaded() -> dict[str, tuple[tuple[str, ...], list[str]]]:
    """The objects of both tables; the kernel lists them in the order in which they came."""
    found = parse_objects((nft.listing() or "") + nft.listing6())
    return {key: (thing.lines, sorted(thing.elements)) for key, thing in found.items()}


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.parent.name)
def test_the_table_is_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = site(path.read_bytes()).text.text

    def whole() -> dict[str, tuple[tuple[str, ...], list[str]]]:
        stand_in(text)
        assert nft.load(text) == ()
        return loaded()

    def in_parts() -> dict[str, tuple[tuple[str, ...], list[str]]]:
        stand_in(text)
        sent = may_send(LINES, monkeypatch)
        assert parts.load(text) == ()
        assert len(sent) > 1
        assert not any(" hook " in one for one in sent[:-1])
        return loaded()

    expected = netns.in_scratch(whole)
    monkeypatch.setattr(parts, "AT_ONCE", 12)
    assert netns.in_scratch(in_parts) == expected


def test_a_refusal_leaves_nothing_and_names_its_line() -> None:
    text = site((ROOT / "examples/isp/site.yaml").read_bytes()).text.text
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if "ct timeout set" in line)
    lines[at] = lines[at].replace("ct timeout set", "ct timeout sett")

    def work() -> tuple[tuple[nft.Refusal, ...], str | None]:
        stand_in(text)
        return parts.load("\n".join(lines) + "\n"), nft.listing()

    refusals, left = netns.in_scratch(work)
    assert {one.line for one in refusals} == {at + 1}
    assert left is None


@pytest.mark.parametrize("until", [1, 2, 5])
def test_a_load_that_was_killed_is_begun_anew(until: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = site((ROOT / "examples/isp/site.yaml").read_bytes())
    text = compiled.text.text
    desired = kernel_apply._desired(text, compiled.text.origin)

    def work() -> tuple[bool, str, tuple[str, ...]]:
        stand_in(text)
        with monkeypatch.context() as killed:
            may_send(LINES, killed, until)
            killed.setattr(parts, "_sent", kill(parts._sent))
            with pytest.raises(KeyboardInterrupt):
                parts.load(text)
        unfinished = nft.structure() or ""
        with monkeypatch.context() as small:
            may_send(LINES, small)
            done = kernel_apply._load_difference(text, desired, None)
        assert done.refusals == ()
        return (
            " hook " in unfinished,
            unfinished,
            kernel_apply._load_difference(text, desired, None).result.objects.all,
        )

    hooked, unfinished, differing = netns.in_scratch(work)
    assert not hooked
    assert unfinished
    assert differing == ()


def kill(sent):
    """What loads parts, in a process that is killed: it does not clean up either."""
    calls = []

    def dying(items):
        if calls:
            raise KeyboardInterrupt
        try:
            return sent(items)
        except KeyboardInterrupt:
            calls.append(1)
            raise

    return dying
