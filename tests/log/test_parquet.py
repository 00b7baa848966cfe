"""Parquet files: whole ones only, whatever happens; every record in one of them."""

import os
from datetime import UTC, datetime

import pytest
from pyarrow import parquet as reader

from nfcompile.log import parquet_files
from nfcompile.log.delivery import OutputAway
from nfcompile.log.destination import BadDestination, OutputSettings
from nfcompile.log.outputs import opened, parquet
from support.full_disk import writing
from support.log_records import AT, BLOCK, CONNECTION, RECORDS


def output(folder):
    return opened(f"parquet:{folder}", OutputSettings("gw1"))


def many(first, last):
    return [CONNECTION._replace(remote_port=n, address=0xCB007100 + n % 7) for n in range(first, last)]


def files(folder):
    return sorted(one for one in os.listdir(folder) if one.endswith(".parquet"))


def ports(folder):
    found = [reader.read_table(folder / name).column("remote_port").to_pylist() for name in files(folder)]
    return sorted(port for each in found for port in each)


def test_each_kind_of_record_has_its_columns(tmp_path):
    made = output(tmp_path)
    made.deliver(RECORDS)
    assert files(tmp_path) == []
    made.close()

    (name,) = files(tmp_path)
    assert os.listdir(tmp_path) == [name]
    rows = {row["event"]: row for row in reader.read_table(tmp_path / name).to_pylist()}
    block = {key: value for key, value in rows["block_assigned"].items() if value is not None}
    assert block == {
        "time": datetime(2026, 5, 1, 10, 0, 2, 5, tzinfo=UTC),
        "event": "block_assigned",
        "gateway": "gw1",
        "pool": "homes",
        "priority": 70,
        "subscriber": "100.64.0.1",
        "global_ip": "203.0.113.9",
        "port_first": 1072,
        "port_last": 1079,
        "number": 33554470,
    }
    whole = rows["block_released"]
    assert (whole["port_first"], whole["port_last"]) == (0, 65535)
    ended = rows["connection_ended"]
    assert (ended["remote"], ended["port_first"], ended["port_last"], ended["opened"]) == (
        *("198.18.0.1", 1072, 1072, "inside"),
    )
    assert rows["connection_began"]["rule"] == "office"
    assert (rows["log_lost"]["source"], rows["log_lost"]["count"]) == ("blocks", 7)


def test_files_are_sorted_and_have_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "GROUP_ROWS", 100)
    made = output(tmp_path)
    made.deliver(many(0, 600))
    made.close()

    (name,) = files(tmp_path)
    file = reader.ParquetFile(tmp_path / name)
    assert file.num_row_groups == 6
    addresses = file.read().column("global_ip").to_pylist()
    assert addresses == sorted(addresses)
    statistics = file.metadata.row_group(0).column(file.schema_arrow.get_field_index("global_ip")).statistics
    assert (statistics.min, statistics.max) == ("203.0.113.0", "203.0.113.1")


def test_a_new_file_after_so_many_records_after_an_hour_and_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 1000)
    made = output(tmp_path)
    for first in range(0, 2500, 500):
        made.deliver(many(first, first + 500))
    assert len(files(tmp_path)) == 2
    made.reopen()
    made.deliver(many(2500, 2600))
    assert len(files(tmp_path)) == 3
    monkeypatch.setattr(parquet, "SECONDS", 0)
    made.reopen()
    made.deliver(many(2600, 2700))
    made.deliver(many(2700, 2800))
    made.close()

    assert len(files(tmp_path)) == 6
    assert ports(tmp_path) == list(range(2800))


def test_what_a_killed_process_left_is_a_file_after_the_next_start(tmp_path):
    """A batch that was torn at the end is left out, not those before it."""
    killed = output(tmp_path)
    killed.deliver(many(0, 300))
    killed.deliver(many(300, 400))
    (journal,) = tmp_path.iterdir()
    with journal.open("ab") as file:
        file.write(parquet_files.batch(many(400, 500), "gw1")[:2000])

    again = output(tmp_path)
    again.deliver(many(500, 600))
    assert ports(tmp_path) == list(range(400))
    again.close()
    assert ports(tmp_path) == [*range(400), *range(500, 600)]


def test_a_full_disk_loses_no_batch_and_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    made = output(tmp_path)
    made.deliver(many(0, 300))
    room = [1000]
    monkeypatch.setattr(parquet.os, "write", writing(room))
    for _ in range(2):
        with pytest.raises(OutputAway, match="No space left"):
            made.deliver(many(300, 400))
    room[0] = 1 << 20
    made.deliver(many(300, 400))
    monkeypatch.setattr(parquet_files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space")))
    made.close()
    assert files(tmp_path) == []
    monkeypatch.undo()
    output(tmp_path).close()

    assert ports(tmp_path) == list(range(400))
    assert len(os.listdir(tmp_path)) == 1


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadDestination, match="cannot write"):
        output(tmp_path / "file")


def test_an_address_of_any_size(tmp_path):
    made = output(tmp_path)
    made.deliver([BLOCK._replace(at=AT, subscriber=0xFFFFFFFF, address=1, number=0xFFFFFFFF)])
    made.close()
    (row,) = reader.read_table(tmp_path / files(tmp_path)[0]).to_pylist()
    assert (row["subscriber"], row["global_ip"]) == ("255.255.255.255", "0.0.0.1")
