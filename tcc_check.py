"""Check the clips of one mode: is the right person followed, and in how many frames?

    python3 tcc_check.py --dataset axel --mode train

Reads the clips in data/<motion>/<mode>/. Prints the length, the missed frames and the number of
people of every clip, and which clips you should look at. Writes result/check_<motion>_<mode>.jpg,
which shows the person who is followed in every clip, and a .json with the same numbers. A picture
shows 100 clips; further pictures are named check_<motion>_<mode>_2.jpg and so on.
If labels.csv marks events in at least 4 of the clips, and log/<motion>_checkpoint.pt exists, the
marks are checked too: each is compared with where the marks of the other clips put the event.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
from functools import partial

from tcc.clip_folders import clip_folders
from tcc.contact_sheet import check_and_print
from tcc.files import UserError
from tcc_config import CONFIG

log = logging.getLogger("tcc")
MAX_CLIPS = 200  # whose marks are checked


def main() -> None:
    """Check all clips, draw the sheets, and name the clips that can't be read."""
    parser = cli.parser(__doc__, ["FPS", "SKELETON_CONF_THRESHOLD"], "train", without=("seed",))
    args = cli.parse(parser, CONFIG, None)
    folders = clip_folders(args.data_dir, CONFIG.DATASET, args.mode)
    failed = check_and_print(
        folders, args.result_dir, CONFIG.DATASET, args.mode,
        CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD,
    )  # fmt: skip
    if failed:
        raise UserError(f"{len(failed)} of {len(folders)} clips can't be read: {', '.join(failed)}")
    for doubt in check_marks(args):
        log.warning("%s", doubt)


def check_marks(args: argparse.Namespace) -> list[str]:
    """Return which marks of labels.csv disagree with those of the other clips, in words."""
    needed = (
        args.log_dir / f"{CONFIG.DATASET}_checkpoint.pt",
        args.data_dir / CONFIG.DATASET / "labels.csv",
    )
    if not all(path.exists() for path in needed):
        return []
    from tcc.evaluate.labels import read_labels, shared_events
    from tcc.voting import doubtful_marks
    from tcc_data import load_labelled  # PyTorch takes longest to import
    from tcc_model import embed, load_encoder

    folder = f"{CONFIG.DATASET}/{args.mode}"
    labels = read_labels(args.data_dir, CONFIG.DATASET)
    if not any(mode == args.mode and events for (mode, _), events in labels.items()):
        return []
    names = shared_events(args.data_dir, (folder,))
    encoder, settings, _ = load_encoder(None, args.log_dir, CONFIG, cli.pick_device(args.device))
    clips = load_labelled(args.data_dir, folder, names, MAX_CLIPS, settings, False)
    return doubtful_marks([clip.represent(partial(embed, encoder)) for clip in clips], names)


if __name__ == "__main__":
    cli.run(main)
