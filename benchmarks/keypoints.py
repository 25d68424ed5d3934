"""Measure the time to read a large AlphaPose file, and to choose the skater among many people.

    python3 benchmarks/keypoints.py
    python3 benchmarks/keypoints.py --megabytes 20 --frames 1000

Generates a file and reads it with json.load and with read_detections, each in its own process.
Prints the seconds and the peak memory of both and the ratio of the seconds, then the seconds of
choose_person. Targets: a ratio of at most 1 at 200 MB; at most 3 s for 10,000 frames of 20 people.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tcc.alphapose import Detections, read_detections  # noqa: E402
from tcc.tracking import choose_person  # noqa: E402


def main() -> None:
    """Run both benchmarks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--megabytes", type=int, default=200, help="size of the file, MB (%(default)s)"
    )
    parser.add_argument(
        "--frames", type=int, default=10_000, help="frames of the clip (%(default)s)"
    )
    parser.add_argument("--people", type=int, default=20, help="people in each frame (%(default)s)")
    parser.add_argument("--measure", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], Path(args.measure[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alphapose-results.json"
        write_file(path, args.megabytes * 10**6)
        seconds = {}
        for reader in ("json.load", "read_detections"):
            command = [sys.executable, __file__, "--measure", reader, str(path)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds[reader], peak_mb = map(float, output.split())
            print(f"{reader}: {seconds[reader]:.2f} s, {peak_mb:.0f} MB at most")
    print(f"ratio: {seconds['read_detections'] / seconds['json.load']:.2f}")
    detections = crowd(args.frames, args.people)
    start_s = time.perf_counter()
    choose_person(detections)
    taken_s = time.perf_counter() - start_s
    print(f"choose_person: {args.frames} frames x {args.people} people in {taken_s:.2f} s")


def write_file(path: Path, num_bytes: int) -> None:
    """Write a file of about `num_bytes` in AlphaPose's format, with eight persons in each frame."""
    generator = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("[")
        for index in range(10**9):
            keypoints = generator.uniform(0, [1920, 1080, 1], (17, 3)).astype(np.float32)
            person = {
                "image_id": f"{index // 8}.jpg", "category_id": 1, "score": 2.9,
                "keypoints": keypoints.ravel().tolist(), "box": [1.0, 2.0, 3.0, 4.0], "idx": [0.0],
            }  # fmt: skip
            file.write((", " if index else "") + json.dumps(person))
            if file.tell() > num_bytes:
                break
        file.write("]")


def measure(reader: str, path: Path) -> None:
    """Print the seconds that a reader takes and the peak memory of this process in MB."""
    start_s = time.perf_counter()
    if reader == "json.load":
        with path.open() as file:
            json.load(file)
    else:
        read_detections(path)
    taken_s = time.perf_counter() - start_s
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss: bytes on macOS, else kB
    print(taken_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def crowd(num_frames: int, num_people: int) -> Detections:
    """Return the detections of people who walk around; one detection in ten is missing."""
    generator = np.random.default_rng(0)
    where = generator.uniform(0, 1500, (num_people, 1, 2))
    where = where + np.cumsum(generator.normal(0, 2, (num_frames, num_people, 1, 2)), axis=0)
    body = generator.normal(0, 30, (num_people, 17, 2))
    points = where + body + generator.normal(0, 2, (num_frames, num_people, 17, 2))
    keypoints = np.concatenate([points, np.full((*points.shape[:3], 1), 0.8)], axis=-1)
    frame = np.repeat(np.arange(num_frames, dtype=np.int32), num_people)
    kept = generator.random(len(frame)) > 0.1
    return Detections(
        frame[kept],
        keypoints.reshape(-1, 17, 3)[kept].astype(np.float32),
        generator.uniform(1, 3, int(kept.sum())).astype(np.float32),
        [""] * num_frames,
    )


if __name__ == "__main__":
    main()
