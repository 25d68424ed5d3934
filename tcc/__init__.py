"""Helpers of the tcc_*.py commands. They take settings as arguments; none reads tcc_config.py.

Every command imports this package before all others, so that one line says what is missing.
"""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

PACKAGES = (
    "torch", "numpy", "scipy", "cv2", "matplotlib", "sklearn", "joblib", "tabulate",
    "threadpoolctl", "tslearn", "numba", "av", "PIL", "msgspec", "tensorboard", "tqdm", "jinja2",
)  # fmt: skip

# OpenCV reads these when it is imported: it refuses larger pictures than tcc/sidecars.py, and does
# not print what is wrong with one, because the commands do.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**26))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def _stop(number: int, frame: FrameType | None) -> None:
    """End at Ctrl-C while a command is still importing, which takes seconds; it has no results."""
    os.write(2, b"interrupted\n")
    os._exit(130)


if Path(sys.argv[0]).name.startswith("tcc_"):  # else it is a test, or a program of the user
    signal.signal(signal.SIGINT, _stop)


def _require_packages() -> None:
    """Exit with code 2 if Python is too old or a package of requirements.txt is missing."""
    problems = [f"the package {name} is missing" for name in PACKAGES if not find_spec(name)]
    if sys.version_info < (3, 11):  # noqa: UP036
        problems = [f"Python {sys.version.split()[0]} is too old, 3.11 or newer is needed"]
    if problems:
        remedy = "run: . .venv/bin/activate, or make demo for the set-up"
        print(f"error: {problems[0]}; {remedy}", file=sys.stderr)
        sys.exit(2)


_require_packages()
