"""`python -m matte_core` is the command `matte`."""

from matte_core.cli import main

if __name__ == "__main__":
    main()
