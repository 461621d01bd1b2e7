"""A pack for the tests of the host: one node for each thing that a host must do right."""

import itertools
import time

import torch
from comfy.model_management import processing_interrupted, throw_exception_if_processing_interrupted
from comfy.utils import ProgressBar

COUNT = itertools.count(1)
NOT_EQUAL_TO_ITSELF = float("nan")


def show(value):
    return {"ui": {"text": [str(value)]}, "result": (value,)}


class Source:
    """Gives how often a source has run so far: an unchanged answer was not computed again."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "run", "test"
    DESCRIPTION, OUTPUT_TOOLTIPS, SEARCH_ALIASES, DEPRECATED = "A source.", ("The count.",), ["origin"], True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"number": ("INT", {"default": 1, "min": 0, "max": 10}), "kind": (["a", "b"], {})},
            "optional": {"name": ("STRING", {"default": ""})},
        }

    def run(self, number, kind, name=""):
        return (next(COUNT),)


class Changing(Source):
    @classmethod
    def IS_CHANGED(cls, number, kind, name=""):
        return float("nan")


class SameNan(Source):
    @classmethod
    def IS_CHANGED(cls, number, kind, name=""):
        return NOT_EQUAL_TO_ITSELF


class Numbers:
    RETURN_TYPES, FUNCTION, OUTPUT_IS_LIST = ("INT", "STRING"), "run", (True, False)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return [1, 2, 3], "one text"


class Double:
    RETURN_TYPES, FUNCTION = ("INT",), "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"forceInput": True})}}

    def run(self, value):
        return (value * 2,)


class Total(Double):
    INPUT_IS_LIST = True

    def run(self, value):
        return (sum(value),)


class Show:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("INT",), "run", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT,STRING", {"forceInput": True})}}

    def run(self, value):
        return show(value)


class Hidden(Show):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "hidden": {"prompt": "PROMPT", "extra": "EXTRA_PNGINFO", "me": "UNIQUE_ID"}}

    def run(self, prompt, extra, me):
        return show([prompt[me]["class_type"], extra, me, torch.is_inference_mode_enabled()])


class Checked(Show):
    """Checks its own path; the host's check of the range is then left out, as in ComfyUI."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"path": ("STRING", {}), "size": ("INT", {"max": 5})}}

    @classmethod
    def VALIDATE_INPUTS(cls, path, size):
        return path == "there" or f"{path} is not there. Render it."

    def run(self, path, size):
        return show(size)


class Slow(Show):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"steps": ("INT", {})}}

    def run(self, steps):
        bar = ProgressBar(steps)
        for _ in range(steps):
            time.sleep(0.01)
            throw_exception_if_processing_interrupted()
            bar.update(1)
        return show(steps)


class Polling(Slow):
    """Shows no progress; asks by itself whether it was stopped."""

    def run(self, steps):
        for _ in range(steps):
            time.sleep(0.01)
            if processing_interrupted():
                throw_exception_if_processing_interrupted()
        return show(steps)


class Failing(Show):
    def run(self, value):
        raise ValueError("plate.1042.exr is missing. Render it again.")


class Broken:
    RETURN_TYPES, FUNCTION = (), "run"

    @classmethod
    def INPUT_TYPES(cls):
        raise RuntimeError("a choice that cannot be listed")


NODE_CLASS_MAPPINGS = {
    node.__name__: node
    for node in (
        Source,
        Changing,
        SameNan,
        Numbers,
        Double,
        Total,
        Show,
        Hidden,
        Checked,
        Slow,
        Polling,
        Failing,
        Broken,
    )
}
NODE_DISPLAY_NAME_MAPPINGS = {"Source": "A Source"}
WEB_DIRECTORY = "./web"
