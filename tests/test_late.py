"""Libraries that are loaded at their first use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from matte_core.late import late


def test_a_late_library_is_loaded_when_one_of_its_names_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seldom_used.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    library = late("seldom_used")
    assert "seldom_used" not in sys.modules
    assert library.answer == 42
    assert sys.modules.pop("seldom_used").answer == 42


def test_a_late_library_that_is_not_installed_says_so_at_its_first_use() -> None:
    library = late("not_installed_anywhere")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        _ = library.answer
