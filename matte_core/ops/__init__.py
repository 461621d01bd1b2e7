"""The operations: what a person can do, as plain functions over shots. Every face reads them from here."""

from matte_core.ops.alpha import (
    DEFAULT_MODEL,
    REACH,
    alpha_in_linear_light,
    estimate_alpha,
    joint_matte,
    load_matting_model,
    refine_matte,
    smooth_matte,
)
from matte_core.ops.colour import despill, estimate_foreground, over, premultiply, unpremultiply
from matte_core.ops.files import read_matte, read_plate, write_plate, write_sequence
from matte_core.ops.guides import (
    GROW,
    SHRINK,
    SOFTNESS,
    TRIMAP_MODEL,
    clean_plate,
    difference_matte,
    estimate_trimap,
    instances_from_masks,
    keyframed_guide,
    resize_to_plate,
    trimap_from_mask,
)
from matte_core.ops.instances import (
    agree_instances,
    instance_colours,
    instance_matte,
    instances_from_cryptomatte,
    instances_from_id_pass,
    pick_instances,
    write_cryptomatte,
)
from matte_core.ops.look import difference
from matte_core.ops.video import propagate_mask, video_matte

__all__ = [
    "DEFAULT_MODEL",
    "GROW",
    "REACH",
    "SHRINK",
    "SOFTNESS",
    "TRIMAP_MODEL",
    "agree_instances",
    "alpha_in_linear_light",
    "clean_plate",
    "despill",
    "difference",
    "difference_matte",
    "estimate_alpha",
    "estimate_foreground",
    "estimate_trimap",
    "instance_colours",
    "instance_matte",
    "instances_from_cryptomatte",
    "instances_from_id_pass",
    "instances_from_masks",
    "joint_matte",
    "keyframed_guide",
    "load_matting_model",
    "over",
    "pick_instances",
    "premultiply",
    "propagate_mask",
    "read_matte",
    "read_plate",
    "refine_matte",
    "resize_to_plate",
    "smooth_matte",
    "trimap_from_mask",
    "unpremultiply",
    "video_matte",
    "write_cryptomatte",
    "write_plate",
    "write_sequence",
]
