"""Records of each kind."""

from nfcompile.log.records import (
    ASSIGNED,
    BEGAN,
    ENDED,
    HELD,
    LOST,
    RELEASED,
    STARTED,
    STOPPED,
    BlockRecord,
    ConnectionRecord,
    LogEvent,
)

AT = 1_777_629_602_000_005
BLOCK = BlockRecord(ASSIGNED, AT, "homes", 70, 0x64400001, 0x2000026, 0xCB007109, 1072, 1079)
ADDRESS = BLOCK._replace(event=RELEASED, first=0, last=0)
CONNECTION = ConnectionRecord(
    ENDED, AT, AT - 1, "homes", "", 70, 17, 0x64400001, 5000, 0xCB007109, 1072, 0xC6120001, 443, False
)
RULE = CONNECTION._replace(event=BEGAN, began=0, pool="", rule="office", priority=0, inward=True)
RECORDS = (
    BLOCK,
    BLOCK._replace(event=HELD),
    ADDRESS,
    CONNECTION,
    RULE,
    LogEvent(STARTED, AT),
    LogEvent(STOPPED, AT),
    LogEvent(LOST, AT, "blocks", 7),
)
