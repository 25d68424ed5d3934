"""Every setting. Edit the defaults here, or give `--set NAME=VALUE` to any command."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=10**6)]
Size = Annotated[int, Meta(ge=1, le=4096)]
Several = Annotated[int, Meta(ge=2, le=4096)]
Positive = Annotated[float, Meta(gt=0, le=1e30)]
Weight = Annotated[float, Meta(ge=0, le=1e30)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(ge=1, le=1000)]
Options = TypeVar("Options")


@dataclass(slots=True)
class Config:
    """Settings: name, type with its range, default, what it is."""

    # The motion and its clips
    DATASET: str = "axel"  # the motion: a folder of data/
    SEED: Annotated[int, Meta(ge=0, lt=2**32)] = 0  # of everything random
    FPS: Rate = 30.0  # frames per second of clips that have no video.json with timestamps
    FEATURE_FPS: Rate = 30.0  # rate at which clips are compared, whatever their own
    SKELETON_CONF_THRESHOLD: Share = 0.2  # joints below it are interpolated and not drawn

    # Encoder
    EMBEDDING_SIZE: Annotated[Several, Meta(multiple_of=2)] = 128  # D, half fine, half coarse
    HIDDEN_SIZE: Size = 96  # channels of each convolution
    KERNEL_SIZE: Literal[1, 3, 5, 7, 9] = 3  # frames under one convolution
    FINE_LAYERS: Size = 3  # convolutions below the fine half; they tell the moment
    FINE_DILATION: Size = 2  # their dilation doubles up to this
    COARSE_LAYERS: Size = 3  # convolutions above them; they tell phases that look alike apart
    COARSE_DILATION: Size = 8  # their dilation goes on doubling up to this

    # Batches
    BATCH_SIZE: Several = 16  # clips in a batch
    NUM_STEPS: Several | None = None  # T, frames drawn from a clip; None: from the data
    MAX_NUM_STEPS: Several = 32  # bound of NUM_STEPS from the data; it sets the time

    # Augmentation, new for each clip of each batch
    FLIP_PROBABILITY: Share = 0.5  # of mirroring the whole batch, left and right swapped
    MAX_ROTATION: Annotated[float, Meta(ge=0, le=180)] = 15.0  # degrees, in the image plane
    MAX_SCALE: Share = 0.1  # share by which a skater grows or shrinks
    SQUEEZE_PROBABILITY: Share = 0.7  # of scaling a clip's width by -1 to 1, for other cameras
    MAX_LIFT: Share = 0.3  # share by which rising and falling grow or shrink
    JITTER: Weight = 0.02  # standard deviation of a joint's position, torso lengths
    JOINT_DROPOUT: Share = 0.1  # probability that a joint is hidden for a while
    MAX_TIME_WARP: Annotated[float, Meta(ge=1, le=10)] = 1.6  # tempo between 1 / this and this
    MIN_CROP: Annotated[float, Meta(gt=0, le=1)] = 0.7  # shortest random crop, share of the clip

    # Loss
    LOSS_TYPE: Literal[
        "regression_mse_var", "regression_mse", "regression_huber", "classification"
    ] = "regression_mse_var"  # of the cycled-back position
    STOCHASTIC_MATCHING: bool = False  # random cycles instead of all ordered pairs
    CYCLE_LENGTH: Several = 2  # clips in a random cycle
    NUM_CYCLES: Count = 32  # random cycles in a batch
    SIMILARITY_TYPE: Literal["l2", "cosine"] = "l2"  # of two embeddings
    TEMPERATURE: Positive = 0.1  # of both softmaxes
    LABEL_SMOOTHING: Share = 0.1  # classification only
    VARIANCE_LAMBDA: Weight = 0.001  # regression_mse_var only, weight of the log variance
    HUBER_DELTA: Positive = 0.1  # regression_huber only
    NORMALIZE_INDICES: bool = True  # positions as share of the clip
    NORMALIZE_EMBEDDINGS: bool = False  # every embedding on the unit sphere
    TCC_TCN_COMBINE: bool = False  # add the time-contrastive n-pairs loss
    TCN_WEIGHT: Weight = 0.3  # its weight

    # Training
    START_FROM_GENERIC: bool = True  # start from the generic encoder if it has these sizes
    GENERIC_WEIGHT: Weight = 3.0  # of the squared distance to the generic embeddings
    CONSENSUS_SHARE: Share = 0.4  # of the batches, the last ones: frames that align are contrasted
    LEARNING_RATE: Positive = 1e-3  # peak of the one-cycle schedule
    WEIGHT_DECAY: Weight = 1e-4  # of AdamW
    MAX_NUM_TRAINING_STEPS: Count = 500  # batches
    SAVE_CKPT_STEPS: Count = 250  # batches between two checkpoints

    # Reading the embeddings
    NUM_VIDEOS: Annotated[int, Meta(ge=4)] = 4  # most clips in the grid video
    KENDALLS_TAU_STRIDE: Count = 1  # every how many frames tau looks
    KENDALLS_TAU_DISTANCE: Literal["sqeuclidean", "euclidean", "cosine"] = (
        "sqeuclidean"  # of embeddings
    )
    TOP_K: Count = 3  # start candidates that are reported

    def fill(self, group: type[Options]) -> Options:
        """Return a dataclass of options, each filled from the setting of the same name."""
        names = [field.name for field in fields(group)]  # type: ignore[arg-type]
        values: dict[str, Any] = {name: getattr(self, name.upper()) for name in names}
        return group(**values)


# Settings that one command reads, which uses the trained encoder. Training reads all the others.
AFTER_TRAINING = {
    "tcc_align.py": ("NUM_VIDEOS",),
    "tcc_get_kendalls_tau.py": ("KENDALLS_TAU_STRIDE", "KENDALLS_TAU_DISTANCE"),
    "tcc_get_start.py": ("TOP_K",),
}
TRAINING = tuple(
    field.name
    for field in fields(Config)
    if not any(field.name in names for names in AFTER_TRAINING.values())
)

CONFIG = Config()
