"""The records of `support.log_answers` as logs of each kind."""

import gzip

import pytest

from nfcompile.log.destination import OutputSettings
from nfcompile.log.outputs import opened
from support.log_answers import RECORDS
from support.postgresql import database_server


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The records as each kind of log, half of them in a second file."""
    made = tmp_path_factory.mktemp("logs")
    outputs = {"json": (f"json:{made}/a.jsonl", f"json:{made}/b.jsonl")}
    outputs["parquet"] = (f"parquet:{made}/parquet",) * 2
    for parts in outputs.values():
        for name, records in zip(parts, (RECORDS[:8], RECORDS[8:]), strict=True):
            output = opened(name, OutputSettings("gw1"))
            output.deliver(records)
            output.close()
    with gzip.open(made / "a.jsonl.gz", "wb") as file:
        file.write((made / "a.jsonl").read_bytes())
    return made


@pytest.fixture(scope="session")
def url(folder):
    with database_server() as server:
        output = opened(server.url, OutputSettings("gw1"))
        output.deliver(RECORDS)
        output.close()
        yield server.url
