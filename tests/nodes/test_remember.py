"""What previews remember: bounded, the least recently used is dropped."""

from __future__ import annotations

from typing import Any


def test_memory_drops_the_least_recently_used_and_keeps_one_that_is_too_large(load: Any) -> None:
    memory = load("remember").Memory(10)
    memory.put("a", 1, 4)
    memory.put("b", 2, 4)
    assert memory.get("a") == 1
    memory.put("c", 3, 4)
    assert [memory.get(key) for key in "abc"] == [1, None, 3]
    memory.put("c", 4, 4)
    assert [memory.get(key) for key in "ac"] == [1, 4]
    memory.put("d", 5, 99)
    assert [memory.get(key) for key in "acd"] == [None, None, 5]
