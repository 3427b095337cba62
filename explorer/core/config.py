"""Recipes: read TOML, return checked values.

A recipe is a TOML file. Each stage's settings are a pydantic model, defined next to the code that uses them. This
module only reads TOML, rejects what a model does not accept, and reports the first problem in one line.
"""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from explorer.core.errors import InputError, first_line

M = TypeVar("M", bound="Settings")


class Settings(BaseModel):
    """Base class of every stage's settings: immutable; unknown keys and infinite or NaN numbers are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: the file is missing, larger than 1 MB, or not TOML; the message names the file.
    """
    path = Path(path)
    try:
        if path.stat().st_size > 1_000_000:
            raise InputError(f"recipe {str(path)!r} has {path.stat().st_size:,} bytes; a recipe has at most 1,000,000")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read recipe {str(path)!r}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"recipe {str(path)!r} is not valid TOML: {first_line(error)}") from error


def parse(model: type[M], values: object, source: str) -> M:
    """Validate values against a settings model.

    Args:
        model: the settings model.
        values: what was read, usually a dictionary.
        source: where the values come from, for the error message.

    Raises:
        InputError: one line with the source, the first bad key, its value and what is allowed.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{source}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel], within: str = "") -> str:
    """Describe the first validation error in one line: key, value and what is allowed.

    Args:
        error: the error that the model raised.
        model: the model that raised it.
        within: key of the section that was validated; "" for the whole recipe.
    """
    first = error.errors()[0]
    where = ".".join(filter(None, (within, *map(str, first["loc"]))))
    if first["type"] == "extra_forbidden":
        inner: Any = model
        for part in first["loc"][:-1]:
            field = inner.model_fields.get(part) if hasattr(inner, "model_fields") else None
            inner = field.annotation if field else None
        known = ", ".join(inner.model_fields) if hasattr(inner, "model_fields") else "(see the recipes shipped)"
        return f"unknown key {where!r}; choose from: {known}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"] and not within:  # the error concerns several keys together
        return message
    try:
        value = str(first["input"])[:80]
    except ValueError:  # an integer with more digits than Python converts to text
        value = "an integer with too many digits to show"
    return f"{where} = {value!r}: {message}"
