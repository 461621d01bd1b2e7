"""The command `matte`: thin, every verb of it is a plain function elsewhere."""

import os

# Threads that wait for each other sleep: by default they spin, which takes the cores from reading and writing, and
# many times a network's own work on a busy machine. Read when the library behind torch is loaded, so said before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from matte_core.cli.main import main

__all__ = ["main"]
