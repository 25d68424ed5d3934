"""The encoder: what an embedding may depend on, and that it comes back from a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tcc import checkpoint
from tcc.files import UserError
from tcc_config import Config
from tcc_model import (
    GENERIC,
    Encoder,
    EncoderOptions,
    embed,
    generic_weights,
    load_encoder,
)

FEATURE_SIZE = 6
SIZES = {
    "HIDDEN_SIZE": 8,
    "EMBEDDING_SIZE": 6,
    "KERNEL_SIZE": 3,
    "FINE_LAYERS": 2,
    "FINE_DILATION": 2,
    "COARSE_LAYERS": 2,
    "COARSE_DILATION": 4,
}


def encoder(seed: int = 0, **changes: Any) -> Encoder:
    """An untrained encoder."""
    torch.manual_seed(seed)
    options = replace(Config(**SIZES).fill(EncoderOptions), **changes)  # type: ignore[arg-type]
    return Encoder(FEATURE_SIZE, options).eval()


def features(num_frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Random features (F, 6)."""
    return np.random.default_rng(seed).normal(size=(num_frames, 6)).astype(np.float32)


def test_sizes_and_reach_follow_the_arguments() -> None:
    assert embed(encoder(), features(20)).shape == (20, 6)
    assert (encoder().reach, encoder().coarse_reach) == (1 + 2 + 4 + 4, 4 + 4)
    assert encoder(fine_dilation=1).reach == 1 + 1 + 2 + 4
    assert encoder(kernel_size=5, coarse_layers=1).reach == 2 * (1 + 2 + 4)
    assert embed(encoder(embedding_size=8, coarse_layers=0), features(1)).shape == (1, 8)


def test_each_half_sees_its_reach_and_no_more() -> None:
    model, clip = encoder(), features(60)
    before = embed(model, clip)
    clip[30] += 1
    changed = np.abs(embed(model, clip) - before) > 1e-6
    for half, reach in ((slice(3), model.reach - model.coarse_reach), (slice(3, 6), model.reach)):
        seen = np.flatnonzero(changed[:, half].any(axis=1))
        assert (seen.min(), seen.max()) == (30 - reach, 30 + reach)


@pytest.mark.parametrize("shift", [1, 2, 5, 13])
def test_moving_a_clip_in_time_moves_its_embeddings(shift: int) -> None:
    model, clip = encoder(), features(50)
    late = embed(model, clip[shift:])
    np.testing.assert_allclose(
        late[model.reach :], embed(model, clip)[shift + model.reach :], atol=1e-5
    )


@pytest.mark.parametrize("num_frames", [1, 2, 5, 60])
def test_a_constant_pose_has_one_embedding(num_frames: int) -> None:
    clip = np.repeat(features(1), num_frames, axis=0)
    embeddings = embed(encoder(), clip)
    np.testing.assert_allclose(embeddings, np.repeat(embeddings[:1], num_frames, 0), atol=1e-6)
    np.testing.assert_allclose(embeddings[0], embed(encoder(), clip[:1])[0], atol=1e-6)


def test_padding_of_a_batch_does_not_reach_an_embedding() -> None:
    model = encoder()
    clips = [features(length, seed) for seed, length in enumerate((30, 12, 1))]
    batch = np.stack([np.pad(c, [(0, 30 - len(c)), (0, 0)], "edge") for c in clips])
    with torch.no_grad():
        together = model(torch.from_numpy(batch)).numpy()
    for row, clip in enumerate(clips):
        np.testing.assert_allclose(together[row, : len(clip)], embed(model, clip), atol=1e-5)


def test_clips_of_a_batch_do_not_mix() -> None:
    model = encoder().train()
    batch = torch.from_numpy(np.stack([features(20, 0), features(20, 1)]))
    changed = batch.clone()
    changed[1] *= 3
    torch.testing.assert_close(model(batch)[0], model(changed)[0])


