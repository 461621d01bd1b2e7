"""Training runs that are stopped in the middle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from matte_core.train import loop

Train = Callable[[Path, bool], Path]


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody watches."""
    assert done <= of, what


@pytest.fixture
def same_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Train, int], None]:
    """Asserts that `train(folder, resume)` ends in the same weights and curve where it dies at a step and goes on."""

    def compare(train: Train, at: int) -> None:
        whole = train(tmp_path / "whole", False)
        real_step, steps = loop.step, []

        def dying_step(*arguments: object) -> dict[str, float]:
            steps.append(1)
            if len(steps) == at:
                raise KeyboardInterrupt
            return real_step(*arguments)  # type: ignore[arg-type]

        with monkeypatch.context() as dying:
            dying.setattr(loop, "step", dying_step)
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path / "killed", False)
        torch.manual_seed(99)
        killed = train(tmp_path / "killed", True)
        first, second = (torch.load(path, weights_only=True) for path in (whole, killed))
        assert all(torch.equal(first[name], second[name]) for name in first)
        curves = [torch.load(tmp_path / run / "last.pt", weights_only=True)["curve"] for run in ("whole", "killed")]
        assert curves[0] == curves[1]

    return compare
