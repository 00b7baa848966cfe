"""The log as Apache Parquet: the columns of a file, and the journal that a file is made of.

A Parquet file is whole or useless, so records gather in a journal first: Arrow IPC streams one after the
other, a batch each. What a kill or a full disk has torn is its last batch only. pyarrow is an extra.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from nfcompile.log.records import BlockRecord, ConnectionRecord, Record
from nfcompile.model.ranges import address_text

INSTALL = "parquet needs pyarrow: pip install 'nfcompile[parquet]'"
PARQUET, JOURNAL = ".parquet", ".arrows"
GROUP_ROWS = 1 << 16
"""Rows of a row group: what a question for one address has to read of a file."""
LAST_PORT = 65535
ADDRESSES = ("subscriber", "global_ip", "remote")
ORDER = ("global_ip", "port_first", "time")
"""Files are sorted so: a row group has few addresses, and its statistics say which."""
_COLUMNS = {
    "time": "time",
    "event": "text",
    "gateway": "text",
    "pool": "text",
    "rule": "text",
    "priority": "int32",
    "protocol": "int16",
    "subscriber": "text",
    "subscriber_port": "int32",
    "global_ip": "text",
    "port_first": "int32",
    "port_last": "int32",
    "number": "int64",
    "remote": "text",
    "remote_port": "int32",
    "opened": "text",
    "began": "time",
    "source": "text",
    "count": "int64",
}


@cache
def schema(journal: bool = False) -> Any:
    """The columns; in a journal addresses are numbers, which are sorted faster."""
    import pyarrow

    types = {
        "time": pyarrow.timestamp("us", "UTC"),
        "text": pyarrow.string(),
        "int16": pyarrow.int16(),
        "int32": pyarrow.int32(),
        "int64": pyarrow.int64(),
    }
    return pyarrow.schema(
        (name, pyarrow.uint32() if journal and name in ADDRESSES else types[kind])
        for name, kind in _COLUMNS.items()
    )


def batch(records: Sequence[Record], gateway: str) -> bytes:
    """Records as one stream of a journal."""
    import pyarrow

    columns = [*zip(*(_row(one, gateway) for one in records), strict=True)]
    table = pyarrow.record_batch(
        [pyarrow.array(cells, field.type) for cells, field in zip(columns, schema(True), strict=True)],
        schema=schema(True),
    )
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema(True)) as stream:
        stream.write_batch(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def journal_table(path: str) -> Any:
    """What a journal holds, with addresses as text; without a batch that was torn at its end."""
    return _as_text(_read(path))


def make(journal: str, target: str) -> None:
    """Write the Parquet file of a journal, whole or not at all, and delete the journal. Raises OSError."""
    table = _read(journal)
    if table.num_rows:
        write(table, target)
    os.unlink(journal)


def write(table: Any, target: str) -> None:
    """Write a table of a journal's columns as a sorted file, whole or not at all. Raises OSError."""
    from pyarrow.parquet import ParquetWriter

    ordered = _as_text(table.sort_by([(name, "ascending") for name in ORDER]))
    temporary = target + ".new"
    try:
        with open(temporary, "wb", opener=_private) as file:
            with ParquetWriter(file, ordered.schema, compression="zstd") as writer:
                writer.write_table(ordered, row_group_size=GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _row(record: Record, gateway: str) -> tuple[object, ...]:
    """The cells of a record, in the order of the columns."""
    if isinstance(record, BlockRecord):
        ports = (record.first, record.last) if record.first else (0, LAST_PORT)
        head = (record.at, record.event, gateway, record.pool, None, record.priority, None)
        return (*head, record.subscriber, None, record.address, *ports, record.number, *[None] * 6)
    if isinstance(record, ConnectionRecord):
        return (
            *(record.at, record.event, gateway, record.pool or None, record.rule or None),
            *(record.priority, record.protocol, record.subscriber, record.port),
            *(record.address, record.global_port, record.global_port, None),
            *(record.remote, record.remote_port, "outside" if record.inward else "inside"),
            *(record.began or None, None, None),
        )
    source = (record.source, record.messages) if record.source else (None, None)
    return (record.at, record.event, gateway, *[None] * 14, *source)


def _read(path: str) -> Any:
    import pyarrow

    with open(path, "rb") as file:
        data = pyarrow.py_buffer(file.read())
    return pyarrow.Table.from_batches(_batches(pyarrow.BufferReader(data)), schema(True))


def _batches(source: Any) -> Iterator[Any]:
    import pyarrow

    with suppress(pyarrow.ArrowInvalid, OSError):
        while source.tell() < source.size():
            with pyarrow.ipc.open_stream(source) as stream:
                yield from stream


def _as_text(table: Any) -> Any:
    """The same with each address spelled; each different one once."""
    import pyarrow

    for name in ADDRESSES:
        encoded = table.column(name).combine_chunks().dictionary_encode()
        words = pyarrow.array([address_text(one) for one in encoded.dictionary.to_pylist()], pyarrow.string())
        at = table.schema.get_field_index(name)
        spelled = pyarrow.DictionaryArray.from_arrays(encoded.indices, words)
        table = table.set_column(at, name, spelled.cast(pyarrow.string()))
    return table
