"""Portrait: a matte of the picture alone, in the paper's size for a person's own file."""

from matte_core.models.portrait.model import PORTRAIT

__all__ = ["PORTRAIT"]
