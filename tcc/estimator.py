"""Find the persons in an image with RTMO. rtmlib is imported only when it is used."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError, sha256
from tcc.images import Image

Array = NDArray[np.float32]

RTMO_M = (
    "https://download.openmmlab.com/mmpose/v1/projects/rtmo/onnx_sdk/"
    "rtmo-m_16xb16-600e_body7-640x640-39e78cc4_20231211.zip"
)
INPUT_PX = 640
OVERLAP = 0.45  # boxes with a larger intersection over union show one person


class EstimatorError(UserError):
    """The pose model can't be used, for any video."""


@dataclass(frozen=True, slots=True)
class People:
    """The P persons in an image.

    Attributes:
        keypoints: (P, 17, 3) x px, y px, confidence.
        box: (P, 4) x, y, width, height, px.
        score: (P,) of the detector, in [0, 1].
    """

    keypoints: Array
    box: Array
    score: Array


class Estimator(Protocol):
    """Finds the persons in an image, which it scales to a square of `input_px`."""

    input_px: int

    def load(self) -> dict[str, Any]:
        """Load the model and return what video.json records about it."""

    def __call__(self, image: Image) -> People:
        """Return every person of an image (H, W, 3) uint8 BGR."""


def require_weights(path: Path | None) -> None:
    """Check that the file of the model exists.

    Raises:
        EstimatorError: it does not.
    """
    if path is not None and not path.is_file():
        raise EstimatorError(f"--weights {path}: no such file; check the path")


class Rtmo:
    """RTMO (Lu et al., CVPR 2024, arXiv 2312.07526), run by rtmlib with ONNX Runtime.

    Args:
        weights: the model as .onnx; None: rtmlib downloads RTMO-m into its cache.
        device: auto, cpu, cuda or mps. The number of threads is OMP_NUM_THREADS, or that of
            the cores.
    """

    input_px = INPUT_PX

    def __init__(self, weights: Path | None = None, device: str = "auto") -> None:
        self.weights = weights
        self.device = device

    def load(self) -> dict[str, Any]:
        """Download the weights if needed, load them and return what video.json records about them.

        Raises:
            EstimatorError: rtmlib, the weights, the network or the device is missing.
        """
        path = Path(self._model.onnx_model)
        return {
            "name": path.stem,
            "weights_sha256": sha256(path),
            "device": self._model.device,
            "rtmlib": version("rtmlib"),
            "onnxruntime": sys.modules["onnxruntime"].__version__,
        }

    def __call__(self, image: Image) -> People:
        """Return every person of an image (H, W, 3) uint8 BGR.

        Raises:
            EstimatorError: as in `load`; or the model is not RTMO.
        """
        model = self._model
        prepared, ratio = model.preprocess(image)
        outputs = model.inference(prepared)
        if [output.shape[2:] for output in outputs] != [(5,), (17, 3)]:
            raise EstimatorError(
                f"--weights {self.weights}: not an RTMO model with 17 keypoints; choose one, or "
                "leave --weights out"
            )
        boxes, keypoints = outputs[0][0], outputs[1][0].astype(np.float32)
        keypoints[..., :2] /= ratio
        corner, score = boxes[:, :2] / ratio, boxes[:, 4]
        box = np.concatenate([corner, boxes[:, 2:4] / ratio - corner], axis=1)
        kept = cv2.dnn.NMSBoxes(box.tolist(), score.tolist(), model.score_thr, OVERLAP)
        index = np.asarray(kept, np.int64)
        return People(keypoints[index], box[index], score[index])

    @cached_property
    def _model(self) -> Any:
        try:
            import onnxruntime
            import rtmlib
            from rtmlib.tools.file import download_checkpoint
        except ImportError as error:
            raise EstimatorError(
                f"the Python package {error.name} is missing; run: python3 -m pip install -r "
                "requirements-pose.txt"
            ) from None
        device = self.device
        cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        if device == "auto":
            device = "cuda" if cuda else "cpu"
        elif device == "cuda" and not cuda:
            raise EstimatorError(
                "--device cuda: the installed ONNX Runtime can't use a GPU; run: python3 -m pip "
                "install onnxruntime-gpu, or use --device cpu"
            )
        weights = self.weights
        if weights is None:
            try:
                weights = Path(download_checkpoint(RTMO_M))
            except Exception as error:  # network, disk or archive: the remedy is the same
                raise EstimatorError(
                    f"the pose model is not on this computer and can't be downloaded ({error}); "
                    f"on a computer with internet, download {RTMO_M} and unzip it; copy its file "
                    "end2end.onnx here and add: --weights end2end.onnx"
                ) from None
        require_weights(weights)
        size = (INPUT_PX, INPUT_PX)
        try:
            with redirect_stdout(io.StringIO()):  # rtmlib prints the path
                model = rtmlib.RTMO(str(weights), model_input_size=size, device=device)
        except Exception as error:  # the errors of ONNX Runtime have no common base class
            reason = str(error).splitlines()[0]
            raise EstimatorError(
                f"--weights {weights}: not an ONNX model ({reason}); choose an RTMO model as .onnx"
            ) from None
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdigit():  # of ONNX Runtime, which does not read it, and rtmlib sets no number
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = int(threads)
            used = model.session.get_providers()
            model.session = onnxruntime.InferenceSession(str(weights), options, providers=used)
        return model


@cache
def shared_rtmo(weights: Path | None, device: str) -> Rtmo:
    """Return the model that all jobs in a process share."""
    return Rtmo(weights, device)
