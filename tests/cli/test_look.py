"""`matte info`, `models`, `doctor`: what people and machines are told."""

from __future__ import annotations

import json

from matte_core.models.catalogue import CATALOGUE

from .conftest import Folder, Matte


def test_info_shows_windows_channels_colour_and_timecode(shot: Folder, matte: Matte) -> None:
    answer = matte("info", "plate.1003.exr", "--json")
    facts = json.loads(answer.out)
    assert answer.code == 0
    assert facts["channels"] == ["R", "G", "B"]
    assert "56 x 40 at -4, -4" in json.dumps(facts) and "48 x 32 at 0, 0" in json.dumps(facts)
    assert facts["timecode"] == "01:00:00:19"
    assert facts["colour space"] == "Linear Rec.709 (sRGB) (default for float files)"


def test_info_of_what_is_no_picture_is_one_sentence(shot: Folder, matte: Matte) -> None:
    (shot / "notes.exr").write_text("hello")
    for name in ("notes.exr", "none.exr"):
        answer = matte("info", name)
        assert answer.code == 3
        assert name in answer.sentence and len(answer.error.splitlines()) == 1


def test_models_lists_every_model_with_licence_and_commercial_use(matte: Matte) -> None:
    rows = json.loads(matte("models", "--json").out)
    assert [row["name"] for row in rows] == list(CATALOGUE)
    assert all(row["licence"] and row["commercial_use"] in ("yes", "no") and row["needs"] for row in rows)
    table = matte("models").out
    assert all(name in table for name in CATALOGUE)


def test_doctor_finds_what_a_working_machine_has(matte: Matte) -> None:
    answer = matte("doctor", "--json")
    found = {row["what"]: row for row in json.loads(answer.out)}
    assert answer.code == 0, answer.out
    assert found["colour configuration"]["found"] == "studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
    assert {"torch", "numpy", "OpenImageIO", "device used"} <= set(found)


def test_the_version_is_told(matte: Matte) -> None:
    assert matte("--version").out.startswith("matte, version ")
