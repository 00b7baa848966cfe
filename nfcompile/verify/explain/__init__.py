"""Why a packet fares as it does: a walk through the compiled ruleset, told in the operator's words.

    Question -> walk -> facts (answer.py) and reasons (reasons.py) -> Explanation

What is said comes from the rules that did something; each carries the path of the site that asked for it.
"""

from nfcompile.verify.explain.answer import Explanation, Question, Undecided, explain
from nfcompile.verify.explain.live import Connection, explain_live, with_connections
from nfcompile.verify.explain.prefixes import explain_prefixes
from nfcompile.verify.explain.scene import Reason

__all__ = [
    "Connection",
    "Explanation",
    "Question",
    "Reason",
    "Undecided",
    "explain",
    "explain_live",
    "explain_prefixes",
    "with_connections",
]
