"""The jumps of figure skating as key poses on one time axis that all jumps share.

Units are seconds and degrees. All poses are those of a skater who turns to the left and lands on
the right leg. Skaters who turn to the right are mirror images.
"""

from __future__ import annotations

import numpy as np

# The shared time axis: phase 0 is the first event, 1 the second, and so on.
PHASES = (
    "entry", "step", "ready", "bend", "take-off", "closed", "opening", "landing", "deep", "out",
    "end",
)  # fmt: skip
# A motion starts at the deepest knee bend before take-off. A glide can have any length, so its
# frames have no fixed phase.
BEND, TAKEOFF, LANDING, OUT = (PHASES.index(k) for k in ("bend", "take-off", "landing", "out"))
# Shortest and longest time from each event to the next. From take-off to landing, the numbers are
# shares of the flight instead.
SPANS_S = (
    (0.3, 0.6), (0.25, 0.6), (0.15, 0.4), (0.13, 0.25), (0.3, 0.3), (0.4, 0.4), (0.3, 0.3),
    (0.13, 0.27), (0.3, 0.6), (0.4, 0.9),
)  # fmt: skip
# Shortest and longest flight with 0, 1 and 2 full turns.
FLIGHT_S = ((0.25, 0.45), (0.33, 0.58), (0.43, 0.65))
TURNED = (0.24, 0.76)  # share of the turn in the air that is done at "closed" and at "opening"
# Direction from the root of a limb to its end (forward, outward, up) and how far it is extended,
# where 1 is straight.
LEGS = {
    "straight": (0.0, 0.0, -1.0, 0.99), "under": (0.05, 0.06, -1.0, 0.96),
    "soft": (0.12, 0.02, -1.0, 0.92), "bent": (0.2, 0.0, -1.0, 0.83),
    "edge": (0.15, -0.2, -0.95, 0.86), "trail": (-0.5, 0.12, -0.85, 0.94),
    "reach": (-0.8, 0.08, -0.55, 0.96), "knee": (0.5, 0.05, -0.85, 0.74),
    "front": (0.6, 0.05, -0.75, 0.95), "side": (0.05, 0.55, -0.85, 0.95),
    "cross": (0.2, -0.22, -1.0, 0.93), "back": (-0.15, -0.05, -1.0, 0.96),
    "four": (0.3, -0.1, -1.0, 0.75), "fold": (-0.35, 0.05, -0.85, 0.72),
    "check": (0.4, -0.15, -0.8, 0.9), "landed": (-0.6, 0.4, -0.5, 0.97),
    "sit": (0.9, 0.15, -0.12, 0.85),
}  # fmt: skip
ARMS = {
    "side": (0.1, 1.0, -0.15, 0.97), "front": (0.95, 0.2, -0.1, 0.92),
    "wide": (0.5, 0.8, -0.2, 0.93), "back": (-0.4, 0.75, -0.3, 0.94),
    "rear": (-0.6, 0.3, -0.75, 0.93), "low": (0.25, 0.25, -0.95, 0.88),
    "fold": (0.8, -0.5, -0.3, 0.44), "hug": (0.75, -0.1, -0.45, 0.55),
    "guard": (0.7, 0.5, -0.3, 0.78), "scoop": (0.85, 0.3, 0.2, 0.85),
    "up": (0.15, 0.1, 1.0, 0.88),
}  # fmt: skip
# A key pose: the leg or legs that carry the weight; lean of the trunk forward and to the left; turn
# of the shoulders relative to the hips; turn of the hips relative to the direction of travel; left
# leg, right leg, left arm, right arm. "a|b" is one of the two at random.
Pose = tuple[str, int, int, int, int, str, str, str, str]
# The poses at entry, step, ready, bend and take-off of each jump.
JUMPS: dict[str, tuple[Pose, ...]] = {
    "axel": (
        ("R", 18, 0, 15, -150, "under|trail", "soft", "wide", "wide"),
        ("L", 20, 5, 10, -45, "soft", "trail", "side|front", "side"),
        ("L", 26, 5, 5, -25, "soft", "trail", "side|front", "side|back"),
        ("L", 28, 5, 0, -10, "bent", "reach", "rear|back", "rear|back"),
        ("L", 8, 0, -10, 30, "straight", "knee", "scoop|guard", "scoop|guard"),
    ),
    "salchow": (
        ("L", 15, 0, 15, 20, "soft", "trail", "front", "side|back"),
        ("L", 20, 0, 5, 110, "soft", "trail", "front", "side"),
        ("L", 26, 0, -5, 165, "soft", "trail", "front", "side"),
        ("L", 28, -8, -15, 205, "bent", "side", "front|side", "back|rear"),
        ("L", 5, 5, -5, 290, "straight", "knee", "scoop|guard", "scoop|guard"),
    ),
    "toeloop": (
        ("R", 15, 5, 5, 20, "trail", "soft", "front", "side|back"),
        ("R", 20, 5, 0, 120, "under", "soft", "front", "side|back"),
        ("R", 32, 0, -25, 165, "trail", "soft", "front", "side|back"),
        ("R", 34, -6, -30, 190, "reach", "bent", "front", "side|back"),
        ("L", 5, 0, -10, 270, "straight", "back|soft", "guard|fold", "guard|fold"),
    ),
    "loop": (
        ("L", 12, 0, -15, 150, "soft", "side|under", "front", "side"),
        ("R", 18, 0, -25, 155, "under", "soft", "front", "side"),
        ("R", 26, 0, -25, 170, "front|cross", "soft", "front", "side"),
        ("R", 30, -5, -10, 190, "front", "bent", "front|guard", "wide|guard"),
        ("R", 5, 5, 0, 275, "cross|check", "straight", "guard|fold", "guard|fold"),
    ),
    "flip": (
        ("L", 15, 0, 10, 10, "soft", "trail", "front", "side|back"),
        ("L", 20, 0, 0, 120, "soft", "trail", "front", "side|back"),
        ("L", 32, 0, -10, 165, "soft", "trail", "front", "side"),
        ("L", 36, 5, -15, 180, "bent", "reach", "front", "side|back"),
        ("R", 5, 0, 0, 260, "back|soft", "straight", "guard|fold", "guard|fold"),
    ),
    "lutz": (
        ("R", 15, 0, 0, 165, "side|trail", "soft", "side|front", "side"),
        ("L", 20, 0, -10, 150, "soft", "trail|under", "front", "side"),
        ("L", 34, 8, -14, 148, "soft", "trail|reach", "front", "side"),
        ("L", 38, 10, -15, 160, "bent", "reach", "front", "side|up"),
        ("R", 5, 0, 0, 250, "front|back", "straight", "guard|fold", "guard|fold"),
    ),
    "hop": (
        ("R", 8, 0, 0, -5, "trail|under", "soft", "side|low", "side|low"),
        ("LR", 10, 0, 0, -5, "under", "under", "side|low", "side|low"),
        ("LR", 14, 0, -5, -5, "soft", "soft", "side|low", "side|low"),
        ("LR", 26, 0, -15, -15, "bent", "bent", "rear|wide", "rear|wide"),
        ("LR", 5, 0, 10, 30, "straight", "straight", "scoop|wide", "scoop|wide"),
    ),
}
# The poses at closed and opening, for jumps with full turns and with half a turn.
TURNING: tuple[Pose, ...] = (
    ("R", 4, 0, -8, 0, "cross|four", "back|straight", "fold|fold|hug|up", "fold|fold|hug|up"),
    ("R", 4, 0, -12, 0, "cross|fold", "back|straight", "fold|hug", "fold|hug"),
)
HALF: tuple[Pose, ...] = (
    ("R", 5, 0, -10, 0, "trail", "knee|front", "wide|guard", "wide|guard"),
    ("R", 6, 0, -10, 0, "trail|fold", "under", "wide|guard", "wide|guard"),
)
# The poses at landing, deep, out and end, for jumps that succeed and for falls.
STOOD: tuple[Pose, ...] = (
    ("R", 10, 0, -15, 0, "check|fold|four", "straight", "guard|wide", "guard|wide"),
    ("R", 34, -4, 0, -15, "trail|landed|check", "edge|bent", "wide", "wide|side"),
    ("R", 28, -6, 8, 10, "landed|landed|trail", "edge|soft", "side", "side|front"),
    ("R", 15, -4, 5, 15, "landed|trail|under", "soft", "side|low", "side|low"),
)
FALLEN: tuple[Pose, ...] = (
    STOOD[0],
    ("LR", 45, -15, 0, 30, "bent", "bent", "rear|wide", "rear|wide"),
    ("LR", -20, 10, 0, 60, "sit", "sit", "rear", "rear"),
    ("LR", -10, 10, 0, 70, "sit", "sit", "rear|low", "rear|low"),
)
# Poses before the entry and after the end.
GLIDES: tuple[Pose, ...] = (
    ("L", 15, 0, 0, 0, "soft", "trail", "side|low", "side|low"),
    ("R", 15, 0, 0, 0, "trail", "soft", "side|low", "side|low"),
    ("L", 22, 6, 10, 0, "bent", "side", "wide", "side|back"),
    ("R", 22, 8, 15, 0, "side|cross", "bent", "front|wide", "back|side"),
    ("LR", 6, 0, 0, 0, "under", "under", "low|side", "low|side"),
    ("L", 12, 6, 15, 0, "soft", "cross", "front|side", "back|side"),
)
GLIDE_S = (0.35, 1.1)  # shortest and longest glide
# Standard deviations from the poses above: OWN is drawn once per skater, VARIED for every pose.
OWN = np.array([5, 4, 6, 8] + 4 * [0.08, 0.06, 0.05, 0.02])
VARIED = np.array([4, 3, 7, 10] + 4 * [0.07, 0.06, 0.06, 0.025])
WOBBLE = 0.5  # standard deviation of slow noise over time, in units of VARIED
