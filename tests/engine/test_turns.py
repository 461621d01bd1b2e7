"""Steps side by side within the memory there is."""

from __future__ import annotations

import threading

from matte_core.engine.turns import Turns


def test_a_step_that_fits_beside_another_goes_on_beside_it() -> None:
    turns = Turns()
    with turns.turn(40, lambda: 100), turns.turn(60, lambda: 100):
        pass


def test_a_step_that_does_not_fit_beside_another_waits_for_its_end() -> None:
    turns, begun = Turns(), threading.Event()

    def second() -> None:
        with turns.turn(61, lambda: 100):
            begun.set()

    thread = threading.Thread(target=second)
    with turns.turn(40, lambda: 100):
        thread.start()
        assert not begun.wait(0.2)
    assert begun.wait(10)
    thread.join()


def test_a_step_alone_never_waits_and_nobody_waits_where_the_memory_is_not_known() -> None:
    turns = Turns()
    with turns.turn(1000, lambda: 1):
        pass
    with turns.turn(1000, lambda: None), turns.turn(1000, lambda: None):
        pass
