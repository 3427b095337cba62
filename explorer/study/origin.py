"""What a study comes from, as one value: its words and its abilities.

Rooms ask the origin what a number is called and what can be done; none asks which origin it is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where the networks of a study and their accuracies come from.

    Attributes:
        name: "trained", "published" or "pruned".
        generated: what the accuracy of a generated network is: "predicted" or "measured".
        evaluated: the same of the evaluated networks.
        cloud: a sentence on the evaluated networks, with places for `n` of them and for the `rows` that accuracies were
            learned from.
        weights: whose weights its networks have, in two words, "" where there are none.
        exported: the same, for the card of an export.
        has_weights: there are trained weights, and images to measure them on.
        enumerated: its space is a list of networks, each looked up; nothing predicts or generates.
        searched: a search left fronts of predicted accuracy.
        targets: counts that are bounded by a slider, too, before the hardware.
    """

    name: str
    generated: str
    evaluated: str
    cloud: str
    weights: str = ""
    exported: str = ""
    has_weights: bool = True
    enumerated: bool = False
    searched: bool = True
    targets: tuple[str, ...] = ()


TRAINED = Origin(
    "trained", "predicted", "measured", "{n:,} networks were measured with inherited weights on validation images",
    "inherited weights", "inherited from the study's supernet, batch norm recalibrated, no further training",
)  # fmt: skip
PUBLISHED = Origin(
    "published", "predicted", "predicted",
    "The {n:,} points are predictions too, by a predictor of {rows:,} published accuracies", has_weights=False,
)  # fmt: skip
PRUNED = Origin(
    "pruned", "measured", "measured",
    "Its {n:,} networks, each trained alone, were measured on validation images", "weights of their own",
    "its own, trained alone after the pruning", enumerated=True, searched=False, targets=("params_m",),
)  # fmt: skip
