"""Where a table in the kernel is not the one that was compiled, object by object and rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nfcompile.emit import Chain, Counter, Element, Hook, Map, Name, Rule, Set, Table
from nfcompile.emit.deviations import Deviation, Spot, as_compiled, deviations
from nfcompile.emit.listing import Listed
from nfcompile.emit.statements import (
    ACCEPT,
    DROP,
    IP_SADDR,
    META_MARK,
    Unread,
    counter,
    goto,
    match,
    set_mark,
)
from nfcompile.emit.validate import validate
from nfcompile.model.parse import addresses
from nfcompile.model.ranges import Range

PATH = ("pools", "homes")
SOURCES, BLOCKS, CHAIN, BASE, DROPPED = (
    Name(word, "homes") for word in ("sources", "blocks", "pool", "base", "dropped")
)
SITE = Table(
    "nfcompile",
    (
        Counter(DROPPED, PATH),
        Set(SOURCES, ("ipv4_addr",), PATH, (Element((addresses("10.0.0.0/24"),)),), ("interval",)),
        Map(
            BLOCKS,
            ("mark",),
            ("inet_service",),
            PATH,
            (Element((Range(1, 1),), (Range(80, 80),)), Element((Range(2, 2),), (Range(81, 81),))),
        ),
        Chain(CHAIN, tuple(Rule((set_mark(n), counter(DROPPED)), PATH) for n in range(4)), PATH),
        Chain(
            BASE,
            (Rule((match(IP_SADDR, SOURCES), goto(CHAIN)), PATH),),
            (),
            Hook("filter", "forward", "filter"),
        ),
    ),
)


def flat(table: Table) -> Table:
    """As the kernel lists it: names of one word, no origins, other order."""
    return as_compiled(table._replace(objects=()), table._replace(objects=table.objects[::-1]))


def changed(
    name: Name, change: Callable[[Any], Any], *more: Any, unread: dict[str, str] | None = None
) -> Listed:
    objects = tuple(change(one) if one.name == name else one for one in SITE.objects)
    return Listed(SITE._replace(objects=(*(one for one in objects if one is not None), *more)), unread or {})


def found(kernel: Listed) -> list[Deviation]:
    return list(deviations(SITE, kernel))


def test_the_same_table_deviates_nowhere() -> None:
    assert found(Listed(flat(SITE), {})) == []


def test_a_rule_that_another_program_inserted_is_shown_in_its_place() -> None:
    def insert(chain: Chain) -> Chain:
        rules = list(chain.rules)
        rules.insert(2, Rule((match(IP_SADDR, addresses("10.9.9.9")), ACCEPT), (), "mine"))
        return chain._replace(rules=tuple(rules))

    spot = Spot("rule 3", "", 'ip saddr 10.9.9.9 accept comment "mine"')
    assert found(changed(CHAIN, insert)) == [Deviation("chain pool_homes", "changed", PATH, (spot,))]


def test_rules_that_are_gone_moved_or_changed_are_shown() -> None:
    def change(chain: Chain) -> Chain:
        _, second, third, fourth = chain.rules
        return chain._replace(rules=(third._replace(statements=(DROP,)), second, fourth))

    (one,) = found(changed(CHAIN, change))

    assert one.spots == (
        Spot("rule 1", "meta mark set 0 counter name dropped_homes", "drop"),
        Spot("rule 3", "meta mark set 2 counter name dropped_homes", ""),
    )


def test_a_rule_that_cannot_be_read_is_shown_as_json() -> None:
    def change(chain: Chain) -> Chain:
        return chain._replace(rules=(*chain.rules, Rule((Unread('{"counter": null}'), DROP), ())))

    (one,) = found(changed(CHAIN, change))

    assert one.spots == (Spot("rule 5", "", '{"counter": null} drop'),)


def test_elements_are_told_by_key_and_ranges_by_what_is_not_shared() -> None:
    def fewer(one: Set) -> Set:
        return one._replace(
            elements=(Element((addresses("10.0.0.0/25"),)), Element((addresses("10.7.0.1"),)))
        )

    def other(one: Map) -> Map:
        return one._replace(elements=(one.elements[0]._replace(data=(Range(90, 90),)), one.elements[1]))

    (one,) = found(changed(SOURCES, fewer))
    assert one.spots == (Spot("element", "10.0.0.128/25", ""), Spot("element", "", "10.7.0.1"))
    (one,) = found(changed(BLOCKS, other))
    assert one.spots == (Spot("element", "1 : 80", "1 : 90"),)


def test_properties_of_objects_are_named() -> None:
    (one,) = found(changed(BASE, lambda chain: chain._replace(hook=Hook("filter", "input", "raw"))))
    assert one.spots == (Spot("hook", "filter forward filter", "filter input raw"),)
    (one,) = found(changed(SOURCES, lambda thing: thing._replace(flags=("interval", "timeout"), elements=())))
    assert one.spots[0] == Spot("flags", "interval", "interval timeout")


def test_objects_that_only_one_side_has_are_shown() -> None:
    foreign = Chain(Name("spy"), (Rule((ACCEPT,), ()), Rule((DROP,), ())), ())
    extra = Set(Name("mine"), ("mark",), (), (Element((Range(5, 5),)),))

    gone, chain, thing, quota = found(
        changed(DROPPED, lambda _: None, foreign, extra, unread={"quota q": "{}"})
    )

    assert gone == Deviation("counter dropped_homes", "missing", PATH, ())
    assert chain == Deviation(
        "chain spy", "foreign", (), (Spot("rule 1", "", "accept"), Spot("rule 2", "", "drop"))
    )
    assert thing == Deviation("set mine", "foreign", (), (Spot("element", "", "5"),))
    assert quota == Deviation("quota q", "foreign", (), (Spot("object", "", "{}"),))


def test_an_object_that_cannot_be_read_is_not_missing() -> None:
    kernel = changed(CHAIN, lambda _: None, unread={"chain pool_homes": '{"policy": "drop"}'})

    (one,) = found(kernel)

    assert one == Deviation("chain pool_homes", "changed", PATH, (Spot("object", "", '{"policy": "drop"}'),))


def test_a_flag_of_the_table_is_a_deviation() -> None:
    (one,) = found(Listed(SITE, {"table nfcompile": '{"flags": "dormant"}'}))

    assert (one.object, one.how) == ("table nfcompile", "changed")


def test_the_kernels_table_has_the_names_and_paths_of_the_site() -> None:
    kernel = flat(SITE)
    inserted = [
        one._replace(rules=(Rule((set_mark(7, META_MARK),), ()), *one.rules))
        if str(one.name) == "base_homes"
        else one
        for one in kernel.objects
    ]

    table = as_compiled(SITE, kernel._replace(objects=tuple(inserted)))  # type: ignore[arg-type]

    validate(table)
    assert set(table.objects) - set(SITE.objects) == {one for one in table.objects if one.name == BASE}
    (base,) = (one for one in table.objects if one.name == BASE)
    assert isinstance(base, Chain)
    assert [rule.origin for rule in base.rules] == [(), PATH]
