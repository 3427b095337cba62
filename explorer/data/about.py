"""What was found in a folder of photographs: the facts that are shown before anything is trained. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.data.layouts import Skipped


@dataclass(frozen=True)
class Duplicates:
    """Photographs that are in a data set more than once.

    Attributes:
        exact, near: number of pairs with equal pixels, and of pairs that are copies of another size or compression.
        across: "val" or "test" -> number of its photographs of which the training part has a copy; "test in val" ->
            number of test photographs of which the validation part has one.
        two_classes: pairs of files of one photograph in two classes.
        examples: some pairs of files.
    """

    exact: int
    near: int
    across: dict[str, int]
    two_classes: tuple[tuple[str, str], ...] = ()
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class About:
    """What was read from a folder, and how.

    Attributes:
        layout: what was recognised, in words.
        counts: class -> {"train", "val", "test"} -> number of photographs.
        skipped: what was left out, by class, ending and reason.
        empty: class folders without any file.
        duplicates: photographs that are there more than once.
        sizes: "smallest", "median" and "largest" -> (width, height) in pixels.
        deep: darkest and brightest value of images with more than 8 bits, which became 0 and 255; () without such.
    """

    layout: str
    counts: dict[str, dict[str, int]]
    skipped: tuple[Skipped, ...]
    empty: tuple[str, ...]
    duplicates: Duplicates
    sizes: dict[str, tuple[int, int]]
    deep: tuple[float, ...] = ()

    @property
    def images(self) -> int:
        """Number of photographs."""
        return sum(sum(parts.values()) for parts in self.counts.values())

    @property
    def majority(self) -> tuple[str, float]:
        """The class with most photographs and its share of all: the accuracy of a network that always says so."""
        totals = {name: sum(parts.values()) for name, parts in self.counts.items()}
        largest = max(totals, key=lambda name: totals[name])
        return largest, totals[largest] / max(1, self.images)

    def warnings(self) -> list[str]:
        """Say what a user should know before training, one line each."""
        said = [f"{s.count} file(s) left out{_of(s.label)}{_like(s)}: {s.why}" for s in self.skipped]
        said += [f"class folder {name!r} is empty and is left out" for name in self.empty]
        words = {"val": "validation", "test": "test"}
        if both := self.duplicates.across.get("test in val", 0):
            said.append(f"{both} test photographs are also in validation, by which networks are chosen")
        for split in words:
            if n := self.duplicates.across.get(split, 0):
                said.append(
                    f"{n} of {sum(c[split] for c in self.counts.values())} {words[split]} photographs are also in "
                    "training"
                )
        for a, b in self.duplicates.two_classes[:3]:
            said.append(f"one photograph is in two classes: {a} and {b}")
        if len(self.duplicates.two_classes) > 3:
            said.append(f"{len(self.duplicates.two_classes) - 3} more photographs are in two classes")
        for split, word in words.items():
            absent = [name for name, parts in self.counts.items() if not parts[split]]
            if absent and len(absent) < len(self.counts):
                said.append(f"{len(absent)} class(es) have no {word} photograph: {_some(absent)}")
        few = [name for name, parts in self.counts.items() if parts["train"] < FEW]
        if few:
            said.append(f"{len(few)} class(es) have fewer than {FEW} training photographs: {_some(few)}")
        name, share = self.majority
        if share > min(UNEVEN, 2.5 / len(self.counts)):
            said.append(
                f"{share:.0%} of all photographs are of class {name!r}: look at the balanced accuracy and the recall "
                "of every class, and consider balance in the recipe"
            )
        return said

    def as_json(self) -> dict[str, object]:
        """Return the answer of `explorer data info --json`."""
        d = self.duplicates
        return {
            "layout": self.layout, "images": self.images, "classes": self.counts,
            "skipped": [
                {"class": s.label, "ending": s.ending, "count": s.count, "why": s.why, "example": s.example}
                for s in (*self.skipped, *(Skipped(name, "", "the folder is empty", 0) for name in self.empty))
            ],
            "duplicates": {
                "exact": d.exact, "near": d.near, "across": d.across, "two_classes": [list(p) for p in d.two_classes],
                "examples": [list(p) for p in d.examples],
            },
            "sizes": {name: list(size) for name, size in self.sizes.items()},
            "majority": {"class": self.majority[0], "share": self.majority[1]}, "warnings": self.warnings(),
        }  # fmt: skip


UNEVEN = 0.6  # share of the largest class from which accuracy alone says little, even with two classes
FEW = 10  # training photographs of a class below which little can be learned


def _of(label: str) -> str:
    return f" of class {label!r}" if label else ""


def _like(skipped: Skipped) -> str:
    return f" ({skipped.example})" if skipped.count == 1 else f" ({skipped.example}, ...)"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
