"""Text of one value -> the value: addresses, ports, marks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfcompile.model import parse
from nfcompile.model.parse import Fault
from nfcompile.model.ranges import (
    Range,
    address_text,
    port_text,
    range_text,
)
from nfcompile.model.rules import Mark

addresses = st.integers(0, 2**32 - 1)


@given(addresses)
def test_address_is_read_as_it_is_written(value):
    assert parse.address(address_text(value)) == value


@given(addresses, addresses)
def test_range_is_read_as_it_is_written(one, other):
    value = Range(min(one, other), max(one, other))

    assert parse.addresses(range_text(value)) == value
    assert parse.addresses(f"{address_text(value.first)} - {address_text(value.last)}") == value


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_ports_are_read_as_they_are_written(one, other):
    value = Range(min(one, other), max(one, other))

    assert parse.ports(port_text(value)) == value
    assert parse.ports(f"{value.first}:{value.last}") == value


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1", Mark(1)),
        ("4294967295", Mark(0xFFFFFFFF)),
        ("0x10", Mark(16)),
        ("0x10/0xff", Mark(16, 255)),
        ("16/240", Mark(16, 240)),
        ("0X1F", Mark(31)),
    ],
)
def test_mark(text, mark):
    assert parse.mark(text) == mark


@pytest.mark.parametrize("text", ["0", "-1", "4294967296", "ten", "", "1/0", "0x100/0xff", "1_0", " 1", "1/"])
def test_mark_fault(text):
    with pytest.raises(Fault) as caught:
        parse.mark(text)
    assert caught.value.code == "bad-mark"
