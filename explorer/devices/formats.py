"""Read latency files of other projects: once-for-all's lookup tables (YAML), CSV block tables, CSV of whole networks.

Files are read as plain data (safe YAML without aliases, no pickle) and every entry is checked. The unit is declared or
read from the file, never guessed. Negative, empty or non-numeric values are rejected, with the file and the layer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from explorer.core.errors import InputError, first_line, unknown
from explorer.core.files import read_limited
from explorer.core.layer import ACTIVATIONS, OPERATORS, Layer, round_width
from explorer.core.operators import Conv, GlobalPool, Linear, MBConv
from explorer.core.protocols import SearchSpace
from explorer.core.tables import column_name, network_rows, number_of, read_csv
from explorer.devices.base import LARGEST, Provenance
from explorer.devices.foreign import READ, foreign_columns, foreign_suffix
from explorer.devices.table import BlockTable, block_key

SIZE = 1_000_000  # the numbers of a layer must be below this
UNITS = {"ms": 1.0, "us": 1e-3, "ns": 1e-6, "s": 1e3}
SPELLED = {
    "µs": "us", "μs": "us", "usec": "us", "microseconds": "us", "msec": "ms", "milliseconds": "ms", "sec": "s",
    "seconds": "s", "nanoseconds": "ns",
}  # fmt: skip
OFA_KINDS = (
    "Conv", "expanded_conv", "Conv_1", "AvgPool2D", "Conv_2", "Logits", "first_conv", "MBConv", "final_expand_layer",
    "feature_mix_layer", "classifier",
)  # fmt: skip
USUAL = {"mid": 0, "se": 0, "residual": False, "bn": True}  # defaults of columns that some operators do not have
LAYER_COLUMNS = ("op", "cin", "cout", "size", "kernel", "stride", "mid", "se", "act", "residual", "bn")


@dataclass(frozen=True)
class Block:
    """One entry of a table: what was timed, the image size of its networks (None: any), the latency, and its place."""

    layers: tuple[Layer, ...]  # several where the source does not distinguish their activations
    image: int | None
    latency_ms: float
    where: str


def read_blocks(path: str | Path, unit: str | None = None) -> list[Block]:
    """Read the blocks of a once-for-all YAML file, of a folder of them (one per image size), or of a CSV file.

    Args:
        path: the file or folder.
        unit: unit of the latencies ("ms", "us" or "s"), where the file does not state it; once-for-all's format is in
            ms.

    Raises:
        InputError: the file is unreadable, an entry is not a latency, or the unit is missing or contradicts the file.
    """
    path = Path(path)
    if unit is not None and unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    if path.suffix.lower() in (".csv", ".tsv"):
        blocks = list(_csv_blocks(path, unit))
    elif unit not in (None, "ms"):
        raise InputError(f"{str(path)!r}: unit {unit!r}, but once-for-all's lookup tables are in ms")
    elif path.is_dir():
        blocks = list(_folder(path))
    elif path.suffix.lower() in (".yaml", ".yml"):
        blocks = list(_ofa_blocks(path, None))
    else:
        what = foreign_suffix(path) or "not a latency table"
        raise InputError(f"{str(path)!r} is {what}; expected a .yaml, a .csv, or a folder of .yaml files")
    if not blocks:
        raise InputError(f"{str(path)!r} contains no blocks")
    return blocks


def read_block_table(
    path: str | Path, name: str, unit: str | None = None, uncounted: tuple[str, ...] = ()
) -> BlockTable:
    """Read a latency table as a device.

    Args:
        path, unit: see `read_blocks`.
        name: name of the device.
        uncounted: operators that the source leaves out of its sums, for example ("pool",).

    Raises:
        InputError: see `read_blocks`; or the table has a block twice, with two latencies.
    """
    blocks = read_blocks(path, unit)
    table: dict[str, float] = {}
    places: dict[str, str] = {}
    for block in blocks:
        for layer in block.layers:
            key = block_key(layer, block.image)
            if table.setdefault(key, block.latency_ms) != block.latency_ms:
                raise InputError(
                    f"{places[key]} and {block.where} are the same block {key!r}, with {table[key]:g} and "
                    f"{block.latency_ms:g} ms; keep one of them"
                )
            places.setdefault(key, block.where)
    provenance = Provenance(kind="published", source=Path(path).name, note=f"{len(blocks)} blocks, imported")
    return BlockTable(name, provenance, table, uncounted=uncounted)


# once-for-all's YAML ------------------------------------------------------------------------------------------


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # plain data only


class _Once(LOADER):  # type: ignore[misc]
    """Rejects a key that a mapping has twice, of which YAML's loader silently keeps the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            name, line = key.value, key.start_mark.line + 1
            if isinstance(name, str) and lines.setdefault(name, line) != line:
                raise yaml.YAMLError(f"key {name[:120]!r} is in lines {lines[name]} and {line}")
        made: dict = super().construct_mapping(node, deep)
        return made


