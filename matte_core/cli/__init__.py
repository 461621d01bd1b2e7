"""The command `matte`: thin, every verb of it is a plain function elsewhere."""

from matte_core.cli.main import main

__all__ = ["main"]
