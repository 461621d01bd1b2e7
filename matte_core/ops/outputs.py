"""Outputs that several operations have."""

from __future__ import annotations

from matte_core.op import Output

PLATE = Output("plate", "plate", "The plate, a description: no pixels are read until they are needed.")
MATTE = Output("matte", "matte", "Alpha in 0..1; 1 = opaque.")
