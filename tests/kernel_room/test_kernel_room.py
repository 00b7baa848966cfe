"""The kernel room's reading and reckoning; what needs a kernel is in tests/kernel."""

import pytest

from nfcompile.diagnostics import Diagnostic
from nfcompile.kernel import KernelError, errors, netns, nft
from nfcompile.kernel.listing import difference, normalised
from nfcompile.kernel.nft import Refusal
from nfcompile.kernel.objects import parse_objects

LISTING = """table ip nfcompile {
	map pool {
		type ipv4_addr : interval ipv4_addr
		flags interval
		elements = { 100.64.0.0/24 : 203.0.113.0/24,
			     100.64.1.0 : "a, b", 100.64.2.0 : 203.0.113.9 }
	}

	set seen {
		type ipv4_addr
		flags dynamic,timeout
		timeout 1h
		elements = { 100.64.0.7, 100.64.0.8,
			     100.64.0.9 }
	}

	chain snat {
		type nat hook postrouting priority srcnat; policy accept;
	}
}
"""  # noqa: E101  (nft's own indentation)


def test_refusals_are_read_with_their_places():
    error = (
        "In file included from <cmdline>:1:1-26:\n"
        "/proc/self/fd/4:16:20-28: Error: Could not parse conntrack state\n"
        "\t\tcounter ct state newaccept\n"
        "\t\t                 ^^^^^^^^^\n"
        "/proc/self/fd/4:17:11-13: Error: syntax error, unexpected newline\n"
    )

    assert list(nft.refusals(error)) == [
        Refusal(16, 20, 28, "Could not parse conntrack state"),
        Refusal(17, 11, 13, "syntax error, unexpected newline"),
    ]


def test_refusals_without_a_place_keep_their_words():
    assert list(nft.refusals("netlink: Error: cache initialization failed: No buffer space")) == [
        Refusal(0, 0, 0, "cache initialization failed: No buffer space")
    ]


def test_a_listing_has_one_element_a_line_and_nothing_that_packets_wrote():
    assert normalised(parse_objects(LISTING), "ip nfcompile") == [
        "table ip nfcompile {",
        "\tmap pool {",
        "\t\ttype ipv4_addr : interval ipv4_addr",
        "\t\tflags interval",
        "\t\t\t100.64.0.0/24 : 203.0.113.0/24,",
        '\t\t\t100.64.1.0 : "a, b",',
        "\t\t\t100.64.2.0 : 203.0.113.9,",
        "\t}",
        "\tset seen {",
        "\t\ttype ipv4_addr",
        "\t\tflags dynamic,timeout",
        "\t\ttimeout 1h",
        "\t}",
        "\tchain snat {",
        "\t\ttype nat hook postrouting priority srcnat; policy accept;",
        "\t}",
        "}",
    ]


def test_what_packets_wrote_is_no_difference():
    written = LISTING.replace("100.64.0.8,\n\t\t\t     100.64.0.9", "100.64.0.200")

    assert written != LISTING
    assert difference(parse_objects(LISTING), parse_objects(written), "ip nfcompile") == []


def test_difference_shows_the_element_that_changed():
    changed = LISTING.replace("203.0.113.9", "203.0.113.10")

    lines = difference(parse_objects(LISTING), parse_objects(changed), "ip nfcompile")

    assert lines[:2] == ["--- live table ip nfcompile", "+++ desired table ip nfcompile"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        "-\t\t\t100.64.2.0 : 203.0.113.9,",
        "+\t\t\t100.64.2.0 : 203.0.113.10,",
    ]


def test_difference_to_no_table_is_the_whole_table():
    lines = difference(None, parse_objects(LISTING), "ip nfcompile")

    assert [line[1:] for line in lines if line.startswith("+") and line[1] != "+"] == normalised(
        parse_objects(LISTING), "ip nfcompile"
    )


