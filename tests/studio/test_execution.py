"""Studio carries prompts out as ComfyUI does."""

from __future__ import annotations

import asyncio

import pytest

from .page import Page, Studio, node

ENDLESS = 10**6  # steps of a hundredth of a second: only a stop ends them, however slow the machine is


def names(events: list[dict]) -> list[str]:
    return [event["type"] for event in events]


def counting(kind: str = "Source", number: int = 1) -> dict:
    return {"1": node(kind, number=number, kind="a"), "2": node("Show", value=["1", 0])}


def test_the_events_come_in_comfyuis_order(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert (await page.connect())["type"] == "status"
        events = await page.run({"1": node("Slow", steps=2)})
        assert names(events) == [
            "execution_start",
            "execution_cached",
            "executing",
            "progress",
            "progress",
            "executed",
            "execution_success",
            "executing",
        ]
        assert [event["data"]["value"] for event in events if event["type"] == "progress"] == [1, 2]
        assert events[5]["data"]["output"] == {"text": ["2"]}
        assert len({event["data"]["prompt_id"] for event in events}) == 1

    studio(scenario)


def test_what_has_not_changed_is_not_computed_again(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        first = await page.shown(counting(), "2")
        events = await page.run(counting())
        assert next(event for event in events if event["type"] == "execution_cached")["data"]["nodes"] == ["1", "2"]
        assert names(events) == ["execution_start", "execution_cached", "executed", "execution_success", "executing"]
        assert await page.shown(counting(), "2") == first
        assert await page.shown(counting(number=2), "2") != first

    studio(scenario)


def test_a_renumbered_node_is_still_the_same(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        first = await page.shown(counting(), "2")
        renumbered = {"7": node("Source", number=1, kind="a"), "8": node("Show", value=["7", 0])}
        assert await page.shown(renumbered, "8") == first

    studio(scenario)


def test_a_node_whose_fingerprint_is_a_new_nan_runs_every_time(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert await page.shown(counting("Changing"), "2") != await page.shown(counting("Changing"), "2")

    studio(scenario)


def test_one_and_the_same_nan_object_counts_as_unchanged_as_in_comfyui(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert await page.shown(counting("SameNan"), "2") == await page.shown(counting("SameNan"), "2")

    studio(scenario)


def test_freed_memory_is_computed_again(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        first = await page.shown(counting(), "2")
        assert (await page.post("/free", {"unload_models": True}))[0] == 200
        assert await page.shown(counting(), "2") != first

    studio(scenario)


def test_lists_run_a_node_once_for_each_element_or_go_in_whole(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {
            "1": node("Numbers"),
            "2": node("Double", value=["1", 0]),
            "3": node("Show", value=["2", 0]),
            "4": node("Total", value=["2", 0]),
            "5": node("Show", value=["4", 0]),
            "6": node("Show", value=["1", 1]),
        }
        events = await page.run(prompt)
        shown = {
            event["data"]["node"]: event["data"]["output"]["text"] for event in events if event["type"] == "executed"
        }
        assert shown == {"3": ["2", "4", "6"], "5": ["12"], "6": ["one text"]}

    studio(scenario)


def test_hidden_inputs_and_inference_mode_reach_the_node(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        extra = {"extra_pnginfo": {"workflow": {"id": 7}}}
        text = await page.shown({"9": node("Hidden")}, "9", extra_data=extra)
        assert text == "['Hidden', {'workflow': {'id': 7}}, '9', True]"

    studio(scenario)


def test_an_error_is_told_at_its_node_and_the_next_prompt_runs(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {"1": node("Source", number=1, kind="a"), "2": node("Failing", value=["1", 0])}
        events = await page.run(prompt)
        assert names(events)[-2:] == ["execution_error", "executing"]
        error = events[-2]["data"]
        assert (error["node_id"], error["node_type"], error["executed"]) == ("2", "Failing", ["1"])
        assert error["exception_message"] == "plate.1042.exr is missing. Render it again.\n"
        assert error["exception_type"] == "ValueError" and error["traceback"]
        assert "execution_success" in names(await page.run(counting()))

    studio(scenario)


@pytest.mark.parametrize("way", ["interrupt", "cancel"])
def test_a_stop_ends_the_running_prompt_and_no_other(studio: Studio, way: str) -> None:
    async def scenario(page: Page) -> None:
        await page.connect()
        _, answer = await page.queue({"1": node("Slow", steps=ENDLESS)})
        while (await page.event())["type"] != "progress":
            pass
        await page.post("/interrupt", {"prompt_id": "another"})
        assert (await page.event())["type"] in ("progress", "progress_state")
        if way == "interrupt":
            await page.post("/interrupt", {})
        else:
            assert (await page.post(f"/jobs/{answer['prompt_id']}/cancel", {}))[1] == {"cancelled": True}
        events = await asyncio.wait_for(page.until_idle(), 60)
        assert names(events)[-2:] == ["execution_interrupted", "executing"]
        assert events[-2]["data"]["node_id"] == "1"
        _, history = await page.get(f"/history/{answer['prompt_id']}")
        assert history[answer["prompt_id"]]["status"]["completed"] is False
        assert "execution_success" in names(await page.run(counting()))

    studio(scenario)


def test_a_node_may_ask_whether_it_was_stopped(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        await page.connect()
        await page.queue({"1": node("Polling", steps=ENDLESS)})
        while (await page.event())["type"] != "executing":
            pass
        await page.post("/interrupt", {})
        events = await asyncio.wait_for(page.until_idle(), 60)
        assert names(events)[-2:] == ["execution_interrupted", "executing"]

    studio(scenario)


def test_a_waiting_prompt_can_be_taken_out_and_another_put_in_front(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        await page.connect()
        ids = [(await page.queue({"1": node("Slow", steps=ENDLESS)}))[1]["prompt_id"]]
        while (await page.event())["type"] != "progress":
            pass  # it runs: nothing is put in front of it any more
        ids += [(await page.queue({"1": node("Slow", steps=count)}))[1]["prompt_id"] for count in (1, 2)]
        front = (await page.queue({"1": node("Slow", steps=3)}, front=True))[1]["prompt_id"]
        _, queue = await page.get("/queue")
        assert [item[1] for item in queue["queue_running"]] == ids[:1]
        assert [item[1] for item in queue["queue_pending"]] == [front, *ids[1:]]
        await page.post("/queue", {"delete": [ids[1]]})
        await page.post("/interrupt", {})
        for _ in range(3):
            await page.until_idle()
        _, history = await page.get("/history")
        assert list(history) == [ids[0], front, ids[2]]

    studio(scenario)


def test_history_and_jobs_tell_what_became_of_a_prompt(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        await page.run(counting())
        await page.run({"1": node("Source", number=1, kind="a"), "2": node("Failing", value=["1", 0])})
        _, history = await page.get("/history?max_items=1")
        (last,) = history.values()
        assert last["status"]["status_str"] == "error"
        _, listed = await page.get("/jobs?limit=1&sort_order=asc")
        assert listed["pagination"] == {"offset": 0, "limit": 1, "total": 2, "has_more": True}
        assert listed["jobs"][0]["status"] == "completed"
        _, failed = await page.get("/jobs?status=failed")
        identifier = failed["jobs"][0]["id"]
        assert failed["jobs"][0]["execution_error"]["node_id"] == "2"
        _, whole = await page.get(f"/jobs/{identifier}")
        assert whole["workflow"]["prompt"]["2"]["class_type"] == "Failing"
        await page.post("/history", {"clear": True})
        assert (await page.get(f"/jobs/{identifier}"))[0] == 404

    studio(scenario)
