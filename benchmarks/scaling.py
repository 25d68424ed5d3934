"""Measure how the training grows with the number of clips: seconds and peak memory.

    python3 -m benchmarks.scaling
    python3 -m benchmarks.scaling --clips 24 1000 --steps 50

Writes synthetic clips of --frames frames. For each number of clips, another process reads them,
trains for some steps and aligns them for the consensus, as tcc_train.py does, on one thread.
"""

from __future__ import annotations

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from tcc.progress import silence
from tcc_config import CONFIG
from tcc_data import load_clips, pick_num_steps
from tcc_train import Trainer
from tests.conftest import wave, write_clip

WARM_UP = 3  # steps that are not measured


def main() -> None:
    """Measure each number of clips in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--clips", type=int, nargs="+", default=[24, 1000], help="numbers of clips (%(default)s)")
    add("--frames", type=int, default=100, help="frames of a clip (%(default)s)")
    add("--steps", type=int, default=30, help="measured training steps (%(default)s)")
    add("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.clips[0], args.steps)
        return
    print("clips  s to read  ms a step  s to align  MB at start  read  trained  aligned")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for index in range(max(args.clips)):
            write_clip(root / f"{index:06d}", wave(args.frames + index % 20, index, 1 + index % 7))
        for clips in args.clips:
            command = [sys.executable, "-m", "benchmarks.scaling", "--measure", folder]
            command += ["--clips", str(clips), "--steps", str(args.steps)]
            subprocess.run(command, check=True)


def measure(root: Path, num_clips: int, num_steps: int) -> None:
    """Read and train; print the seconds and the peak memory after each part."""
    torch.set_num_threads(1)
    silence()
    logging.disable()
    peaks_mb = [peak_mb()]
    began_s = time.perf_counter()
    clips = load_clips(sorted(root.iterdir())[:num_clips], CONFIG)
    seconds = [time.perf_counter() - began_s]
    peaks_mb.append(peak_mb())
    trainer = Trainer(clips, [], pick_num_steps(clips, CONFIG), torch.device("cpu"))
    del clips  # as tcc_train.py does
    for step in range(WARM_UP + num_steps):
        if step == WARM_UP:
            began_s = time.perf_counter()
        trainer.train_step(trainer.sequences[step])
    seconds.append(1000 * (time.perf_counter() - began_s) / num_steps)
    peaks_mb.append(peak_mb())
    began_s = time.perf_counter()
    trainer.align_clips()
    seconds.append(time.perf_counter() - began_s)
    peaks_mb.append(peak_mb())
    print(num_clips, *np.round(seconds, 1), *np.round(peaks_mb), sep="  ", flush=True)


def peak_mb() -> float:
    """Return the largest memory of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
