"""Outputs: files that are moved away or full, collectors that go and come back."""

import os
import socket

import pytest

from nfcompile.log.delivery import OutputAway, OutputEnded
from nfcompile.log.destination import BadDestination
from nfcompile.log.outputs import OUTPUTS, json_lines, opened
from support.full_disk import writing
from support.ipfix import Collector
from support.log_records import AT, BLOCK
from support.waiting import until


def records(first, last):
    return [BLOCK._replace(at=AT + n * 1000) for n in range(first, last)]


@pytest.mark.parametrize(
    "destination",
    [
        *("", "json:", "json", "file.json", "ipfix://h:1", "ipfix+tcp://h", "ipfix+tcp://:4739"),
        *("ipfix+udp://h:0", "ipfix+udp://h:65536", "ipfix+udp://h:x", "json:/no/such/folder/x"),
    ],
)
def test_what_is_no_destination(destination):
    with pytest.raises(BadDestination):
        opened(destination)


def test_each_destination_has_a_name(tmp_path):
    assert set(OUTPUTS) == {"json:", "ipfix+udp://", "ipfix+tcp://", "postgresql://", "parquet:"}
    assert opened("ipfix+tcp://[::1]:4739").name == "ipfix+tcp://::1:4739"


def test_a_file_is_begun_anew_after_reopen(tmp_path):
    file = tmp_path / "log"
    output = opened(f"json:{file}")
    output.deliver(records(0, 1))
    file.rename(tmp_path / "old")
    output.deliver(records(1, 2))
    output.reopen()
    output.deliver(records(2, 3))
    output.close()

    assert (tmp_path / "old").read_text().count("\n") == 2
    assert file.read_text().count("\n") == 1
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_batch_that_was_written_in_part_goes_on_where_it_stopped(tmp_path, monkeypatch):
    file = tmp_path / "log"
    output = opened(f"json:{file}")
    room = [100]
    monkeypatch.setattr(json_lines.os, "write", writing(room))
    with pytest.raises(OutputAway, match="No space left"):
        output.deliver(records(0, 2))
    room[0] = 10_000
    output.deliver(records(0, 2))
    output.close()

    assert [line.count("block_assigned") for line in file.read_text().splitlines()] == [1, 1]


def test_a_reader_of_stdout_that_has_gone_ends_it(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    output = opened("json:-")
    output._descriptor = writing
    with pytest.raises(OutputEnded):
        output.deliver(records(0, 1))
    os.close(writing)


def bound(kind, port=0):
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def is_away(output, batch):
    try:
        output.deliver(batch)
    except OutputAway:
        return True
    return False


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_collector_that_goes_and_comes_back(kind):
    """What the output took while it was away was refused, and is delivered with the next."""
    socket_kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    listens = bound(socket_kind)
    port = listens.getsockname()[1]
    first = Collector(listens)
    output = opened(f"ipfix+{kind}://127.0.0.1:{port}")
    output.deliver(records(0, 100))
    until(lambda: len(first.records) == 100)
    first.close()
    until(lambda: is_away(output, records(100, 200)))
    with pytest.raises(OutputAway):
        output.deliver(records(100, 200))
    second = Collector(bound(socket_kind, port))
    output.deliver(records(100, 200))
    until(lambda: {one["time"] - AT // 1000 for one in second.records} >= set(range(100, 200)))
    output.close()
    second.close()

    assert [decoder.missing for decoder in second.decoders] == [0]


def test_a_host_that_no_name_server_knows_is_away():
    output = opened("ipfix+tcp://no-such-host.invalid:4739")
    with pytest.raises(OutputAway):
        output.deliver(records(0, 1))
