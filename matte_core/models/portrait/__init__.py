"""Portrait: a matte of the picture alone; small with our weights, and in the paper's size for a file of your own."""

from matte_core.models.portrait.model import PORTRAIT, PORTRAIT_SMALL, PORTRAIT_SMALL_BUDGET

__all__ = ["PORTRAIT", "PORTRAIT_SMALL", "PORTRAIT_SMALL_BUDGET"]
