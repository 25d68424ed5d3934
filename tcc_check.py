"""Check the clips of one mode: is the right person followed, and in how many frames?

    python3 tcc_check.py --dataset axel --mode train

Reads the clips in data/<motion>/<mode>/. Prints the length, the missed frames and the number of
people of every clip, and which clips you should look at. Writes result/check_<motion>_<mode>.jpg,
which shows the person who is followed in every clip, and a .json with the same numbers. A picture
shows 100 clips; further pictures are named check_<motion>_<mode>_2.jpg and so on.
"""

from __future__ import annotations

from tcc import cli  # isort: split

from tcc.clip_folders import clip_folders
from tcc.contact_sheet import check_and_print
from tcc.files import UserError
from tcc_config import CONFIG


def main() -> None:
    """Check all clips, draw the sheets, and name the clips that can't be read."""
    parser = cli.parser(
        __doc__, ["FPS", "SKELETON_CONF_THRESHOLD"], "train", without=("log-dir", "device", "seed")
    )
    args = cli.parse(parser, CONFIG, None)
    folders = clip_folders(args.data_dir, CONFIG.DATASET, args.mode)
    failed = check_and_print(
        folders, args.result_dir, CONFIG.DATASET, args.mode,
        CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD,
    )  # fmt: skip
    if failed:
        raise UserError(f"{len(failed)} of {len(folders)} clips can't be read: {', '.join(failed)}")


if __name__ == "__main__":
    cli.run(main)
