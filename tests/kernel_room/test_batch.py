"""Which batch leads from one table to another, as far as it can be said without a kernel."""

from nfcompile.kernel import batch
from nfcompile.kernel.batch import compare, key_of
from nfcompile.kernel.objects import parse_objects

BASE = """table ip t {
	counter hits {
	}

	ct timeout long {
		protocol tcp
		l3proto ip
		policy = { established : 100 }
	}

	set seen {
		type ipv4_addr
		size 100
		flags dynamic,timeout
		timeout 1h
	}

	map homes {
		type ipv4_addr : ipv4_addr
		elements = { 10.0.0.1 : 200.0.0.1, 10.0.0.2 : 200.0.0.2 }
	}

	map ways {
		type ipv4_addr : verdict
		elements = { 10.0.0.1 : goto out }
	}

	chain out {
		comment "pools.a"
		snat ip to ip saddr map @homes
	}

	chain aside {
		counter name "hits"
	}

	chain nat {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr vmap @ways comment "hits"
		meta l4proto tcp ct timeout set "long"
		add @seen { ip saddr }
	}
}
"""


def sent(before, after, stale=None, contents=None):
    """The lines of the batch, without what declares objects."""
    live, desired = parse_objects(before), parse_objects(after)
    lines = batch.transaction(
        "ip t", live, desired, parse_objects(after), compare(live, desired), stale or {}, contents or {}
    )
    return [line.text for line in lines]


def commands(before, after, **more):
    return [line for line in sent(before, after, **more) if not line.startswith(("\t", "table", "}"))]


def test_the_same_table_is_an_empty_batch():
    assert compare(parse_objects(BASE), parse_objects(BASE)).all == ()
    assert sent(BASE, BASE) == []


def test_an_element_that_differs_goes_and_comes_alone():
    assert sent(BASE, BASE.replace("200.0.0.2", "200.0.0.9")) == [
        "delete element ip t homes { 10.0.0.2 }",
        "add element ip t homes { 10.0.0.2 : 200.0.0.9 }",
    ]


def test_many_intervals_are_filled_anew():
    pairs = ", ".join(f"10.0.{n}.0/24 : 200.0.0.{n}" for n in range(20))
    before = BASE.replace("10.0.0.1 : 200.0.0.1, 10.0.0.2 : 200.0.0.2", pairs)
    before = before.replace("type ipv4_addr : ipv4_addr", "type ipv4_addr : ipv4_addr\n\t\tflags interval")

    lines = sent(before, before.replace("200.0.0.", "200.0.1."))

    assert lines[:3] == ["flush map ip t homes", "table ip t {", "\tmap homes {"]
    assert not [line for line in lines if "element ip t" in line]


def test_a_changed_chain_is_emptied_and_filled_and_nothing_else():
    lines = sent(BASE, BASE.replace('counter name "hits"', "accept"))

    assert lines == ["flush chain ip t aside", "table ip t {", "\tchain aside {", "\t\taccept", "\t}", "}"]


def test_a_timeout_that_changes_takes_its_rules_with_it():
    assert commands(BASE, BASE.replace(": 100 }", ": 200 }")) == [
        "flush chain ip t nat",
        "delete ct timeout ip t long",
    ]


def test_a_comment_is_no_reference():
    """The comment says 'hits', and so is a counter called."""
    without = BASE.replace("\tcounter hits {\n\t}\n\n", "").replace('\t\tcounter name "hits"\n', "")

    assert commands(BASE, without) == ["flush chain ip t aside", "delete counter ip t hits"]


def test_what_refers_goes_before_what_it_refers_to():
    cut = BASE[: BASE.index("\tmap ways")] + BASE[BASE.index("\tchain aside") :]
    cut = cut.replace('\t\tip saddr vmap @ways comment "hits"\n', "")

    assert commands(BASE, cut) == [
        "flush chain ip t out",
        "flush chain ip t nat",
        "delete map ip t ways",
        "delete chain ip t out",
    ]


def test_a_chain_that_is_made_anew_leaves_its_verdict_map_meanwhile():
    """A comment, or a hook, cannot be changed while the chain lives."""
    lines = sent(BASE, BASE.replace('comment "pools.a"', 'comment "pools.b"'))

    assert [line for line in lines if not line.startswith("\t\t")] == [
        "flush chain ip t out",
        "flush map ip t ways",
        "delete chain ip t out",
        "table ip t {",
        "\tmap ways {",
        "\t}",
        "\tchain out {",
        "\t}",
        "}",
    ]


LISTED = ("10.0.0.1 expires 40m", "10.0.0.2 expires 10m2s500ms", "10.0.0.3 timeout 5m expires 4m")


def test_contents_are_carried_with_what_is_left_of_their_lives():
    after = BASE.replace("timeout 1h", "timeout 30m")
    live, desired = parse_objects(BASE)["set seen"], parse_objects(after)["set seen"]

    lines = sent(BASE, after, contents={"set seen": LISTED})

    assert batch.carried(live, desired)
    assert lines[:2] == ["flush chain ip t nat", "delete set ip t seen"]
    assert lines[-1] == (
        "add element ip t seen { 10.0.0.1 expires 1800s, 10.0.0.2 expires 602s, "
        "10.0.0.3 timeout 5m expires 240s }"
    )


def test_no_more_is_carried_than_fits_and_nothing_stale():
    after = BASE.replace("size 100", "size 1")
    stale = {"set seen": {"10.0.0.1": ""}}

    lines = sent(BASE, after, contents={"set seen": LISTED}, stale=stale)

    assert lines[-1] == "add element ip t seen { 10.0.0.2 expires 602s }"


def test_a_token_is_not_carried():
    """An element's own limit or count is not nft's to write."""
    listed = ("10.0.0.1 limit rate 1/week burst 1 packets expires 9m",)

    lines = sent(BASE, BASE.replace("size 100", "size 99"), contents={"set seen": listed})

    assert not [line for line in lines if line.startswith("add element")]


def test_another_type_carries_nothing():
    after = BASE.replace("type ipv4_addr\n\t\tsize", "type mark\n\t\tsize")

    assert not batch.carried(parse_objects(BASE)["set seen"], parse_objects(after)["set seen"])


def test_stale_elements_are_added_and_taken_away():
    """So an element that has just run out is no error."""
    stale = {"set seen": {"10.0.0.1": "", "10.0.0.2": ""}}

    assert sent(BASE, BASE, stale=stale) == [
        "add element ip t seen { 10.0.0.1, 10.0.0.2 }",
        "delete element ip t seen { 10.0.0.1, 10.0.0.2 }",
    ]


def test_keys_of_listed_elements():
    assert key_of("10.0.0.1 . 5000 limit rate over 1/week burst 1 packets expires 4m : 1.1.1.1 . 2") == (
        "10.0.0.1 . 5000"
    )
    assert key_of("10.0.0.1 timeout 1h expires 5s") == "10.0.0.1"
    assert key_of("10.0.0.0/24 : goto out") == "10.0.0.0/24"
    assert key_of("10.0.0.1 ct count over 5") == "10.0.0.1"
