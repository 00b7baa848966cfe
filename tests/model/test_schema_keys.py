"""Every key of the schema is a field of the model; `check` knows of every setting when it has an effect."""

import json

import pytest

from nfcompile.analysis.no_effect import POOL_SETTINGS
from nfcompile.model.npt import NptPool
from nfcompile.model.pair import Node, Pair
from nfcompile.model.site import Alg, Defaults, Limits, Pool, Timeouts
from support.sites import ROOT

SCHEMA = json.loads((ROOT / "schemas" / "site.schema.json").read_text(encoding="utf-8"))
PARTS = {"timeouts_inactivity": "timeouts", "limits_peruser": "limits"}
"""Keys that are values of their own."""
OF_POOLS = {"port_block_size", "limits_peruser"}
"""Keys of `nat_defaults` that only pools have, which inherit them."""
BY_PAIR = {"pair"}
"""What decides on which nodes a pool or rule exists; the site of one node does not have it any more."""


def keys(*steps):
    rule = SCHEMA
    for step in steps:
        rule = rule[step]
        rule = SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
    return set(rule["properties"])


@pytest.mark.parametrize(
    ("steps", "models", "elsewhere"),
    [
        (("$defs", "pool"), (Pool, NptPool), BY_PAIR),
        (("$defs", "timeouts_inactivity"), (Timeouts,), set()),
        (("$defs", "limits_peruser"), (Limits,), set()),
        (("properties", "nat_defaults"), (Defaults,), OF_POOLS),
        (("properties", "nat_defaults", "properties", "alg"), (Alg,), set()),
        (("$defs", "pair"), (Pair,), set()),
        (("$defs", "node"), (Node,), {"interfaces", "primary_ip"}),
    ],
)
def test_every_key_is_a_field(steps, models, elsewhere):
    fields = {field for model in models for field in model._fields}

    assert {PARTS.get(key, key) for key in keys(*steps) - elsewhere} - fields == set()


def test_every_setting_that_pools_inherit_has_an_effect_somewhere():
    """`check` warns of a setting that changes nothing, so it must know when each one does."""
    inherited = keys("$defs", "pool") & keys("properties", "nat_defaults")
    dotted = {f"{key}.{inner}" for key in inherited & set(PARTS) for inner in keys("$defs", key)}

    assert (inherited - set(PARTS)) | dotted == POOL_SETTINGS.keys() & (inherited | dotted)
