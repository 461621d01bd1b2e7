"""ComfyUI's pictures as shots and back: sRGB 0..1, batch of one held, everything else one clear sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from matte_core.errors import UsageError
from matte_core.frame import FrameRange
from matte_core.op import Port
from matte_core.pull import frames

FREE = ("resize_to_plate", "keyframed_guide")  # operations to which another size is no mistake
PORTS = (
    Port("Plate.", "plate", name="plate"),
    Port("Guide.", "matte", name="guide", default=None),
    Port("Gain.", "number", 0, 1, name="gain", default=1.0),
)
RAMP = torch.linspace(0, 1, 3 * 2 * 4 * 3).reshape(3, 2, 4, 3)


@pytest.fixture
def sockets(load: Any) -> Any:
    return load("sockets")


def pictures(shot: Any) -> np.ndarray[Any, Any]:
    return np.stack([frame.pixels for frame in frames(shot)])


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.float64])
def test_an_image_is_a_display_referred_plate_with_its_values_untouched(sockets: Any, kind: torch.dtype) -> None:
    image = RAMP.to(kind)
    image[0, 0, 0] = torch.tensor([-0.5, 2.0, 0.25])
    shot = sockets.shot_of_image(image, FrameRange.parse("1001-1003"))
    assert (shot.kind, shot.header.linear, shot.channels) == ("plate", False, ("R", "G", "B"))
    assert "sRGB" in shot.header.colour_space
    assert (shot.header.data.width, shot.header.data.height) == (4, 2)
    np.testing.assert_array_equal(pictures(shot), image.float().permute(0, 3, 1, 2).numpy())


def test_a_linear_image_is_a_scene_linear_plate(sockets: Any) -> None:
    shot = sockets.shot_of_image(RAMP, FrameRange.parse("1-3"), "linear Rec.709")
    assert shot.header.linear
    assert "Linear" in shot.header.colour_space and "709" in shot.header.colour_space


def test_a_fourth_channel_is_left_out_and_one_channel_is_grey(sockets: Any) -> None:
    numbers = FrameRange([1])
    four = sockets.shot_of_image(torch.cat([RAMP[:1], torch.ones(1, 2, 4, 1)], dim=-1), numbers)
    np.testing.assert_array_equal(pictures(four), RAMP[:1].permute(0, 3, 1, 2).numpy())
    grey = pictures(sockets.shot_of_image(RAMP[:1, ..., :1], numbers))
    np.testing.assert_array_equal(grey, RAMP[:1, ..., :1].permute(0, 3, 1, 2).expand(1, 3, 2, 4).numpy())


@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 4), (1, 1, 2, 4)])
def test_a_mask_may_have_two_three_or_four_dimensions(sockets: Any, shape: tuple[int, ...]) -> None:
    mask = torch.linspace(0, 1, 8).reshape(shape)
    shot = sockets.shot_of_mask(mask, FrameRange([1]))
    assert (shot.kind, shot.channels, shot.header.colour_space) == ("matte", ("A",), "")
    np.testing.assert_array_equal(pictures(shot)[0, 0], mask.reshape(2, 4).numpy())


def test_a_mask_is_clipped_and_may_be_turned_round(sockets: Any) -> None:
    mask = torch.tensor([[-1.0, 0.25, 2.0, float("nan")]])
    np.testing.assert_array_equal(pictures(sockets.shot_of_mask(mask, FrameRange([1])))[0, 0], [[0, 0.25, 1, 0]])
    turned = sockets.shot_of_mask(mask, FrameRange([1]), inverted=True)
    np.testing.assert_array_equal(pictures(turned)[0, 0], [[1, 0.75, 0, 1]])


def test_pictures_made_inside_inference_mode_can_be_pulled_outside(sockets: Any) -> None:
    with torch.inference_mode():
        shot = sockets.shot_of_image(RAMP * 1.0, FrameRange.parse("1-3"))
    assert pictures(shot).shape == (3, 3, 2, 4)


def test_a_shot_that_holds_pictures_is_not_changed_by_what_is_done_to_its_frames(sockets: Any) -> None:
    image = RAMP.clone()
    shot = sockets.shot_of_image(image, FrameRange.parse("1-3"))
    frame = next(iter(frames(shot)))
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 9
    assert torch.equal(image, RAMP)


def test_a_batch_of_one_is_held_for_the_frames_of_the_shot(sockets: Any) -> None:
    plate = sockets.shot_of_image(RAMP, FrameRange.parse("1001-1003"))
    fitted = sockets.fit("Key", PORTS, {"plate": plate, "guide": torch.ones(1, 2, 4), "gain": 0.5})
    assert fitted["plate"] is plate and fitted["gain"] == 0.5
    assert fitted["guide"].frames == plate.frames
    assert pictures(fitted["guide"]).shape == (3, 1, 2, 4)


def test_a_batch_as_long_as_the_shot_takes_its_frame_numbers(sockets: Any) -> None:
    plate = sockets.shot_of_image(RAMP, FrameRange.parse("1001-1005x2"))
    masks = torch.arange(3.0)[:, None, None].expand(3, 2, 4) / 4
    guide = sockets.fit("Key", PORTS, {"plate": plate, "guide": masks})["guide"]
    assert [(f.number, float(f.pixels[0, 0, 0])) for f in frames(guide)] == [(1001, 0.0), (1003, 0.25), (1005, 0.5)]


def test_without_a_shot_the_longest_batch_counts_from_one(sockets: Any) -> None:
    fitted = sockets.fit("Key", PORTS, {"plate": RAMP, "guide": torch.ones(2, 4)})
    assert str(fitted["plate"].frames) == str(fitted["guide"].frames) == "1-3"


def test_another_batch_length_is_one_clear_sentence(sockets: Any) -> None:
    with pytest.raises(UsageError, match=r"^'guide': 2 pictures were given for 3 frames \(1-3\)\. Give one picture"):
        sockets.fit("Key", PORTS, {"plate": RAMP, "guide": torch.ones(2, 2, 4)})


@pytest.mark.parametrize(
    ("name", "picture", "sentence"),
    [
        ("plate", torch.ones(2, 4), r"'plate': a picture of the shape \[2, 4\] is no IMAGE"),
        ("plate", torch.ones(1, 2, 4, 2), r"'plate': a picture of the shape \[1, 2, 4, 2\] is no IMAGE"),
        ("guide", torch.ones(1, 2, 4, 3), r"'guide': a picture of the shape \[1, 2, 4, 3\] is no MASK"),
    ],
)
def test_another_shape_is_one_clear_sentence(sockets: Any, name: str, picture: torch.Tensor, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        sockets.fit("Key", PORTS, {"plate": RAMP, name: picture})


def test_a_matte_where_a_plate_belongs_is_one_clear_sentence(sockets: Any) -> None:
    matte = sockets.shot_of_mask(torch.ones(2, 4), FrameRange([1]))
    with pytest.raises(UsageError, match="Key needs a plate at 'plate' and was given a matte"):
        sockets.fit("Key", PORTS, {"plate": matte})


def test_display_view_of_an_srgb_picture_is_the_picture(sockets: Any) -> None:
    shot = sockets.shot_of_image(RAMP, FrameRange.parse("1-3"))
    for view, atol in (("display", 1e-5), ("unchanged", 0)):
        look = sockets.Look(shot, view)
        np.testing.assert_allclose(look(pictures(shot)[1]), pictures(shot)[1], atol=atol)


def test_linear_view_is_unclipped_and_display_view_is_clipped(sockets: Any) -> None:
    image = torch.full((1, 1, 1, 3), 4.0)
    shot = sockets.shot_of_image(image, FrameRange([1]), "linear Rec.709")
    pixels = pictures(shot)[0]
    np.testing.assert_allclose(sockets.Look(shot, "linear")(pixels), 4.0, rtol=1e-6)
    np.testing.assert_allclose(sockets.Look(shot, "display")(pixels), 1.0, rtol=1e-6)


def test_chosen_frames_are_those_of_the_shot(sockets: Any) -> None:
    shot = sockets.shot_of_image(RAMP, FrameRange.parse("1001-1003"))
    assert str(sockets.chosen(shot, " ", "all")) == "1001-1003"
    assert str(sockets.chosen(shot, "", "first")) == "1001"
    assert str(sockets.chosen(shot, "1002-1003", "all")) == "1002-1003"
    with pytest.raises(UsageError, match=r"frame 1004 is not in the shot \(1001-1003\)"):
        sockets.chosen(shot, "1003-1004", "all")


def test_keyframes_put_in_as_a_mask_batch_are_numbered_by_themselves(load: Any) -> None:
    import matte_core.ops  # noqa: F401  (fills OPS)
    from matte_core.op import OPS

    fitted = load("sockets").fit(
        "Keyframed Guides",
        OPS["keyframed_guide"].ports,
        {"guide": torch.rand(3, 4, 5), "plate": torch.rand(40, 4, 5, 3), "keys": "1,20,40", "between": "hold"},
    )
    assert (str(fitted["guide"].frames), str(fitted["plate"].frames)) == ("1-3", "1-40")
    (guide,) = OPS["keyframed_guide"].call(fitted)
    assert str(guide.frames) == "1-40"


def test_the_empty_mask_of_load_image_is_called_what_it_is(load: Any) -> None:
    plate = torch.rand(1, 128, 128, 3)
    with pytest.raises(UsageError, match="'guide' was given the empty 64x64 MASK that Load Image makes"):
        load("sockets").fit("Key", PORTS, {"plate": plate, "guide": torch.zeros(1, 64, 64)})
    selected = torch.zeros(1, 64, 64)
    selected[0, 3, 3] = 1
    load("sockets").fit("Key", PORTS, {"plate": torch.rand(1, 64, 64, 3), "guide": selected})


def test_a_socket_for_any_picture_tells_an_image_from_a_mask(load: Any) -> None:
    ports = (Port("Any.", "picture", name="picture"), Port("Plate.", "plate", name="plate"))
    plate = torch.rand(2, 4, 5, 3)
    for value, kind in (
        (torch.rand(2, 8, 10, 3), "plate"),
        (torch.rand(2, 8, 10), "matte"),
        (torch.rand(8, 10), "matte"),
    ):
        fitted = load("sockets").fit("Resize", ports, {"picture": value, "plate": plate})
        assert fitted["picture"].kind == kind


def ops_of_two_pictures() -> list[str]:
    """Operations that need two pictures or more of the same frames: keyframes have numbers of their own."""
    import matte_core.ops  # noqa: F401  (fills OPS)
    from matte_core.op import OPS

    kinds = ("plate", "matte", "picture")
    together = {name: op.ports for name, op in OPS.items() if not any(port.keyframes for port in op.ports)}
    return [name for name, ports in together.items() if sum(p.type in kinds and not p.optional for p in ports) > 1]


def tensors(name: str, first: tuple[int, int, int], others: tuple[int, int, int]) -> dict[str, Any]:
    """Tensors for the sockets that an operation needs: (batch, height, width) of the first, and of the others."""
    from matte_core.op import OPS

    made: dict[str, Any] = {}
    for port in OPS[name].ports:
        if port.type in ("plate", "matte", "picture") and not port.optional:
            batch, height, width = others if made else first
            colour = (3,) if port.type in ("plate", "picture") else ()
            made[port.name] = torch.rand(batch, height, width, *colour)
    return made


@pytest.mark.parametrize("name", ops_of_two_pictures())
def test_in_every_operation_a_batch_of_one_is_repeated_and_another_length_is_one_sentence(name: str, load: Any) -> None:
    from matte_core.op import OPS

    fit, op = load("sockets").fit, OPS[name]
    for values in (tensors(name, (3, 8, 8), (1, 8, 8)), tensors(name, (1, 8, 8), (3, 8, 8))):
        fitted = fit(op.title, op.ports, values)
        assert {len(fitted[port.name].frames) for port in op.ports if port.name in values} == {3}
    with pytest.raises(UsageError, match="2 pictures were given for 3 frames"):
        fit(op.title, op.ports, tensors(name, (3, 8, 8), (2, 8, 8)))


@pytest.mark.parametrize("name", [name for name in ops_of_two_pictures() if name not in FREE])
def test_in_every_operation_another_size_is_one_sentence(name: str, load: Any) -> None:
    from matte_core.op import OPS

    op = OPS[name]
    texts = {port.name: "a.####.exr" for port in op.ports if port.type == "text" and not port.optional}
    fitted = load("sockets").fit(op.title, op.ports, tensors(name, (1, 8, 8), (1, 6, 8)))
    with pytest.raises(UsageError, match=r"8x6 and the .* is 8x8|6x8|8x8 and the .* is 8x6"):
        op.call({**fitted, **texts})