def test_difference_of_huge_tables_is_found_in_linear_time():
    """The shortest difference of 100,000 lines that all differ would take hours."""
    head, tail = "table ip t {\n\tmap m {\n\t\ttype ipv4_addr : mark\n\t\telements = {\n", "\t\t}\n\t}\n}\n"
    old = "".join(f"\t\t\t10.0.{i // 256}.{i % 256} : 1,\n" for i in range(50_000))
    new = old.replace(" : 1,", " : 2,")

    lines = difference(parse_objects(head + old + tail), parse_objects(head + new + tail), "t")

    assert len(lines) == 3 + 100_000


def origin(line):
    return ("pools", f"line-{line}")


def test_a_refusal_becomes_a_diagnostic_at_the_path_of_its_line():
    text = "table ip nfcompile {\n\tmap m {\n\t\t\t100.64.1.0 : 1.1.1.3 . 2048,\n"
    refusal = Refusal(3, 4, 13, "Could not process rule: Invalid argument")

    assert errors.diagnostics((refusal, refusal), text, origin) == (
        Diagnostic(
            "kernel-refused",
            "the kernel refused what this line asks for: Could not process rule: Invalid argument",
            ("pools", "line-3"),
            key=True,
            hint="ruleset line 3: 100.64.1.0 : 1.1.1.3 . 2048,",
        ),
    )


@pytest.mark.parametrize("line", [2, 3])
def test_a_helper_that_is_not_found_is_named(line):
    text = '}\n\tct helper h_rtsp {\n\t\ttype "rtsp" protocol tcp\n\t\tl3proto ip\n\t}\n'
    refusal = Refusal(line, 12, 17, "Could not process rule: No such file or directory")

    (found,) = errors.diagnostics((refusal,), text, origin)

    assert found.code == "helper-missing"
    assert found.message == "the running kernel has no 'rtsp' helper for tcp"
    assert found.path == ("pools", f"line-{line}")


def test_something_else_that_is_not_found_is_no_helper():
    text = '\tct helper h_ftp {\n\t\ttype "ftp" protocol tcp\n\t}\n\tchain c {\n\t\tjump d\n\t}\n'
    refusal = Refusal(5, 1, 2, "Could not process rule: No such file or directory")

    assert [one.code for one in errors.diagnostics((refusal,), text, origin)] == ["kernel-refused"]


def test_a_refusal_without_a_line_points_nowhere():
    (found,) = errors.diagnostics((Refusal(0, 0, 0, "No buffer space"),), "table ip t\n", origin)

    assert found.path == ()
    assert found.message == "the kernel refused the ruleset: No buffer space"


def test_a_ruleset_too_large_for_the_user_is_one_sentence(monkeypatch):
    error = "Error: Could not process rule: Message too long"
    monkeypatch.setattr(nft, "_library", object)
    monkeypatch.setattr(nft, "_command", lambda *_: (-1, "", error))

    with pytest.raises(KernelError, match=r"larger than what this user may send .* run as root"):
        nft.load("table ip nfcompile")


def test_a_missing_library_is_one_sentence(monkeypatch, capfd):
    monkeypatch.setattr(nft, "LIBRARY", "libnftables-that-is-not-there.so.1")

    with pytest.raises(KernelError, match=r"^libnftables-that-is-not-there\.so\.1 is not on this machine"):
        nft.listing()
    assert capfd.readouterr().err == ""


def test_a_missing_namespace_is_one_sentence():
    with pytest.raises(KernelError, match="cannot open network namespace '/run/netns/no-such-ns'"):
        netns.inside("no-such-ns", lambda: None)


def test_a_file_that_is_no_namespace_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(KernelError, match="cannot enter network namespace"):
        netns.inside(str(tmp_path / "file"), lambda: None)


def test_an_error_of_the_program_in_the_child_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(netns, "_unshare", lambda: None)

    with pytest.raises(ZeroDivisionError) as caught:
        netns.in_scratch(lambda: 1 // 0)
    assert "in <lambda>" in caught.value.__notes__[0]


def test_a_large_result_comes_back_whole(monkeypatch):
    monkeypatch.setattr(netns, "_unshare", lambda: None)

    assert netns.in_scratch(lambda: "x" * 1_000_000) == "x" * 1_000_000
