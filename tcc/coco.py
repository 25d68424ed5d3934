"""The 17 joints (keypoints) of COCO in their order, and where other layouts have them."""

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
# Index of the joint that each joint becomes in the mirror image.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
# The two joints of each limb.
LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12),
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
FIRST = tuple(range(17))
# Layouts by the number of their joints: name, and the index of each joint of COCO in them.
LAYOUTS = {
    17: ("COCO", FIRST),
    18: ("OpenPose COCO-18", (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)),
    23: ("COCO with feet", FIRST),
    25: ("OpenPose BODY_25", (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)),
    26: ("Halpe-26", FIRST),
    33: ("MediaPipe", (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)),
    68: ("Halpe-68, without face", FIRST),
    133: ("COCO-WholeBody", FIRST),
    135: ("OpenPose BODY_135", FIRST),
    136: ("Halpe-136", FIRST),
}
# Layouts that lack joints of COCO, or where another layout has the same number of joints.
OTHER_LAYOUTS = {
    13: "Penn Action", 14: "CrowdPose or AIC", 15: "OpenPose MPI", 16: "MPII", 21: "a hand",
    24: "SMPL", 42: "two hands", 70: "a face", 98: "a face", 106: "a face", 308: "Goliath",
}  # fmt: skip
