"""IPFIX messages against a decoder of its own (tests/support/ipfix.py)."""

import pytest

from nfcompile.log.ipfix import IpfixSession
from nfcompile.log.records import HELD, RELEASED
from support.ipfix import Decoder
from support.log_records import ADDRESS, AT, BLOCK, CONNECTION, RECORDS, RULE


def decoded(session, decoder, records, room=1400, templates=True):
    messages = list(session.messages(records, room, templates))
    assert all(len(one) <= room for one in messages)
    return [record for one in messages for record in decoder.message(one)]


def test_each_record():
    found = decoded(IpfixSession(), Decoder(), RECORDS)

    assert [one["event"] for one in found] == [16, 16, 15, 5, 4]
    block, _, address, connection, rule = found
    assert block == {
        "time": AT // 1000,
        "event": 16,
        "subscriber": 0x64400001,
        "global_ip": 0xCB007109,
        "port_first": 1072,
        "port_last": 1079,
        "step": 1,
        "pool": 70,
    }
    assert address == {key: block[key] for key in ("time", "subscriber", "global_ip", "pool")} | {"event": 15}
    assert connection == {
        "time": AT // 1000,
        "event": 5,
        "subscriber": 0x64400001,
        "global_ip": 0xCB007109,
        "protocol": 17,
        "port": 5000,
        "global_port": 1072,
        "remote": 0xC6120001,
        "remote_port": 443,
        "realm": 1,
        "pool": 70,
    }
    assert (rule["event"], rule["realm"], rule["pool"]) == (4, 2, 0)


@pytest.mark.parametrize(
    ("record", "event"), [(BLOCK._replace(event=RELEASED), 17), (ADDRESS._replace(event=HELD), 14)]
)
def test_events_of_blocks(record, event):
    assert decoded(IpfixSession(), Decoder(), [record])[0]["event"] == event


@pytest.mark.parametrize("room", [200, 201, 222, 223, 1400, 16384])
def test_many_records_of_mixed_kinds_in_small_messages(room):
    """The templates alone take 122 bytes."""
    session, decoder = IpfixSession(), Decoder()
    given = [(CONNECTION, BLOCK, ADDRESS, RULE)[n * n % 7 % 4]._replace(at=AT + n * 1000) for n in range(500)]
    found = decoded(session, decoder, given[:250], room)
    found += decoded(session, decoder, given[250:], room, templates=False)

    assert [one["time"] for one in found] == [AT // 1000 + n for n in range(500)]
    assert decoder.missing == 0


def test_a_message_that_is_lost_shows_in_the_sequence():
    session, decoder = IpfixSession(), Decoder()
    decoded(session, decoder, [BLOCK] * 3)
    list(session.messages([BLOCK] * 5, 1400, False))
    decoded(session, decoder, [BLOCK], templates=False)

    assert decoder.missing == 5


def test_templates_alone_are_a_message_and_nothing_is_none():
    assert len(list(IpfixSession().messages([], 1400, True))) == 1
    assert list(IpfixSession().messages([], 1400, False)) == []
