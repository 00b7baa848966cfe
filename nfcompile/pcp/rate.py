"""How often a subscriber may ask: a bucket of tokens for each, and room for so many subscribers."""

from __future__ import annotations

PER_SECOND, BURST = 10.0, 40.0
"""A client that opens all of its ports at once is not held up; a flood costs no work of the kernel."""
REMEMBERED = 1 << 16


class AskingRates:
    """The tokens of subscribers by address. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._tokens: dict[int, tuple[float, float]] = {}

    def allows(self, address: int, now: float) -> bool:
        """Take a token of a subscriber; False where it has none left."""
        before, tokens = self._tokens.pop(address, (now, BURST))
        tokens = min(BURST, tokens + (now - before) * PER_SECOND)
        if len(self._tokens) >= REMEMBERED:
            # The one that has not asked for the longest time.
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[address] = (now, tokens - 1 if tokens >= 1 else tokens)
        return tokens >= 1
