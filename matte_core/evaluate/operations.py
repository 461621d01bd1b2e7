"""How many multiplications with addition a network makes: as torch counts them, and as papers of 2021 did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_ATEN = torch.ops.aten
_NORM, _BILINEAR, _NEAREST = 5, 4, 1  # operations for each value


class Operations:
    """What `counting` has counted: `multiplications`, each with its addition, and `as_in_2021`."""

    multiplications = 0
    as_in_2021 = 0


@contextmanager
def counting() -> Iterator[Operations]:
    """Counts what torch computes inside: convolutions, matrix products, attention.

    `as_in_2021` is what fvcore 0.1.2 to 0.1.5 gave, which papers of those years print as FLOPs: one for each
    multiplication, a transposed convolution as if it were a plain one of its output's size, 5 for each value that is
    normalised, 1 or 4 for each value made by nearest or bilinear enlarging. Sparse products are not counted.
    """
    counted = Operations()
    today = FlopCounterMode(display=False, custom_mapping={_FUSED: _attention})
    then = _Then()
    with then, today:
        yield counted
    counted.multiplications = int(today.get_total_flops()) // 2
    counted.as_in_2021 = counted.multiplications + then.more


class _Then(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What the older way counts beyond today's."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.more = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        extra = _EXTRA.get(function._overloadpacket)
        if extra is not None:
            self.more += extra(args, made)
        return made


def _convolved(args: tuple[Any, ...], made: Tensor) -> int:
    """A transposed convolution makes a product for each input value and weight; then each output value counted."""
    values, weight, transposed = args[0], args[1], args[6]
    return prod(weight.shape) * (prod(made.shape[2:]) - prod(values.shape[2:])) * len(values) if transposed else 0


def _each(cost: int) -> Callable[[tuple[Any, ...], Any], int]:
    def extra(args: tuple[Any, ...], made: Any) -> int:
        return cost * (made if isinstance(made, Tensor) else made[0]).numel()

    return extra


def _attention(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Twice the products of attention with `query` (N, heads, Q, D) and `key` (N, heads, K, D)."""
    products: int = prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
    return 2 * products


_FUSED = _ATEN._scaled_dot_product_flash_attention_for_cpu
_EXTRA: Mapping[Any, Callable[[tuple[Any, ...], Any], int]] = {
    _ATEN.convolution: _convolved,
    _ATEN.native_batch_norm: _each(_NORM),
    _ATEN.cudnn_batch_norm: _each(_NORM),
    _ATEN._native_batch_norm_legit: _each(_NORM),
    _ATEN._native_batch_norm_legit_no_training: _each(_NORM),
    _ATEN.native_layer_norm: _each(_NORM),
    _ATEN.upsample_nearest2d: _each(_NEAREST),
    _ATEN.upsample_bilinear2d: _each(_BILINEAR),
}