def test_normalized_halves_lie_on_the_unit_sphere() -> None:
    halves = embed(encoder(normalize_embeddings=True), features(20)).reshape(20, 2, 3)
    lengths = np.linalg.norm(halves, axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


def test_same_seed_same_weights() -> None:
    first, again, other = (encoder(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def save(path: Path, model: Encoder, **changes: Any) -> None:
    """Write a checkpoint as tcc_train.py does, as far as the encoder goes."""
    content = {
        "encoder": model.state_dict(),
        "feature_size": FEATURE_SIZE,
        "class_names": {"encoder": "Encoder"},
        "config": asdict(Config(**SIZES)),  # type: ignore[arg-type]
        "motion": "axel",
        "step": 3,
    }
    checkpoint.save(path, {**content, **changes})


def test_saved_and_loaded_encoder_embeds_identically_and_names_the_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "axel_checkpoint.pt"
    model, config = encoder(3), Config(FEATURE_FPS=60.0, SKELETON_CONF_THRESHOLD=0.3)
    before = asdict(config)
    save(path, model)
    loaded, settings, found = load_encoder(None, tmp_path, config, torch.device("cpu"))
    assert found == path
    np.testing.assert_array_equal(embed(loaded, features(30)), embed(model, features(30)))
    assert asdict(config) == before
    trained = {**SIZES, "FEATURE_FPS": 30.0, "SKELETON_CONF_THRESHOLD": 0.2}
    assert asdict(settings) == {**before, **trained}
    different = {name: then for name, then in trained.items() if before[name] != then}
    for name, then in different.items():
        assert f"{name}={then} (now {before[name]})" in caplog.text
    assert caplog.text.count("(now ") == len(different) == 7
    assert len(caplog.messages) == 1
    elsewhere = tmp_path / "other.pt"
    path.rename(elsewhere)
    _, _, found = load_encoder(elsewhere, tmp_path, config, torch.device("cpu"))
    assert found == elsewhere


def test_a_motion_without_a_checkpoint_is_told_of_the_generic_encoder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded, settings, found = load_encoder(None, tmp_path, Config(), torch.device("cpu"))
    assert found == GENERIC
    assert settings == Config()
    assert found.stat().st_size < 2e6
    assert "no checkpoint" in caplog.text
    assert "using the generic encoder, which was trained on synthetic jumps" in caplog.text
    weights = generic_weights(43, Config())
    assert weights is not None
    assert all(torch.equal(weights[name], value) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "starts", "message"),
    [
        ({}, True, ""),
        ({"HIDDEN_SIZE": 8}, False, "random weights: the generic encoder was trained with HIDDEN_"),
        ({"FEATURE_FPS": 60.0}, False, "trained with FEATURE_FPS=30.0 (now 60.0)"),
        ({"SKELETON_CONF_THRESHOLD": 0.5}, True, "SKELETON_CONF_THRESHOLD=0.2 (now 0.5)"),
    ],
)
def test_training_starts_from_the_generic_encoder_only_if_it_fits(
    caplog: pytest.LogCaptureFixture, settings: dict[str, Any], starts: bool, message: str
) -> None:
    assert (generic_weights(43, Config(**settings)) is not None) == starts
    assert message in caplog.text
    assert len(caplog.messages) == bool(message)


def test_the_generic_encoder_of_other_features_is_not_a_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert generic_weights(44, Config()) is None
    assert "trained with other features" in caplog.text


def test_a_checkpoint_of_another_motion_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lutz_checkpoint.pt"
    save(path, encoder())
    config = Config(**SIZES)  # type: ignore[arg-type]
    load_encoder(path, tmp_path, config, torch.device("cpu"))
    assert not caplog.messages
    config.DATASET = "lutz"
    load_encoder(None, tmp_path, config, torch.device("cpu"))
    assert caplog.messages == [f"{path} was trained on axel, not lutz"]


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "axel_checkpoint.pt"

    def load() -> None:
        load_encoder(None, tmp_path, Config(), torch.device("cpu"))

    with pytest.raises(UserError, match=r"no checkpoint lost.pt; run: python3 tcc_train.py --da"):
        load_encoder(Path("lost.pt"), tmp_path, Config(), torch.device("cpu"))
    for content in (b"", b"half a file", GENERIC.read_bytes()[:1000], GENERIC.read_bytes()[:-9]):
        path.write_bytes(content)
        with pytest.raises(
            UserError, match=r"axel_checkpoint.pt is not a complete checkpoint of tcc"
        ):
            load()
    torch.save({"encoder": 1}, path)
    with pytest.raises(UserError, match=r"of tcc_train.py; choose another or train again$"):
        load()
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"can't read checkpoint .*pt: Is a directory; make it"):
        load()
    path.rmdir()
    save(path, encoder(hidden_size=9))
    with pytest.raises(UserError, match=r"weights do not fit Encoder of tcc_model.py"):
        load()
    save(path, encoder(), feature_size=None)
    with pytest.raises(UserError, match=r"made by an earlier version .*train again"):
        load()
    broken = encoder()
    with torch.no_grad():
        next(broken.parameters()).view(-1)[0] = torch.nan
    save(path, broken)
    with pytest.raises(UserError, match="the checkpoint's weights are not finite; train again"):
        load()
    save(path, encoder(), config={})
    with pytest.raises(UserError, match=r"made by an earlier version, without .*FINE_LAYERS"):
        load()


def test_a_broken_write_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "axel_checkpoint.pt"
    save(path, encoder())
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        checkpoint.save(path, {"encoder": lambda: None})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
