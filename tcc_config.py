"""All settings. Edit the defaults here, or change one for a single run: `--set NAME=VALUE`."""

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
    """All settings: name, type and allowed range, default, and what it does."""

    # The motion and its clips
    DATASET: str = "axel"  # name of the motion: a folder in data/
    SEED: Annotated[int, Meta(ge=0, lt=2**32)] = 0  # seed of all random choices
    FPS: Rate = 30.0  # frames per second of clips without times in video.json
    FEATURE_FPS: Rate = 30.0  # frames per second at which all clips are compared
    SKELETON_CONF_THRESHOLD: Share = 0.2  # joints below it are interpolated and not drawn

    # Encoder
    EMBEDDING_SIZE: Annotated[Several, Meta(multiple_of=2)] = 128  # D, numbers in an embedding
    HIDDEN_SIZE: Size = 96  # channels of each convolution
    KERNEL_SIZE: Literal[1, 3, 5, 7, 9] = 3  # kernel size of the convolutions, in frames
    FINE_LAYERS: Size = 3  # convolutions of the fine half, which locates a moment exactly
    FINE_DILATION: Size = 2  # largest dilation of the fine convolutions: 1, 2, 4 ... up to this
    COARSE_LAYERS: Size = 3  # further convolutions of the coarse half, which separates phases
    COARSE_DILATION: Size = 8  # largest dilation of the coarse convolutions

    # Batches
    BATCH_SIZE: Several = 16  # clips in a batch
    NUM_STEPS: Several | None = None  # T, frames sampled per clip; None: from the shortest clip
    MAX_NUM_STEPS: Several = 32  # upper limit if NUM_STEPS is None; more steps take more time

    # Augmentation: random changes of the clips in each batch
    FLIP_PROBABILITY: Share = 0.5  # probability that a batch is mirrored
    MAX_ROTATION: Annotated[float, Meta(ge=0, le=180)] = 15.0  # largest random rotation, degrees
    MAX_SCALE: Share = 0.1  # largest change of the width and of the height; 0.1 is 10 %
    SQUEEZE_PROBABILITY: Share = 0.7  # probability that the width is multiplied by -1 to 1
    MAX_LIFT: Share = 0.3  # largest change of the vertical motion; 0.3 is 30 %
    JITTER: Weight = 0.02  # standard deviation of the noise on the joints, in torso lengths
    JOINT_DROPOUT: Share = 0.1  # probability that a joint is hidden in some frames
    MAX_TIME_WARP: Annotated[float, Meta(ge=1, le=10)] = 1.6  # largest tempo (smallest: 1 / this)
    MIN_CROP: Annotated[float, Meta(gt=0, le=1)] = 0.7  # shortest crop, as a share of the clip

    # Loss
    LOSS_TYPE: Literal[
        "regression_mse_var",
        "regression_mse",
        "regression_huber",
        "classification",
    ] = "regression_mse_var"  # loss of the position that a frame is cycled back to
    STOCHASTIC_MATCHING: bool = False  # use random cycles instead of all ordered pairs of clips
    CYCLE_LENGTH: Several = 2  # number of clips in a random cycle
    NUM_CYCLES: Count = 32  # number of random cycles in a batch
    SIMILARITY_TYPE: Literal["l2", "cosine"] = "l2"  # similarity of two embeddings
    TEMPERATURE: Positive = 0.1  # divides the similarities in both softmaxes
    LABEL_SMOOTHING: Share = 0.1  # classification only: share of the target spread over all frames
    VARIANCE_LAMBDA: Weight = 0.001  # regression_mse_var only: weight of the log variance
    HUBER_DELTA: Positive = 0.1  # regression_huber only: error at which the loss becomes linear
    NORMALIZE_INDICES: bool = True  # positions are shares of the clip (0 to 1) instead of frames
    NORMALIZE_EMBEDDINGS: bool = False  # scale both halves of each embedding to length 1
    TCC_TCN_COMBINE: bool = False  # add the time-contrastive n-pairs loss
    TCN_WEIGHT: Weight = 0.3  # weight of the time-contrastive n-pairs loss

    # Training
    START_FROM_GENERIC: bool = True  # start from the generic encoder if it has the same settings
    GENERIC_WEIGHT: Weight = 3.0  # weight of the squared distance to the generic embeddings
    CONSENSUS_SHARE: Share = 0.4  # share of the training, at its end, that uses aligned clips
    LEARNING_RATE: Positive = 1e-3  # highest learning rate of the one-cycle schedule
    WEIGHT_DECAY: Weight = 1e-4  # weight decay of AdamW
    MAX_NUM_TRAINING_STEPS: Count = 500  # number of training steps; each takes one batch
    SAVE_CKPT_STEPS: Count = 250  # training steps between two checkpoints

    # Use of the embeddings
    NUM_VIDEOS: Annotated[int, Meta(ge=4)] = 4  # largest number of clips in the grid video
    KENDALLS_TAU_STRIDE: Count = 1  # Kendall's tau uses every n-th frame; this is n
    KENDALLS_TAU_DISTANCE: Literal["sqeuclidean", "euclidean", "cosine"] = (
        "sqeuclidean"  # distance of two embeddings in Kendall's tau
    )
    TOP_K: Count = 3  # largest number of starts that are reported

    def fill(self, group: type[Options]) -> Options:
        """Return an instance of the dataclass `group`, with the settings as values of its fields."""
        names = [field.name for field in fields(group)]  # type: ignore[arg-type]
        values: dict[str, Any] = {name: getattr(self, name.upper()) for name in names}
        return group(**values)

    def command_of(self, name: str) -> str:
        """Return the command that uses the setting `name`; of several, the training."""
        after = [command for command, names in AFTER_TRAINING.items() if name in names]
        return after[0] if after else "tcc_train.py"


# Settings that only one command uses, after the training. The training uses all the others.
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
