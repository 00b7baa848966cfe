"""The bytes of PCP and NAT-PMP, against a client that is written from the RFCs alone."""

from hypothesis import given
from hypothesis import strategies as st

from nfcompile.model.parse import address
from nfcompile.pcp import nat_pmp, wire
from nfcompile.pcp.messages import AskAddress, AskAnnounce, AskMap, ResultCode, Told, refused
from support import pcp as client

OWN = "100.64.0.1"
SOURCE = address(OWN)


def test_a_map_request():
    data = client.map_request(
        OWN, 6, 80, 8080, 600, b"0123456789ab", client.option(client.PREFER_FAILURE), "203.0.113.7"
    )

    asked = wire.decode(data, SOURCE)

    assert asked == AskMap(6, 80, 600, 8080, address("203.0.113.7"), b"0123456789ab", True)


def test_the_answer_to_a_map_request():
    """The client reads what was said, and the option that was heeded."""
    data = client.map_request(OWN, 17, 6000, options=client.option(client.PREFER_FAILURE))
    asked = wire.decode(data, SOURCE)

    answer = wire.answer(data, asked, Told(ResultCode.SUCCESS, 3600, address("203.0.113.1"), 1500), 77)

    assert client.read(answer) == client.Answer(
        2, 1, 0, 3600, 77, client.NONCE, 17, 6000, 1500, "203.0.113.1", client.option(client.PREFER_FAILURE)
    )


def test_a_refusal_repeats_the_request():
    """RFC 6887, section 8.3: what follows the header is the client's own, so that it knows which it was."""
    data = client.map_request(OWN, 132, 6000, 7000)

    answer = wire.answer(data, None, refused(ResultCode.UNSUPP_PROTOCOL), 5)

    assert answer[24:] == data[24:]
    assert client.read(answer)[:5] == (2, 1, 9, 1800, 5)


def test_announcements():
    data = client.request(0, OWN)

    assert wire.decode(data, SOURCE) == AskAnnounce()
    assert client.read(wire.answer(data, AskAnnounce(), Told(ResultCode.SUCCESS), 9))[:5] == (2, 0, 0, 0, 9)
    assert client.read(wire.announcement(3)) == client.Answer(2, 0, 0, 0, 3)


def test_an_option_that_need_not_be_understood():
    data = client.map_request(OWN, 17, 6000, options=client.option(200, b"abc") + client.option(255))

    assert isinstance(wire.decode(data, SOURCE), AskMap)


def test_an_ipv6_wish_is_none():
    data = bytearray(client.map_request(OWN, 17, 6000, options=client.option(client.PREFER_FAILURE)))
    data[44:60] = bytes(15) + b"\1"

    assert wire.decode(bytes(data), SOURCE) == ResultCode.CANNOT_PROVIDE_EXTERNAL


def test_nat_pmp():
    """The octets of RFC 6886, sections 3.2 and 3.3."""
    ask = bytes.fromhex("0002 0000 1770 0400 00000e10")

    asked = nat_pmp.decode(ask)
    told = Told(ResultCode.SUCCESS, 3600, address("203.0.113.1"), 1025)

    assert asked == AskMap(6, 6000, 3600, 1024)
    assert nat_pmp.answer(ask, asked, told, 16).hex() == "008200000000001017700401" + "00000e10"
    assert nat_pmp.decode(b"\0\0") == AskAddress()
    assert nat_pmp.answer(b"\0\0", AskAddress(), told, 1).hex() == "0080000000000001cb007101"
    denied = refused(ResultCode.NOT_AUTHORIZED)
    assert nat_pmp.answer(ask, asked, denied, 1).hex() == "00820002000000011770000000000000"
    assert nat_pmp.answer(b"\0\x07", None, refused(ResultCode.UNSUPP_OPCODE), 1).hex() == "0087000500000001"


DATAGRAMS = st.one_of(
    st.binary(max_size=1200),
    st.builds(
        lambda rest, version, opcode: bytes((version, opcode)) + rest,
        st.binary(max_size=120),
        st.sampled_from((0, 1, 2, 3)),
        st.integers(0, 255),
    ),
    st.builds(lambda rest: client.request(1, OWN, rest=client.NONCE + rest), st.binary(max_size=200)),
    st.builds(
        lambda code, value, cut: client.map_request(OWN, 17, 6000, options=client.option(code, value))[:cut],
        st.integers(0, 255),
        st.binary(max_size=40),
        st.integers(0, 200),
    ),
)


@given(DATAGRAMS)
def test_any_bytes(data):
    """Answered as the protocol says, or dropped; an answer is never larger than what the RFC allows, nor
    much larger than the request."""
    spoken = data[:1] == b"\0"
    asked = nat_pmp.decode(data) if spoken else wire.decode(data, SOURCE)
    if asked is None:
        assert len(data) < 2 or data[1] >= 128 or (spoken and len(data) < 12)
        return
    told = refused(asked) if isinstance(asked, ResultCode) else Told(ResultCode.SUCCESS, 120, SOURCE, 1024)
    known = None if isinstance(asked, ResultCode) else asked
    answer = (nat_pmp.answer if spoken else wire.answer)(data, known, told, 1)

    assert answer[1] == data[1] | 128
    if spoken:
        assert len(answer) in (8, 12, 16)
    else:
        read = client.read(answer)
        assert read.version == 2
        assert read.result == told.result
        assert len(answer) <= min(1100, max(64, len(data) + 3))
