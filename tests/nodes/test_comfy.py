"""Operations as nodes: what ComfyUI is told of them, how they run, what they refuse, when they run again."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from matte_core.errors import FrameError, OutputError, SourceError, UsageError
from matte_core.io.image import read_pixels
from matte_core.op import POLARITY
from matte_core.shot import Shot


def chain(node: Any, pattern: str, **key: Any) -> Shot:
    """The matte of a plate, as two nodes make it."""
    (plate,) = node("MatteTRead").run(path=pattern, frames="")
    (matte,) = node("MatteTKey").run(plate=plate, **{"gain": 1.0, "width": 3, "soft": True, "model": "good", **key})
    return matte  # type: ignore[no-any-return]


def test_an_input_is_described_with_type_default_range_and_tooltip(node: Any) -> None:
    described = type(node("MatteTKey")).INPUT_TYPES()
    assert described["required"] == {"plate": ("IMAGE,MATTE_SHOT", {"tooltip": "The plate."})}
    assert described["optional"] == {
        "guide": ("MASK,MATTE_SHOT", {"tooltip": f"A guide. {POLARITY}"}),
        "gain": ("FLOAT", {"tooltip": "Gain.", "default": 1.0, "min": 0, "max": 4, "step": 0.01}),
        "width": ("INT", {"tooltip": "Width.", "default": 3, "min": 0, "max": 9, "step": 1}),
        "soft": ("BOOLEAN", {"tooltip": "Soft.", "default": True}),
        "model": (["fast", "good"], {"tooltip": "Model.", "default": "good"}),
    }
    text = type(node("MatteTRead")).INPUT_TYPES()["required"]["path"]
    assert text == ("STRING", {"tooltip": "The files.", "default": "", "multiline": False})


def test_the_widgets_of_a_write_keep_their_places_when_new_ones_are_added(node: Any) -> None:
    described = type(node("MatteTWrite")).INPUT_TYPES()
    assert list(described["required"]) == ["matte", "out"]
    assert next(iter(described["optional"])) == "overwrite"


def test_a_prompt_older_than_a_widget_still_runs_with_its_default(node: Any, plate_files: str) -> None:
    (plate,) = node("MatteTRead").run(path=plate_files)
    (matte,) = node("MatteTKey").run(plate=plate)
    assert matte.parameters["gain"] == 1.0


def test_a_class_says_what_the_search_the_menu_and_the_help_need(load: Any, ops: Any) -> None:
    classes, titles = load("comfy").node_classes(ops)
    read = classes["MatteTRead"]
    assert (titles["MatteTRead"], read.CATEGORY, read.DESCRIPTION) == ("Read", "Matte/Files", "Reads a plate.")
    assert (read.RETURN_TYPES, read.RETURN_NAMES) == (("MATTE_SHOT",), ("plate",))
    assert (read.OUTPUT_TOOLTIPS, read.SEARCH_ALIASES) == (("The plate.",), ["open"])
    assert not read.OUTPUT_NODE and not read.DEPRECATED
    assert classes["MatteTWrite"].OUTPUT_NODE and classes["MatteTWrite"].RETURN_TYPES == ()


def test_a_former_name_is_a_deprecated_class_that_does_the_same(load: Any, ops: Any) -> None:
    classes, titles = load("comfy").node_classes(ops)
    assert classes["MatteTLoad"].DEPRECATED and classes["MatteTLoad"].OP is classes["MatteTRead"].OP
    assert titles["MatteTLoad"] == "Read (old name)"


def test_describing_nodes_read_no_frame(node: Any, plate_files: str, worked: Any) -> None:
    matte = chain(node, plate_files)
    assert str(matte.frames) == "1001-1004"
    assert worked.numbers == []


def test_write_pulls_every_frame_once_and_shows_progress(node: Any, plate_files: str, comfy: Any, worked: Any) -> None:
    said = node("MatteTWrite").run(matte=chain(node, plate_files), out="hero/a.####.exr", overwrite=False)
    files = sorted(comfy.path("output", "hero").iterdir())
    assert [file.name for file in files] == [f"a.{n}.exr" for n in range(1001, 1005)]
    assert float(read_pixels(files[2], ["A"])[0].max()) == pytest.approx(0.3, rel=1e-3)
    assert sorted(worked.numbers) == [1001, 1002, 1003, 1004]
    assert comfy.bars == [[4, 1, 2, 3, 4]]
    assert said["ui"]["text"][0] == "4 frames written, 0 were finished before."
    assert comfy.told == [("7", "\n".join(said["ui"]["text"]))]


def test_write_resumes_and_brings_deleted_frames_back(node: Any, plate_files: str, comfy: Any, worked: Any) -> None:
    write = node("MatteTWrite")
    write.run(matte=chain(node, plate_files), out="a.####.exr")
    comfy.path("output", "a.1002.exr").unlink()
    worked.numbers.clear()
    shutil.rmtree(comfy.path("temp", "matte"))  # as ComfyUI does when it starts: nothing is remembered
    said = write.run(matte=chain(node, plate_files), out="a.####.exr")
    assert worked.numbers == [1002]
    assert said["ui"]["text"][0] == "1 frames written, 3 were finished before."
    states = [type(write).IS_CHANGED(matte=None, out="a.####.exr") for _ in range(2)]
    assert (states[0],) != (states[1],)  # ComfyUI compares containers, so that it runs every time


def test_another_codec_or_a_second_write_does_not_run_the_network_again(
    node: Any, plate_files: str, comfy: Any, worked: Any
) -> None:
    write = node("MatteTWrite")
    write.run(matte=chain(node, plate_files), out="a.####.exr")
    assert sorted(worked.numbers) == [1001, 1002, 1003, 1004]
    write.run(matte=chain(node, plate_files), out="a.####.exr", compression="piz", overwrite=True)
    write.run(matte=chain(node, plate_files), out="b.####.exr")
    assert len(worked.numbers) == 4
    for number in (1001, 1002, 1003, 1004):
        first, second = (read_pixels(comfy.path("output", f"{name}.{number}.exr"), ["A"])[0] for name in "ab")
        assert first.tobytes() == second.tobytes()
    os.utime(comfy.path("input", "plate.1003.exr"), (2_000_000_000, 2_000_000_000))
    write.run(matte=chain(node, plate_files), out="c.####.exr")
    assert worked.numbers[4:] == [1003]  # a plate that changed is keyed again, and no other


def test_files_of_other_settings_are_replaced_only_when_asked(node: Any, plate_files: str, worked: Any) -> None:
    write = node("MatteTWrite")
    write.run(matte=chain(node, plate_files), out="a.####.exr", overwrite=False)
    with pytest.raises(OutputError, match="not made with these settings"):
        write.run(matte=chain(node, plate_files, gain=2.0), out="a.####.exr", overwrite=False)
    worked.numbers.clear()
    write.run(matte=chain(node, plate_files, gain=2.0), out="a.####.exr", overwrite=True)
    assert sorted(worked.numbers) == [1001, 1002, 1003, 1004]


def test_the_error_of_a_frame_names_verb_node_and_frame_and_costs_no_other(
    node: Any, plate_files: str, comfy: Any, worked: Any
) -> None:
    worked.fail_at = 1002
    with pytest.raises(FrameError, match=r"^t key in node 7 \(Key\), frame 1002: it cannot be keyed"):
        node("MatteTWrite").run(matte=chain(node, plate_files), out="a.####.exr")
    written = sorted(file.name for file in comfy.path("output", "").iterdir())
    assert written == ["a.1001.exr", "a.1003.exr", "a.1004.exr"]


def test_the_stop_button_stops_within_a_frame_and_leaves_no_thread_and_no_half_file(
    node: Any, plates: Any, comfy: Any, worked: Any
) -> None:
    pattern = plates(comfy.folder / "input", [0.1] * 40, name="long")
    worked.stop_at = 1003
    before = threading.active_count()
    with pytest.raises(comfy.Interrupted):
        node("MatteTWrite").run(matte=chain(node, pattern), out="a.####.exr")
    assert worked.numbers[-1] == 1003
    assert len(worked.numbers) < 40
    assert threading.active_count() == before
    assert all(file.suffix == ".exr" and len(file.name) == 10 for file in comfy.path("output", "").iterdir())


def test_an_image_and_a_mask_go_straight_into_an_operation(node: Any, comfy: Any) -> None:
    image = torch.full((2, 6, 8, 3), 0.5)
    (matte,) = node("MatteTKey").run(plate=image, guide=torch.ones(6, 8), gain=1.0, width=3, soft=True, model="good")
    node("MatteTWrite").run(matte=matte, out="b.####.exr")
    assert [float(read_pixels(comfy.path("output", f"b.000{n}.exr"), ["A"])[0].max()) for n in (1, 2)] == [0.5, 0.5]


def test_paths_outside_are_refused_in_one_sentence(node: Any, plate_files: str, elsewhere: dict[str, str]) -> None:
    plate = chain(node, plate_files)
    for path, phrase in elsewhere.items():
        for name, values in (
            ("MatteTRead", {"path": path, "frames": ""}),
            ("MatteTWrite", {"matte": plate, "out": path}),
        ):
            with pytest.raises(UsageError, match=re.escape(phrase)):
                node(name).run(**values)


def test_a_folder_of_pictures_is_watched_file_by_file(node: Any, plate_files: str, comfy: Any) -> None:
    read = type(node("MatteTRead"))
    before = read.IS_CHANGED(path=".", frames="")
    os.utime(comfy.path("input", "plate.1003.exr"), ns=(1, 1))
    assert read.IS_CHANGED(path=".", frames="") != before


def test_the_input_folder_is_not_written_to(node: Any, plate_files: str, comfy: Any) -> None:
    with pytest.raises(UsageError, match="may write"):
        node("MatteTWrite").run(matte=chain(node, plate_files), out=str(comfy.path("input", "x.####.exr")))


def test_allowed_roots_open_further_folders(
    node: Any, plates: Any, comfy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    show = tmp_path / "show"
    pattern = plates(show, [0.1], name="hero")
    with pytest.raises(UsageError, match="MATTE_ALLOWED_ROOTS"):
        node("MatteTRead").run(path=f"{show}/{pattern}", frames="")
    monkeypatch.setenv("MATTE_ALLOWED_ROOTS", os.pathsep.join([str(tmp_path / "other"), str(show)]))
    node("MatteTWrite").run(matte=chain(node, pattern), out=f"{show}/matte.####.exr")
    assert (show / "matte.1001.exr").is_file()


def test_a_missing_sequence_says_where_to_put_it(node: Any, comfy: Any) -> None:
    with pytest.raises(SourceError, match=r"none\.####\.exr is not there\. Put it into one of: .*input"):
        node("MatteTRead").run(path="none.####.exr", frames="")


def test_a_reading_node_runs_again_when_one_of_its_files_changes(node: Any, plate_files: str, comfy: Any) -> None:
    read = type(node("MatteTRead"))
    first = read.IS_CHANGED(path=plate_files, frames="")
    assert first == read.IS_CHANGED(path=plate_files, frames="")
    os.utime(comfy.path("input", "plate.1003.exr"), ns=(1, 1))
    second = read.IS_CHANGED(path=plate_files, frames="")
    comfy.path("input", "plate.1004.exr").unlink()
    third = read.IS_CHANGED(path=plate_files, frames="")
    assert len({first, second, third}) == 3
    assert "is not there" in read.IS_CHANGED(path="none.####.exr", frames="")
    assert read.IS_CHANGED(path=None, frames="") == ""


def test_a_node_that_reads_no_file_leaves_caching_to_comfyui(node: Any) -> None:
    assert not hasattr(node("MatteTKey"), "IS_CHANGED")


def test_choices_that_cannot_be_had_do_not_blank_the_page(load: Any) -> None:
    from matte_core.errors import ModelError
    from matte_core.op import Port

    def broken() -> list[str]:
        raise ModelError("no models. Install some.")

    assert load("comfy").input_of(Port("Model.", "choice", choices=broken, name="model", default="good"))[0] == ["good"]


def test_without_comfyui_the_pack_answers_with_plain_things(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = load("host")
    for name in ("folder_paths", "comfy.model_management", "comfy.utils", "server", "comfy_execution.utils"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delenv("MATTE_ALLOWED_ROOTS", raising=False)
    assert host.roots().write == (Path.cwd() / "output", Path.cwd() / "temp")
    assert host.device().type in ("cpu", "cuda", "mps")
    host.ComfyHost().progress(3)(1)
    assert not host.busy()
    host.serve("/nowhere", lambda asked, gone: (b"", ""))
    host.tell("nobody hears it")
    host.ComfyHost().check()
    host.register_models()
    assert host.model_folders() == []
