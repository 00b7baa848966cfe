"""How often a subscriber may ask."""

from nfcompile.pcp.rate import BURST, PER_SECOND, REMEMBERED, AskingRates


def test_a_burst_then_so_many_a_second():
    rates = AskingRates()

    assert [rates.allows(1, 0.0) for _ in range(100)] == [True] * int(BURST) + [False] * (100 - int(BURST))
    assert [rates.allows(1, 1.0) for _ in range(20)] == [True] * int(PER_SECOND) + [False] * (
        20 - int(PER_SECOND)
    )
    assert rates.allows(2, 1.0)


def test_room_for_so_many_subscribers():
    """The one that has been silent for the longest time is forgotten, and so has all its tokens again."""
    rates = AskingRates()
    for _ in range(50):
        rates.allows(0, 0.0)
    for source in range(1, REMEMBERED + 1):
        rates.allows(source, 0.0)

    assert len(rates._tokens) == REMEMBERED
    assert rates.allows(0, 0.0)
