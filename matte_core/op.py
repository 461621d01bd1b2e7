"""`@op` turns a typed function into an operation: a name, ports, defaults and help, read by every face.

The function stays an ordinary function. Each parameter is annotated `Annotated[type, port(...)]`; a socket is
a Shot or a ModelChoice, a widget a number, a text, a choice or a flag. Node, command and workflow file read the
same ports.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, get_type_hints

from matte_core.errors import UsageError

PortType = Literal["plate", "matte", "shot", "picture", "model", "integer", "number", "text", "flag", "choice"]
Names = Literal["", "read", "write", "config"]  # whether a text names files, and what for
Socket = ("plate", "matte", "shot", "picture", "model")
F = TypeVar("F", bound=Callable[..., Any])
# Said at every socket that takes a MASK, because ComfyUI's Load Image gives 1 - alpha, and 64 x 64 zeros without alpha.
POLARITY = "1 = selected, opaque (Load Image gives its MASK inverted: turn it round with Shot from Mask)."
REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Port:
    """One input: its name, type, default, one rule (range or choices) and one tip."""

    tip: str
    type: PortType = "text"
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: Callable[[], Sequence[str]] | None = None
    keyframes: bool = False  # pictures put into the socket are as many as they are, not one for each frame
    path: Names = ""
    name: str = ""
    default: Any = REQUIRED

    @property
    def is_socket(self) -> bool:
        return self.type in Socket

    @property
    def optional(self) -> bool:
        return self.default is not REQUIRED

    def check(self, value: Any) -> Any:
        """`value` as this port's type. Raises UsageError where the rule does not hold."""
        if self.type in ("integer", "number"):
            return self._number(value)
        if self.type == "flag":
            if not isinstance(value, bool) and str(value).lower() not in ("true", "false", "1", "0"):
                raise UsageError(f"'{self.name}' is on or off, not '{value}'. Write true or false.")
            return value if isinstance(value, bool) else str(value).lower() in ("true", "1")
        if self.type == "choice" and self.choices is not None and value not in self.choices():
            raise UsageError(f"'{value}' is no {self.name}. Choose one of: {', '.join(self.choices())}.")
        return str(value)

    def _number(self, value: Any) -> int | float:
        try:
            number: int | float = int(value) if self.type == "integer" else float(value)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"'{self.name}' must be a number, not '{value}'. Give a number.") from None
        low = -float("inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        if not low <= number <= high:
            raise UsageError(
                f"'{self.name}' is {number}; it must lie between {low:g} and {high:g}. Give such a number."
            )
        return number


@dataclass(frozen=True)
class Output:
    """One output of an operation: its socket, its name and one tip."""

    type: Literal["plate", "matte", "shot", "model", "receipt"]
    name: str
    tip: str


@dataclass(frozen=True)
class Op:
    """An operation as every face sees it."""

    name: str
    title: str
    category: str
    help: str
    ports: tuple[Port, ...]
    outputs: tuple[Output, ...]
    function: Callable[..., Any] = field(repr=False)
    aliases: tuple[str, ...] = ()
    formerly: tuple[str, ...] = ()  # names it had before; old workflows keep working

    def port(self, name: str) -> Port:
        """The port called `name`. Raises UsageError that lists the ports there are."""
        for port in self.ports:
            if port.name == name:
                return port
        known = ", ".join(port.name for port in self.ports)
        raise UsageError(f"{self.title} has no input '{name}'. It has: {known}.")

    @property
    def writes(self) -> bool:
        return any(output.type == "receipt" for output in self.outputs)

    def call(self, values: dict[str, Any]) -> tuple[Any, ...]:
        """Outputs of the operation for checked `values`, shots or choices of a model; missing widgets take their
        defaults."""
        given: dict[str, Any] = {}
        for port in self.ports:
            value = values.get(port.name, port.default)
            if value is REQUIRED:
                raise UsageError(f"{self.title} needs '{port.name}'. {port.tip}")
            given[port.name] = value if port.is_socket else port.check(value)
        for name in values:
            self.port(name)
        made = self.function(**given)
        return made if isinstance(made, tuple) else (made,)


OPS: dict[str, Op] = {}  # every operation by name


def op(
    title: str,
    category: str,
    outputs: Sequence[Output],
    *,
    aliases: Sequence[str] = (),
    formerly: Sequence[str] = (),
) -> Callable[[F], F]:
    """Registers a typed function as an operation; the function itself is returned unchanged."""

    def register(function: F) -> F:
        hints = get_type_hints(function, include_extras=True)
        ports = []
        for name, parameter in inspect.signature(function).parameters.items():
            port = next(extra for extra in hints[name].__metadata__ if isinstance(extra, Port))
            ports.append(replace(port, name=name, default=parameter.default))
        help_text = inspect.cleandoc(function.__doc__ or "")
        OPS[function.__name__] = Op(
            function.__name__,
            title,
            category,
            help_text,
            tuple(ports),
            tuple(outputs),
            function,
            tuple(aliases),
            tuple(formerly),
        )
        return function

    return register


def plate(tip: str) -> Port:
    """A socket for a plate: a shot that knows its colour."""
    return Port(tip, "plate")


def matte(tip: str) -> Port:
    """A socket for a mask, trimap or matte; 1 = selected, opaque."""
    return Port(f"{tip} {POLARITY}", "matte")


def shot(tip: str) -> Port:
    """A socket for any shot."""
    return Port(tip, "shot")


def picture(tip: str) -> Port:
    """A socket for any shot, or an IMAGE or MASK of ComfyUI; 1 = selected, opaque."""
    return Port(f"{tip} {POLARITY}", "picture")


def model(tip: str) -> Port:
    """A socket for a choice of a model, as Load Matting Model gives it."""
    return Port(tip, "model")


def integer(tip: str, low: int, high: int) -> Port:
    """A whole number from `low` to `high`."""
    return Port(tip, "integer", low, high, 1)


def number(tip: str, low: float, high: float, step: float = 0.01) -> Port:
    """A number from `low` to `high`."""
    return Port(tip, "number", low, high, step)


def text(tip: str, path: Names = "") -> Port:
    """A line of text; `path` says that it names files to read or to write, or a colour configuration to read."""
    return Port(tip, "text", path=path)


def flag(tip: str) -> Port:
    """On or off."""
    return Port(tip, "flag")


def choice(tip: str, choices: Callable[[], Sequence[str]]) -> Port:
    """One of several names, asked for when they are needed."""
    return Port(tip, "choice", choices=choices)
