"""Make clips of synthetic skaters, run the commands on them and check the start that is found.

    python3 tcc_demo.py

Writes data/demo/, or uses its clips if it exists. Writes log/demo_* and result/*demo*. --mode
chooses the clips that are embedded, aligned and scored.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from tcc.clip_folders import clip_folders
from tcc.evaluate.labels import read_labels
from tcc.files import UserError
from tcc.progress import progress
from tcc.synthetic.rink import write_dataset
from tcc_config import AFTER_TRAINING, CONFIG, TRAINING

MOTION = "demo"
COUNTS = {"train": 24, "val": 6, "test": 2}
TRAINING_STEPS = 200  # enough for synthetic clips, since training starts from the generic encoder


def main() -> None:
    """Make the clips, run the commands, compare the found start with the true one."""
    parser = cli.parser(__doc__, CONFIG.__slots__, mode="val")
    parser.set_defaults(dataset=MOTION)
    args = cli.parse(parser, CONFIG, None)
    motion = CONFIG.DATASET
    film(args.data_dir / motion)
    learner, standard, true = read_truth(args.data_dir)

    # Ctrl-C also stops the command that runs. Wait until it has saved, then exit with its code.
    signal.signal(signal.SIGINT, lambda *_: None)
    steps = f"MAX_NUM_TRAINING_STEPS={TRAINING_STEPS}"
    run(args, "tcc_train.py", "--mode", "train", "--set", steps)
    run(args, "tcc_get_embed.py", "--mode", args.mode)
    run(args, "tcc_get_start.py", "--mode", "test")
    run(args, "tcc_align.py", "--mode", args.mode)
    run(args, "tcc_get_kendalls_tau.py", "--mode", args.mode)
    run(args, "tcc_report.py", "--mode", "test")

    start = args.result_dir / f"start_{motion}_{learner}_vs_{standard}"
    found = json.loads(Path(f"{start}.json").read_text(encoding="utf-8"))["start_frame"]
    error = abs(found - true)
    print(
        f"\nstart found at frame {found}, true start {true}: error {error} "
        f"{'frame' if error == 1 else 'frames'}"
    )
    print("results:")
    output = args.result_dir / f"output_{motion}_{args.mode}"
    tau = args.result_dir / f"kendalls_tau_{motion}_{args.mode}.png"
    print(f"  {start}.mp4\n  {start}.png\n  {output}.mp4\n  {output}.jpg\n  {tau}")
    print(f"open this page first:\n  {args.result_dir / f'{learner}_vs_{standard}'}/report.html")


def film(motion_dir: Path) -> None:
    """Write the clips, unless they exist.

    Raises:
        UserError: the folder exists and was not made by the demo.
    """
    if (motion_dir / "labels.csv").exists():
        print(f"{motion_dir} exists; using its clips")
        return
    if motion_dir.exists():
        raise UserError(
            f"{motion_dir} was not made by the demo; move it or choose another --dataset"
        )
    bar = partial(progress, description="filming", unit="clip")
    write_dataset(motion_dir, CONFIG.SEED, COUNTS, bar)
    print(f"{motion_dir}: {', '.join(f'{count} {mode}' for mode, count in COUNTS.items())} clips")


def read_truth(data_dir: Path) -> tuple[str, str, int]:
    """Return the names of the learner's and the standard clip, and the learner's true start frame.

    Raises:
        UserError: the clips were not made by the demo.
    """
    names = [path.name for path in clip_folders(data_dir, CONFIG.DATASET, "test")]
    start = read_labels(data_dir, CONFIG.DATASET).get(("test", names[0]), {}).get("start")
    if len(names) < 2 or start is None:
        raise UserError(
            f"{data_dir / CONFIG.DATASET} was not made by the demo: test/ has no pair with a "
            "start_frame in labels.csv; move it or choose another --dataset"
        )
    return names[0], names[1], start


def run(args: argparse.Namespace, command: str, *options: str) -> None:
    """Run a command as a user would; if it fails, exit with its code."""
    options = ("--dataset", CONFIG.DATASET, *options)
    shared = [f"--{name}-dir={getattr(args, f'{name}_dir')}" for name in ("data", "log", "result")]
    shared += [f"--device={args.device}", f"--seed={CONFIG.SEED}"]
    used = ("FPS", *(AFTER_TRAINING | {"tcc_train.py": TRAINING}).get(command, ()))
    shared += [f"--set={setting}" for setting in args.set if setting.partition("=")[0] in used]
    print(f"\n$ python3 {command} {' '.join(options)}", flush=True)
    program = Path(__file__).with_name(command)
    line: list[str | Path] = [sys.executable, program, *options, *shared]
    code = subprocess.run(line, check=False).returncode  # noqa: S603 - a command of this program
    if code:
        sys.exit(code if code > 0 else 128 - code)


if __name__ == "__main__":
    cli.run(main)
