"""`diff` against a kernel: what is live, object by object, and what nobody can say of it."""

import json

import pytest

from support.bare_gateway import OTHER, REFUSED, SITE, apply, run


def diff(gateway, *arguments, site=SITE):
    return run("diff", "-", "--netns", gateway.path, *arguments, site=site)


def data(gateway, site=SITE):
    ran = diff(gateway, "--format", "json", site=site)
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


def test_without_a_table_everything_is_new(gateway):
    found = data(gateway)

    assert (found["changed"], found["against"], found["moves_known"]) == (True, "kernel", True)
    assert {"kind": "chain", "name": "pool_home", "path": "pools.home"} in found["objects"]["added"]
    assert (found["objects"]["changed"], found["objects"]["removed"]) == ([], [])
    assert found["subscribers"] == {"moved": 0, "new": 256, "gone": 0}
    assert gateway.tables() == []


def test_what_is_live_differs_in_nothing(gateway):
    apply(gateway)

    ran = diff(gateway, "--exit-code")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "nothing differs\n", "")
    found = data(gateway)
    assert (found["changed"], found["moves_known"], found["diff"]) == (False, True, [])


def test_a_changed_pool_is_told_by_its_objects(gateway):
    apply(gateway)
    before = gateway.nft("-a", "list", "ruleset")

    found = data(gateway, OTHER)

    objects = found["objects"]
    assert (objects["added"], objects["removed"]) == ([], [])
    assert {"kind": "map", "name": "blocks_home", "path": "pools.home"} in objects["changed"]
    assert "-\t\t\t100.64.0.0 : 203.0.113.0/30 . 1024-1919," in found["diff"]
    assert "+\t\t\t100.64.0.0 : 198.51.100.0/30 . 1024-1919," in found["diff"]
    assert diff(gateway, "--exit-code", "-q", site=OTHER).returncode == 3
    assert gateway.nft("-a", "list", "ruleset") == before


def test_the_objects_are_those_that_two_sites_differ_in(gateway, tmp_path):
    (tmp_path / "live.yaml").write_text(SITE)
    apply(gateway)
    offline = run("diff", "-", str(tmp_path / "live.yaml"), "--format", "json", site=OTHER)

    wanted = json.loads(offline.stdout)["objects"]
    found = data(gateway, OTHER)["objects"]
    assert {key: sorted(map(str, things)) for key, things in found.items()} == {
        key: sorted(map(str, things)) for key, things in wanted.items()
    }


def test_who_moves_is_not_guessed_from_a_table(gateway):
    """Somebody loaded it with nft: no history knows its site."""
    gateway.nft("-f", "-", text=run("build", "-", site=SITE).stdout)

    found = data(gateway, OTHER)
    text = diff(gateway, site=OTHER).stdout
    refused = apply(gateway, "--max-moves", "1000", site=OTHER)

    assert (found["moves_known"], found["moved"]) == (False, [])
    assert text.endswith(
        "moves are not known, because the history does not say which site is live\nsessions: 0 would end\n"
    )
    assert (refused.returncode, "does not say which site is live" in refused.stderr) == (1, True)


def test_a_removed_object_is_named(gateway):
    apply(gateway)
    gateway.nft("add", "chain", "ip", "nfcompile", "by_hand")

    removed = data(gateway)["objects"]["removed"]

    assert removed == [{"kind": "chain", "name": "by_hand", "path": None}]


def test_who_moves_is_known_from_the_history(gateway):
    apply(gateway)

    found = data(gateway, OTHER)
    shown = apply(gateway, "--dry-run", site=OTHER).stdout
    shown_data = json.loads(apply(gateway, "--dry-run", "--format", "json", site=OTHER).stdout)

    assert (found["moves_known"], found["subscribers"]["moved"]) == (True, 256)
    assert sum(one["count"] for one in found["moved"]) == 256
    assert "subscribers: 256 moved, 0 new, 0 gone" in shown.splitlines()
    assert shown_data["moved"] == found["moved"]


def test_a_change_that_moves_more_than_expected_is_refused(gateway):
    apply(gateway)
    refused = apply(gateway, "--max-moves", "255", site=OTHER)
    told = apply(gateway, "--max-moves", "255", "--format", "json", site=OTHER)

    assert refused.returncode == told.returncode == 1
    found = json.loads(told.stdout)
    assert (found["applied"], found["subscribers"]["moved"]) == (False, 256)
    assert found["refused"] == "256 subscribers would move; --max-moves allows 255"
    assert "256 subscribers would move; --max-moves allows 255" in refused.stderr
    assert apply(gateway).stdout == "nothing to change\n"
    assert apply(gateway, "--max-moves", "256", site=OTHER).returncode == 0


@pytest.mark.parametrize("arguments", [[], ["--format", "json"]])
def test_a_ruleset_that_the_kernel_refuses_has_no_difference(gateway, arguments):
    ran = diff(gateway, *arguments, site=REFUSED)

    assert ran.returncode == 1
    assert "helper-missing" in ran.stderr + ran.stdout


def test_an_unknown_namespace_is_one_sentence(gateway):
    ran = run("diff", "-", "--netns", "no-such-namespace")

    assert ran.returncode == 1
    assert ran.stderr == (
        "nfcompile: error: cannot open network namespace '/run/netns/no-such-namespace': "
        "No such file or directory\n"
    )
