"""What is known to be loaded is not listed, and a change of anybody else is seen all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from nfcompile.kernel import apply as kernel_apply
from nfcompile.kernel import generation, netns, nft
from nfcompile.kernel.apply import KnownTable
from nfcompile.records import store
from support.bare_gateway import OTHER, SITE, apply
from support.sites import site

FOREIGN = {
    "an element": ("add element ip nfcompile global_addresses { 198.18.9.9 }", True),
    "a rule": ("insert rule ip nfcompile nat_postrouting accept", True),
    "the whole table": ("delete table ip nfcompile", True),
    "another table": ("add table ip kept", False),
}


@pytest.fixture
def records(tmp_path, monkeypatch, gateway):
    """Where the history of the gateway is."""
    monkeypatch.setenv("NFCOMPILE_STATE_DIR", str(tmp_path / "state"))
    return Path(store.directory(str(tmp_path / "state"), gateway.path))


@pytest.mark.parametrize("change", FOREIGN)
def test_a_foreign_change_is_repaired(gateway, records, change):
    command, ours = FOREIGN[change]
    apply(gateway)
    assert (records / "loaded").exists()
    loaded = gateway.nft("list", "table", "ip", "nfcompile")
    gateway.nft(*command.split(" "))

    ran = apply(gateway)

    assert ran.returncode == 0
    assert (ran.stdout == "nothing to change\n") is not ours
    assert gateway.nft("list", "table", "ip", "nfcompile") == loaded
    assert apply(gateway).stdout == "nothing to change\n"


def test_a_note_of_another_text_is_no_answer(gateway, records):
    """The records are restored from a backup, say: then the old site's text is not what is loaded."""
    apply(gateway)
    note = records / "loaded"
    old = note.read_text()
    apply(gateway, site=OTHER)
    note.write_text(old)

    assert apply(gateway, site=OTHER).stdout == "nothing to change\n"
    assert apply(gateway).stdout.endswith("applied\n")


@pytest.mark.parametrize("damage", ["gone", "another text"])
def test_a_change_without_the_text_that_was_loaded(gateway, records, damage):
    """The text is only kept so that the site before need not be compiled."""
    apply(gateway)
    kept = records / "loaded.nft"
    kept.unlink() if damage == "gone" else kept.write_text("table ip nfcompile {\n}\n")

    assert apply(gateway, site=OTHER).stdout.endswith("applied\n")
    changed = gateway.nft("list", "table", "ip", "nfcompile")
    assert apply(gateway, site=OTHER).stdout == "nothing to change\n"

    gateway.nft("delete", "table", "ip", "nfcompile")
    apply(gateway, site=OTHER)
    assert gateway.nft("list", "table", "ip", "nfcompile") == changed


def test_nothing_is_listed_that_is_known(monkeypatch):
    old, new = site(SITE), site(OTHER)

    def inside() -> tuple[object, ...]:
        first = kernel_apply.load_difference(old.text.text, old.text.origin)
        assert first.generation == generation.read()
        known = KnownTable(old.text.text, first.generation)
        for word in ("listing", "structure"):
            monkeypatch.setattr(nft, word, lambda: pytest.fail("the table is listed"))
        foreseen = kernel_apply.preview(new.text.text, new.text.origin, None, None, known)
        same = kernel_apply.preview(old.text.text, old.text.origin, None, None, known)
        done = kernel_apply.load_difference(new.text.text, new.text.origin, None, None, known)
        monkeypatch.undo()
        after = kernel_apply.preview(new.text.text, new.text.origin)
        return bool(foreseen.diff), same.diff, done.generation == first.generation + 1, after.diff

    assert netns.in_scratch(inside) == (True, [], True, [])