def _yaml(text: str) -> Any:
    """Parse YAML; aliases are rejected, because a few of them can expand to gigabytes."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
        raise yaml.YAMLError("aliases (*name) are not read")
    return yaml.load(text, Loader=_Once)


def _folder(path: Path) -> Iterator[Block]:
    """Read `160_lookup_table.yaml`, ...: every file holds the blocks for one image size."""
    for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]):
        number = re.match(r"(\d+)", file.name)
        if not number:
            raise InputError(f"{str(file)!r}: the file name must start with the image size, for example 160_x.yaml")
        yield from _ofa_blocks(file, int(number[1]))


def _ofa_blocks(path: Path, image: int | None) -> Iterator[Block]:
    try:
        table = _yaml(read_limited(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{str(path)!r} is not valid YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(table, dict):
        raise InputError(f"{str(path)!r}: a lookup table is a mapping of layers, not {type(table).__name__}")
    for key, value in table.items():
        mean = value.get("mean") if isinstance(value, dict) else value
        ms = _latency(mean, f"{str(path)!r}, layer {str(key)[:120]!r}")
        yield Block(tuple(ofa_layers(str(key), str(path))), image, ms, f"{str(path)!r}, layer {str(key)[:120]!r}")


def ofa_layers(key: str, source: str = "table") -> list[Layer]:
    """Return the layers that a key of once-for-all's tables describes.

    There are two dialects: `expand` is the number of middle channels where the key has `hs`, otherwise a ratio. A key
    without `hs` applies to both ReLU and h-swish (once-for-all, `latency_lookup_table.py`; NSGANetV2).

    Raises:
        InputError: the text is not such a key.
    """
    op, *fields = key.split("-")
    values = dict(field.split(":", 1) for field in fields if ":" in field)
    try:
        shape_in, shape_out = (values[side].split("x") for side in ("input", "output"))
        size, cin = (int(shape_in[0]), int(shape_in[2])) if len(shape_in) == 3 else (1, int(shape_in[0]))
        cout = int(shape_out[-1])
        acts = ["hswish" if values["hs"] == "1" else "relu"] if "hs" in values else ["relu", "hswish"]
        if op in ("expanded_conv", "MBConv"):
            return [_ofa_block(values, cin, cout, size, act) for act in acts]
        if op in ("Conv", "first_conv"):
            return [Conv(cin, cout, size, 3, 2, act="hswish", name=key)]
        if op in ("Conv_1", "final_expand_layer"):
            return [Conv(cin, cout, size, act="hswish", name=key)]
        if op in ("Conv_2", "feature_mix_layer"):
            return [Conv(cin, cout, 1, act="hswish", bn=False, name=key)]
        if op == "AvgPool2D":
            return [GlobalPool(cin, cout, size, name=key)]
        if op in ("Logits", "classifier"):
            return [Linear(cin, cout, 1, name=key)]
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{source}: layer {key[:120]!r} has a missing or malformed field ({error})") from error
    raise InputError(f"{source}: layer {key[:120]!r} has an unknown kind; choose from: {', '.join(OFA_KINDS)}")


def _ofa_block(values: Mapping[str, str], cin: int, cout: int, size: int, act: str) -> Layer:
    expand = float(values["expand"])
    mid = int(expand) if "hs" in values else round_width(round(cin * expand))
    return MBConv(cin, cout, size, int(values["kernel"]), int(values["stride"]), mid=mid,
        se=round_width(mid // 4) if values.get("se") == "1" else 0, act=act, residual=values["idskip"] == "1",
    )  # fmt: skip


def _latency(value: object, where: str, unit: str = "ms") -> float:
    try:
        number = number_of(value) if isinstance(value, str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 < number * UNITS[unit] <= LARGEST:
        raise InputError(f"{where}: latency {str(value)[:80]!r} is not a number of {unit} above 0")
    return number * UNITS[unit]


# CSV --------------------------------------------------------------------------------------------------------------


def latency_column(columns: list[str], path: Path, column: str | None, unit: str | None) -> tuple[str, str]:
    """Return (column, unit): the unit is part of the name (`latency_ms`, `latency_ms_pixel`), else it must be declared.

    Raises:
        InputError: there is no such column, several without a choice, no unit, or two different units.
    """
    candidates = [c for c in columns if c.startswith("latency")]
    if column is None:
        if len(candidates) != 1:
            raise InputError(f"{str(path)!r} has latency columns {candidates or '(none)'}; name one of {columns}")
        column = candidates[0]
    column = column_name(column)
    if column not in columns:
        raise unknown(f"column of {str(path)!r}", column, columns)
    words = [SPELLED.get(word, word) for word in column.split("_")]
    said = [u for u in UNITS if u in words]
    if unit is None and not said:
        raise InputError(f"{str(path)!r}: column {column!r} does not name its unit; specify one of {', '.join(UNITS)}")
    if unit is not None and unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    if unit is not None and said and said[0] != unit:
        raise InputError(f"{str(path)!r}: column {column!r} is in {said[0]}, not in the declared unit {unit!r}")
    return column, unit or said[0]


def _csv_blocks(path: Path, unit: str | None) -> Iterator[Block]:
    table = read_csv(path)
    if what := foreign_columns(table.columns):
        raise InputError(f"{str(path)!r} is {what}; {READ}")
    column, unit = latency_column(table.columns, path, None, unit)
    missing = [c for c in ("op", "cin", "cout", "size") if c not in table.columns]
    if missing:
        raise InputError(f"{str(path)!r}: a block table needs columns {', '.join(LAYER_COLUMNS)}; it lacks {missing}")
    for row in table.rows:
        layer, image = _csv_layer(row.cells, row.where), _csv_image(row.cells.get("image") or "", row.where)
        ms = _latency(row.cells[column], f"{row.where}, layer {layer.signature!r}", unit)
        yield Block((layer,), image, ms, row.where)


def _csv_image(text: str, where: str) -> int | None:
    if not text.strip():
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text.strip()):
        raise InputError(f"{where}: image {text[:80]!r} is not a size in pixels")
    return int(text)


def _csv_layer(row: Mapping[str, str], where: str) -> Layer:
    try:
        numbers = {c: int(row[c]) for c in ("cin", "cout", "size", "kernel", "stride", "mid", "se") if row.get(c)}
        words = {"1": True, "0": False, "true": True, "false": False}
        flags = {c: words[row[c].lower()] for c in ("residual", "bn") if row.get(c)}
        if row["op"] not in OPERATORS:
            raise unknown("operator", row["op"], OPERATORS)
        act = row.get("act") or "none"
        if act not in ACTIVATIONS:
            raise unknown("activation", act, ACTIVATIONS)
        layer = _layer_of(OPERATORS[row["op"]], {"act": act} | numbers | flags)
        least = {"cin": 1, "cout": 1, "size": 1, "kernel": 1, "stride": 1}
        for name, number in numbers.items():
            if not least.get(name, 0) <= number < SIZE:
                raise ValueError(f"{name} {number} is out of bounds")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{where}: {str(row.get('op'))[:80]!r} is not a layer ({first_line(error)})") from error
    return layer


def _layer_of(kind: type[Layer], values: Mapping[str, Any]) -> Layer:
    """Create a layer from the cells of a CSV row; a column that its operator does not have must hold the default.

    Raises:
        ValueError: such a column holds another value.
    """
    known = {f.name for f in fields(kind)}
    for name in set(values) - known:
        if values[name] != USUAL[name]:
            raise ValueError(f"a {kind.op} has no {name}")
    return kind(**{name: value for name, value in values.items() if name in known})


def read_measurements(
    path: str | Path, space: SearchSpace, column: str | None = None, unit: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read whole networks of a space and their latency from a CSV file.

    A row gives its network by `key`, or by once-for-all's `ks`, `e`, `d` (lists joined with "-") and `resolution`.

    Args:
        path: the file.
        space: the search space of the networks.
        column: name of the latency column, where the file has several.
        unit: unit of the latencies, where the column's name does not state it.

    Returns:
        codes (n, d) int8 and latency (n,) in ms.

    Raises:
        InputError: a row or a column cannot be read; the message names the file and the line.
    """
    path = Path(path)
    columns, rows = network_rows(path, space)
    column, unit = latency_column(columns, path, column, unit)
    codes, latency = [], []
    for where, network, row in rows:
        codes.append(network.choices)
        latency.append(_latency(row[column], where, unit))
    return np.array(codes, np.int8).reshape(-1, len(space.decisions)), np.array(latency)
