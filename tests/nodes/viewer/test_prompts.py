"""The viewer beside prompts: who has the device, and who waits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from matte_core.errors import Cancelled

from .conftest import here, keyed


class Prompts:
    """ComfyUI's queue; whether a prompt runs is set by the test."""

    running = 0

    def get_tasks_remaining(self) -> int:
        return self.running


@pytest.fixture
def prompts(comfy: Any, load: Any) -> Prompts:
    queue = Prompts()
    load("host")._server().prompt_queue = queue
    return queue


def test_while_a_prompt_runs_only_what_needs_no_device_is_computed(
    node: Any, plate_files: str, opened: Any, load: Any, prompts: Prompts, worked: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    prompts.running = 1
    with pytest.raises(load("host").Busy, match="A prompt is running"):
        ask("picture", look="alpha", frame=1002)
    assert worked.numbers == [1001]
    ask("picture", look="rgb", frame=1002)
    ask("picture", look="alpha", frame=1001)
    prompts.running = 0
    ask("picture", look="alpha", frame=1002)
    assert worked.numbers == [1001, 1002]


def test_the_page_neither_moves_the_progress_bar_nor_hears_the_stop_button(
    node: Any, plate_files: str, opened: Any, comfy: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    bars = len(comfy.bars)
    comfy.interrupted = True
    ask("picture", look="alpha", frame=1002)
    assert len(comfy.bars) == bars and comfy.interrupted


def test_what_nobody_waits_for_any_more_is_not_computed(node: Any, plate_files: str, opened: Any, worked: Any) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    with pytest.raises(Cancelled):
        ask("picture", gone=lambda: True, look="alpha", frame=1002)
    assert worked.numbers == [1001]


def test_pages_compute_one_after_the_other_and_a_prompt_waits_for_the_frame_under_way(load: Any, comfy: Any) -> None:
    host, order, inside = load("host"), list[str](), threading.Event()

    def page() -> None:
        with host.BesidePrompts(here).turn(True):
            inside.set()
            order.append("page begins")
            leave.wait(5)
            order.append("page ends")

    def prompt() -> None:
        with host.ComfyHost().turn(True):
            order.append("prompt")

    leave = threading.Event()
    threads = [threading.Thread(target=work) for work in (page, prompt)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    assert order == ["page begins"]
    leave.set()
    for thread in threads:
        thread.join(5)
    assert order == ["page begins", "page ends", "prompt"]


def test_a_prompt_that_starts_takes_the_device_from_the_page_at_the_next_step(load: Any, prompts: Prompts) -> None:
    host = load("host")
    beside = host.BesidePrompts(here)
    with beside.turn(True):
        beside.check()
        prompts.running = 1
        with pytest.raises(host.Busy):
            beside.check()
    beside = host.BesidePrompts(here)
    with beside.turn(False):
        beside.check()  # reading a file takes nothing from a prompt
