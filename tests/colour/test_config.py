"""Which configuration is used, and what its identity follows."""

from __future__ import annotations

import os
from pathlib import Path

import PyOpenColorIO as ocio
import pytest

from matte_core import colour
from matte_core.colour import config as configuration
from matte_core.errors import ColourError

from .conftest import STUDIO


def test_the_argument_comes_before_the_environment_and_that_before_the_pinned_one(
    monkeypatch: pytest.MonkeyPatch, studio: colour.Config, tmp_path: Path
) -> None:
    pinned = colour.load_config()
    assert (pinned.identity, pinned.chosen) == (configuration.PINNED[0], False)
    monkeypatch.setenv("OCIO", str(tmp_path / "studio.ocio"))
    assert colour.load_config().identity == studio.identity
    assert colour.load_config(f"ocio://{configuration.PINNED[1]}").identity == configuration.PINNED[1]


def test_opencolorio_keeps_its_remarks_off_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "remarkable.ocio"
    file.write_text(STUDIO + "surprise: 1\n")
    before = ocio.GetLoggingLevel()
    colour.make_view(colour.load_config(str(file)), "show_ap1")
    assert capfd.readouterr() == ("", "")
    assert ocio.GetLoggingLevel() == before


def test_an_older_library_gets_the_older_pinned_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "PINNED", ("studio-config-of-tomorrow", configuration.PINNED[1]))
    assert colour.load_config().identity == configuration.PINNED[1]


@pytest.mark.parametrize("content", [None, "roles: [", "\0\1"])
def test_an_unreadable_configuration_is_named_with_where_its_path_came_from(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.ocio"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ColourError, match=r"--ocio names '.*broken\.ocio'"):
        colour.load_config(str(file))
    monkeypatch.setenv("OCIO", str(file))
    with pytest.raises(ColourError, match=r"^\$OCIO names '.*broken\.ocio'[^\n]*unset \$OCIO\.$"):
        colour.load_config()
    assert capfd.readouterr() == ("", "")


def test_the_identity_follows_the_contents_and_never_the_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "show.ocio").write_text(STUDIO)
    first, second = (colour.load_config(str(tmp_path / folder / "show.ocio")).identity for folder in ("a", "b"))
    assert first == second and str(tmp_path) not in first
    changed = tmp_path / "a" / "show.ocio"
    changed.write_text(STUDIO + "# edited\n")
    os.utime(changed, ns=(1, 1))
    assert colour.load_config(str(changed)).identity != first
