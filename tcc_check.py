"""Check the clips of one mode: is the right person followed, and are lengths and gaps all right?

    python3 tcc_check.py --dataset axel --mode train

Prints every clip's length, missed frames and people, names the clips to look at, and writes
result/check_<motion>_<mode>.jpg, where the person who is followed in every clip is drawn (100 clips
a sheet, then ..._2.jpg), and .json. Reads data/<motion>/<mode>/*/.
"""

from __future__ import annotations

from tcc import cli
from tcc.clips import clip_folders
from tcc.contact_sheet import check_and_print
from tcc.files import UserError
from tcc_config import CONFIG


def main() -> None:
    """Check every clip, draw the sheet, name what can't be read."""
    parser = cli.parser(__doc__, settings=["SKELETON_CONF_THRESHOLD"], mode="train")
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
