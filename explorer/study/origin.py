"""The origin of a study: the wording of its numbers and its capabilities, as one value.

Other modules read from the origin how to name a number and what is possible; none of them branches on which origin it
is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where the networks of a study and their accuracies come from.

    Attributes:
        name: "trained", "published" or "pruned".
        generated: how the accuracy of a generated network is obtained: "predicted" or "measured".
        evaluated: how the accuracies of the evaluated networks are obtained: "predicted" or "measured".
        cloud: format string of a sentence on the evaluated networks; `n` is their number, `rows` the number of
            accuracies that the predictor was fitted to.
        weights: short description of the networks' weights, "" if there are none.
        exported: description of the weights for the card of an export.
        has_weights: whether there are trained weights, and images to measure accuracy on.
        enumerated: whether the space is a list of networks that are looked up, without predictor or trained generator.
        searched: whether a search found fronts by predicted accuracy.
        targets: counts (such as parameters) that are targets too; they come before the hardware targets.
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
    "The {n:,} points are predictions too, by a predictor fitted to {rows:,} published accuracies", has_weights=False,
)  # fmt: skip
PRUNED = Origin(
    "pruned", "measured", "measured",
    "Its {n:,} networks, each trained alone, were measured on validation images", "individually trained weights",
    "its own, trained alone after the pruning", enumerated=True, searched=False, targets=("params_m",),
)  # fmt: skip
