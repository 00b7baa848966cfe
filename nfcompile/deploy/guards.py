"""Why a change is not made although the kernel would take it."""

from __future__ import annotations

from nfcompile.allocation.moves import moved_count
from nfcompile.deploy.comparison import Comparison


def too_many_moves(comparison: Comparison, limit: int | None) -> str:
    """Say why `--max-moves` refuses: more than `limit` subscribers move, or the number is not known.

    '' where nothing is in the way. None is no limit.
    """
    if limit is None:
        return ""
    if comparison.moves is None:
        return (
            "the history does not say which site is live, so the number of subscribers that move is not "
            "known; apply the site without --max-moves"
        )
    count = moved_count(comparison.moves)
    return f"{count} subscribers would move; --max-moves allows {limit}" if count > limit else ""
