"""The few core nodes that Matte's workflows use, under ComfyUI's class names, with its sockets and widgets.

IMAGE is (B, H, W, C), sRGB 0..1; MASK is (B, H, W). LoadImage gives 1 where the picture is transparent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

import torch
from torch import Tensor

from matte_core.studio.folders import Folders, inside
from matte_core.studio.pictures import CHANNELS, SUFFIXES, read_picture, write_png

ALPHA_FIRST = ["alpha", "red", "green", "blue"]
MOST_PIXELS_A_SIDE = 16_384
HIDDEN = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


def core_nodes(folders: Folders) -> tuple[dict[str, type[Any]], dict[str, str]]:
    """Node classes and titles; their files lie in `folders`."""
    classes = {}
    for name, (node, _) in NODES.items():
        members = {"FOLDERS": folders, "__module__": node.__module__}
        classes[name] = type(name, (node,), members)
    return classes, {name: title for name, (_, title) in NODES.items()}


class _CoreNode:
    FOLDERS: ClassVar[Folders]
    FUNCTION = "run"
    CATEGORY = "image"
    RETURN_TYPES: ClassVar[tuple[str, ...]] = ()


class _FromFile(_CoreNode):
    @classmethod
    def files(cls) -> list[str]:
        return sorted(
            file.name
            for file in cls.FOLDERS.of("input").iterdir()
            if file.is_file() and file.suffix.lower() in SUFFIXES
        )

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return cls.FOLDERS.find(image).is_file() or f"Invalid image file: {image}"

    @classmethod
    def IS_CHANGED(cls, image: str, channel: str = "") -> str:
        state = cls.FOLDERS.find(image).stat()
        return f"{state.st_size} {state.st_mtime_ns}"


class _LoadImage(_FromFile):
    RETURN_TYPES = ("IMAGE", "MASK")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": (cls.files(), {"image_upload": True})}}

    def run(self, image: str) -> tuple[Tensor, Tensor]:
        picture = read_picture(self.FOLDERS.find(image))[None]
        return picture[..., :3].clone(), 1 - picture[..., 3]


class _LoadImageMask(_FromFile):
    CATEGORY = "mask"
    RETURN_TYPES = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": (cls.files(), {"image_upload": True}), "channel": (ALPHA_FIRST,)}}

    def run(self, image: str, channel: str) -> tuple[Tensor]:
        picture = read_picture(self.FOLDERS.find(image))[None, ..., CHANNELS.index(channel)]
        return (1 - picture if channel == "alpha" else picture,)


class _EmptyImage(_CoreNode):
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = {"default": 512, "min": 1, "max": MOST_PIXELS_A_SIDE, "step": 1}
        return {
            "required": {
                "width": ("INT", side),
                "height": ("INT", side),
                "batch_size": ("INT", {"default": 1, "min": 1, "max": 4096}),
                "color": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"}),
            }
        }

    def run(self, width: int, height: int, batch_size: int, color: int) -> tuple[Tensor]:
        codes = torch.tensor([color >> 16 & 255, color >> 8 & 255, color & 255])
        return ((codes / 255).expand(batch_size, height, width, 3),)


class _SaveImage(_CoreNode):
    DESCRIPTION = "Saves the input images to Studio's output folder."
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "The images to save."}),
                "filename_prefix": ("STRING", {"default": "ComfyUI", "tooltip": "The prefix of the file's name."}),
            },
            "hidden": HIDDEN,
        }

    def run(
        self, images: Tensor, filename_prefix: str, prompt: Any = None, extra_pnginfo: Any = None
    ) -> dict[str, Any]:
        notes = {"prompt": prompt, **(extra_pnginfo or {})}
        output = self.FOLDERS.of("output")
        place = inside(output, filename_prefix.strip("/") or "ComfyUI")
        place.parent.mkdir(parents=True, exist_ok=True)
        taken = [_counter(file.stem, place.name) for file in place.parent.glob("*.png")]
        first = max(taken, default=0) + 1
        names = [f"{place.name}_{first + index:05}_.png" for index in range(images.shape[0])]
        for picture, name in zip(images, names, strict=True):
            write_png(picture, place.parent / name, notes, compression=4)
        subfolder = place.parent.relative_to(output.resolve()).as_posix().removeprefix(".")
        return _shown(names, subfolder, "output")


class _PreviewImage(_CoreNode):
    DESCRIPTION = "Shows the input images."
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",)}, "hidden": HIDDEN}

    def run(self, images: Tensor, prompt: Any = None, extra_pnginfo: Any = None) -> dict[str, Any]:
        return self.show(images, {"prompt": prompt, **(extra_pnginfo or {})})

    def show(self, images: Tensor, notes: Mapping[str, Any]) -> dict[str, Any]:
        names = [f"preview_{uuid4().hex[:12]}.png" for _ in images]
        for picture, name in zip(images, names, strict=True):
            write_png(picture, self.FOLDERS.temp / name, notes, compression=1)
        return _shown(names, "", "temp")


class _MaskPreview(_PreviewImage):
    DESCRIPTION = "Shows the input masks."
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}, "hidden": HIDDEN}

    def run(self, mask: Tensor, prompt: Any = None, extra_pnginfo: Any = None) -> dict[str, Any]:
        return self.show(_grey(mask), {"prompt": prompt, **(extra_pnginfo or {})})


class _MaskToImage(_CoreNode):
    CATEGORY = "mask"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    def run(self, mask: Tensor) -> tuple[Tensor]:
        return (_grey(mask),)


class _ImageToMask(_CoreNode):
    CATEGORY = "mask"
    RETURN_TYPES = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "channel": (list(CHANNELS),)}}

    def run(self, image: Tensor, channel: str) -> tuple[Tensor]:
        return (image[..., CHANNELS.index(channel)],)


class _InvertMask(_CoreNode):
    CATEGORY = "mask"
    RETURN_TYPES = ("MASK",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    def run(self, mask: Tensor) -> tuple[Tensor]:
        return (1 - mask,)


class _PreviewAny(_CoreNode):
    CATEGORY = "utils"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"source": ("*", {})}}

    def run(self, source: Any = None) -> dict[str, Any]:
        try:
            text = source if isinstance(source, str) else json.dumps(source)
        except (TypeError, ValueError):
            text = str(source)
        return {"ui": {"text": (text,)}}


def _grey(mask: Tensor) -> Tensor:
    """IMAGE (B, H, W, 3) of a MASK (H, W), (B, H, W) or (B, 1, H, W)."""
    return mask.reshape(-1, *mask.shape[-2:])[..., None].expand(-1, -1, -1, 3)


def _counter(stem: str, prefix: str) -> int:
    digits = stem.removeprefix(f"{prefix}_").removesuffix("_")
    return int(digits) if stem.startswith(f"{prefix}_") and digits.isdecimal() else 0


def _shown(names: list[str], subfolder: str, kind: str) -> dict[str, Any]:
    return {"ui": {"images": [{"filename": name, "subfolder": subfolder, "type": kind} for name in names]}}


NODES: dict[str, tuple[type[_CoreNode], str]] = {
    "LoadImage": (_LoadImage, "Load Image"),
    "LoadImageMask": (_LoadImageMask, "Load Image (as Mask)"),
    "EmptyImage": (_EmptyImage, "EmptyImage"),
    "SaveImage": (_SaveImage, "Save Image"),
    "PreviewImage": (_PreviewImage, "Preview Image"),
    "MaskPreview": (_MaskPreview, "MaskPreview"),
    "MaskToImage": (_MaskToImage, "Convert Mask to Image"),
    "ImageToMask": (_ImageToMask, "Convert Image to Mask"),
    "InvertMask": (_InvertMask, "InvertMask"),
    "PreviewAny": (_PreviewAny, "Preview Any"),
}
