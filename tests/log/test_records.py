"""The JSON line of each record, both ways."""

import json

import pytest

from nfcompile.log.records import line, read_line
from support.log_records import BLOCK, CONNECTION, RECORDS


@pytest.mark.parametrize("record", RECORDS)
def test_a_line_is_json_and_is_read_as_the_same_record(record):
    assert json.loads(line(record))["event"] == record.event
    assert read_line(line(record)) == record


def test_a_line_of_a_block():
    assert json.loads(line(BLOCK)) == {
        "time": "2026-05-01T10:00:02.000005Z",
        "event": "block_assigned",
        "pool": "homes",
        "priority": 70,
        "subscriber": "100.64.0.1",
        "global_ip": "203.0.113.9",
        "port_first": 1072,
        "port_last": 1079,
        "number": 0x2000026,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"event": "other"}',
        line(BLOCK)[:-30],
        line(BLOCK).replace("100.64.0.1", "100.64.0"),
        line(BLOCK).replace('"time"', '"when"'),
        line(CONNECTION).replace("2026-05-01", "yesterday"),
    ],
)
def test_a_broken_line(text):
    with pytest.raises(ValueError):  # noqa: PT011 json's own words differ
        read_line(text)
