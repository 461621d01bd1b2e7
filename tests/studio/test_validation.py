"""Studio refuses what ComfyUI refuses, in the words its page understands."""

from __future__ import annotations

from typing import Any

import pytest

from matte_core.studio.validation import fits

from .page import Page, Studio, node


def source(**changed: Any) -> dict:
    return node("Source", **{"number": 1, "kind": "a", **changed})


SHOW = node("Show", value=["1", 0])
FAULTS = {
    "required_input_missing": ({"1": node("Source", number=1), "2": SHOW}, "1", "kind"),
    "value_not_in_list": ({"1": source(kind="c"), "2": SHOW}, "1", "kind: 'c' not in ['a', 'b']"),
    "value_smaller_than_min": ({"1": source(number=-1), "2": SHOW}, "1", "number"),
    "value_bigger_than_max": ({"1": source(number=11), "2": SHOW}, "1", "number"),
    "invalid_input_type": ({"1": source(number="many"), "2": SHOW}, "1", "number, many"),
    "return_type_mismatch": (
        {"1": node("Numbers"), "2": node("Double", value=["1", 1]), "3": node("Show", value=["2", 0])},
        "2",
        "value, received_type(STRING) mismatch input_type(INT)",
    ),
    "bad_linked_input": ({"2": node("Show", value=["1", 0])}, "2", "value"),
    "custom_validation_failed": (
        {"1": node("Checked", path="gone", size=1)},
        "1",
        "path - gone is not there. Render it.",
    ),
    "dependency_cycle": ({"1": node("Double", value=["1", 0]), "2": SHOW}, "1", "Break the circle."),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faulty_node_is_named_with_its_reason(studio: Studio, fault: str) -> None:
    prompt, where, details = FAULTS[fault]

    async def scenario(page: Page) -> None:
        status, answer = await page.queue(prompt)
        assert status == 400
        assert answer["error"]["type"] == "prompt_outputs_failed_validation"
        assert list(answer["node_errors"]) == [where]
        first = answer["node_errors"][where]["errors"][0]
        assert first["type"] == fault
        assert first["details"].startswith(details)

    studio(scenario)


PROMPTS = {
    "no_prompt": [{}, [], None, "text"],
    "invalid_prompt": [{"1": {"inputs": {}}}, {"1": []}, {"1": {"class_type": "Source", "inputs": []}}],
    "missing_node_type": [{"1": node("KSampler")}],
    "prompt_no_outputs": [{"1": source()}],
}


@pytest.mark.parametrize(("kind", "prompt"), [(kind, prompt) for kind in PROMPTS for prompt in PROMPTS[kind]])
def test_what_is_no_prompt_is_refused(studio: Studio, kind: str, prompt: Any) -> None:
    async def scenario(page: Page) -> None:
        status, answer = await page.queue(prompt)
        assert (status, answer["error"]["type"]) == (400, kind)

    studio(scenario)


@pytest.mark.parametrize("link", [[], ["1"], ["1", 5], ["1", -1], ["1", "0"], ["1", True], [{}, 0], [["1"], 0]])
def test_a_broken_link_is_an_error_at_its_node(studio: Studio, link: list) -> None:
    async def scenario(page: Page) -> None:
        status, answer = await page.queue({"1": source(), "2": node("Show", value=link)})
        assert (status, answer["node_errors"]["2"]["errors"][0]["type"]) == (400, "bad_linked_input")

    studio(scenario)


def test_outputs_without_fault_run_and_the_others_are_told(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {"1": source(), "2": SHOW, "3": source(kind="c"), "4": node("Show", value=["3", 0])}
        await page.connect()
        status, answer = await page.queue(prompt)
        assert status == 200
        assert answer["node_errors"]["3"]["dependent_outputs"] == ["4"]
        events = await page.until_idle()
        assert [event["data"]["node"] for event in events if event["type"] == "executed"] == ["2"]

    studio(scenario)


def test_only_the_wanted_outputs_run(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {"1": source(), "2": SHOW, "3": node("Show", value=["1", 0])}
        events = await page.run(prompt, partial_execution_targets=["3"])
        assert [event["data"]["node"] for event in events if event["type"] == "executed"] == ["3"]

    studio(scenario)


def test_texts_become_the_numbers_that_the_node_takes(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert await page.shown({"1": node("Slow", steps="2")}, "1") == "2"

    studio(scenario)


def test_a_node_that_checks_its_own_inputs_stands_in_for_the_hosts_check(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert await page.shown({"1": node("Checked", path="there", size=9)}, "1") == "9"

    studio(scenario)


def test_a_prompt_with_a_number_that_is_none_is_refused(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        response = await page.client.post("/prompt", data='{"prompt": {"1": {"number": NaN}}}')
        assert response.status == 400

    studio(scenario)


def test_a_union_takes_any_of_its_types() -> None:
    assert fits("MATTE_SHOT", "IMAGE,MATTE_SHOT")
    assert fits("IMAGE", "IMAGE, MATTE_SHOT")
    assert fits("IMAGE", "*")
    assert not fits("MASK", "IMAGE,MATTE_SHOT")
    assert not fits("IMAGE", ["a", "b"])


def test_a_chain_of_two_thousand_nodes_is_no_problem(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        chain = {str(n): node("Double", value=[str(n - 1), 0]) for n in range(1, 1998)}
        prompt = {"0": source(), **chain, "end": node("Failing", value=["1997", 0])}
        verdict = (await page.queue({**prompt, "0": source(kind="c")}))[1]
        assert list(verdict["node_errors"]) == ["0"]

    studio(scenario)
