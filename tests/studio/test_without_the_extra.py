"""Studio where its extra is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from matte_core.errors import UsageError
from matte_core.studio import serve


def test_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matte_core.studio.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(UsageError, match=r"needs aiohttp.*pip install 'matte-core\[studio\]'"):
        serve(folder=tmp_path)
