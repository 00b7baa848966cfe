"""A small version of `make attack`: raw frames from both sides, of which none may leak."""

from __future__ import annotations

import os

from support.attack import attack
from support.lab import Lab

FRAMES = int(os.environ.get("NFCOMPILE_ATTACK_FRAMES", "3000"))
SEED = os.environ.get("NFCOMPILE_RANDOM_SEED", "1")


def test_raw_frames_leak_nothing(lab: Lab) -> None:
    leaks = list(attack(lab, FRAMES, SEED))

    print(f"{len(leaks)} leaks of {FRAMES} frames, seed {SEED}")
    assert [str(one) for one in leaks[:20]] == []
