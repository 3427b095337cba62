"""The card (README) of a study: what it was made from, how accurate its numbers are, and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from explorer.devices import LayerDevice
from explorer.evaluators import Predictor, Scored
from explorer.generators import BudgetGenerator
from explorer.study.manifest import Manifest

if TYPE_CHECKING:
    from explorer.pruning import Snapshot


def study_card(
    manifest: Manifest, devices: Sequence[LayerDevice], scored: Scored, predictor: Predictor,
    generators: Sequence[tuple[BudgetGenerator, float]], outside: Sequence[str], lowered: Predictor | None = None,
) -> str:  # fmt: skip
    """Write the card of a study as Markdown.

    Args:
        manifest: the study's manifest.
        devices, scored, predictor: the study's devices, evaluations and predictor.
        generators: generators with their mean predicted accuracy on held-out budgets, best first.
        outside: one line per device that extrapolates beyond the data it was fitted to; the error of the fit does not
            hold for its costs, so it is not given.
        lowered: the predictor of accuracy in eight bits, if networks were measured in them.
    """
    quality = predictor.quality
    accuracy = _published(manifest, scored) if not manifest.reported else _measured(manifest, scored)
    limits = "".join(f"- {line[0].upper()}{line[1:]}.\n" for line in outside)
    beyond = {d.name for d in devices if any(line.startswith(f"device {d.name!r} ") for line in outside)}
    costs = "\n".join(
        f"| {d.name} | {d.unit} | {d.provenance} | {EXTRAPOLATED if d.name in beyond else _error(d)} |" for d in devices
    )
    made = "\n".join(
        f"| {g.method} | {g.parameters:,} | {margins_of(g)} | {g.about['raw_feasible']:.1%} | {mean:.3%} |"
        for g, mean in generators
    )
    warning = f"\n**{predictor.warning}**\n" if predictor.warning else ""
    return f"""# {manifest.title}

A study of Pareto Explorer: {"one supernet, " * bool(manifest.reported)}one predictor, budget-conditioned generators.

{accuracy}

## Accuracy, predicted

Kendall's tau {quality["kendall_tau"]:.3f} and mean absolute error {quality["mae"]:.2%} on {quality["held_out"]}
held-out networks. Predictions carry a band of +-{quality["half_width"]:.2%}, calibrated to cover {quality["coverage"]:.0%} of
networks drawn as the sample was; networks that a search found by the predictor may do worse than predicted.
{warning}{_in_eight_bits(lowered)}
## Costs

| device | unit | where its numbers come from | error on held-out data |
|---|---|---|---|
{costs}

## Generators

Conditioned on {", ".join(generators[0][0].conditioned)}. The raw network is generated for the budget less the margin; every returned
network is checked against the true cost. The first one is the default: held-out budgets bound one target, or all at once.

| generator | parameters | margin | raw networks within training budgets | mean predicted accuracy on held-out budgets |
|---|---|---|---|---|
{made}

## Limits

- Modelled latencies order networks plausibly; they are not measurements.
{limits}- Accuracies hold for these images and for inherited weights without further training.
"""


def _in_eight_bits(lowered: Predictor | None) -> str:
    if lowered is None:
        return ""
    quality = lowered.quality
    return f"""
## Accuracy in eight bits, predicted

{quality["held_out"]:.0f} networks were measured with eight-bit weights and activations (`evaluations-int8.csv`), as an export has them;
{quality["on_fronts"]:.0%} of them lie on searched fronts. Accuracy changes by {-100 * quality["drop"]:+.2f} points on average, which is predicted within
{100 * quality["drop_mae"]:.2f} points. All of the following is on networks that were held out: mean absolute error of the accuracy
{quality["mae"]:.2%} ({quality["float_mae"]:.2%} by the predictor for float32), Kendall's tau {quality["kendall_tau"]:.3f} ({quality["float_tau"]:.3f}), and a band of
+-{quality["half_width"]:.2%} that covers {quality["coverage"]:.0%}.
"""


def margins_of(generator: BudgetGenerator) -> str:
    """Write a generator's margin, or its range where it grows with the number of bounded devices."""
    low, high = float(generator.margins.min()), float(generator.margins.max())
    return f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"


EXTRAPOLATED = "unknown: extrapolated, see the limits"
CLASSES = 50  # rows of the table of classes


def family_card(manifest: Manifest, devices: Sequence[LayerDevice], family: Sequence[Snapshot]) -> str:
    """Write the card of a pruned family as Markdown.

    Args:
        manifest: the study's manifest.
        devices: the study's devices.
        family: the networks as `Snapshot`s, largest first.
    """
    data = manifest.data
    tested = {r.role: r for r in manifest.reported}
    rows = "\n".join(
        f"| {s.name} | {s.carved.params:,} | {s.carved.masked:,} | {s.remaining['operation']:.0%} | "
        f"{s.remaining['filter']:.0%} | {s.remaining['weight']:.0%} | {s.accuracy:.2%} | {tested[s.name].test:.2%} |"
        for s in family
    )
    costs = "\n".join(f"| {d.name} | {d.unit} | {d.provenance} | {_error(d)} |" for d in devices)
    return f"""# {manifest.title}

A family of networks that one search left, by pruning operations, filters and weights together (Liu et al. 2025, "MG-DARTS"); each was
then trained alone. `pruning.json` has the search, round by round.

| target size | parameters | masked weights | operations kept | filters kept | weights kept | validation | test |
|---|---|---|---|---|---|---|---|
{rows}

Accuracies are **measured**: {data.val:,} validation images, and once {data.test:,} test images of `{data.name}`. Parameters
are those that are not masked. Operations and filters that went are no longer in the networks, and save time everywhere; **masked
weights are zeros in the networks: they save room where a file is compressed, and no time** on the runtimes that this study exports to.

## Costs

| device | unit | where its numbers come from | error on held-out data |
|---|---|---|---|
{costs}

Modelled latencies order networks plausibly; they are not measurements.
"""


def _error(device: LayerDevice) -> str:
    error = device.provenance.error
    if "mape" in error:
        tau = f", tau {error['kendall_tau']:.2f}" if "kendall_tau" in error else ""
        return f"{error['mape']:.1%} mean{tau}"
    return "exact" if device.provenance.kind == "counted" else "unknown"


def _measured(manifest: Manifest, scored: Scored) -> str:
    data, sampled = manifest.data, int(np.sum(scored.source == "sample"))
    balanced = any(r.balanced is not None for r in manifest.reported)  # the first edition did not measure it
    reported = "\n".join(
        f"| {r.role} | `{r.key}` | {r.val:.2%} | {r.test:.2%} |" + f" {r.balanced or 0:.2%} |" * balanced
        for r in manifest.reported
    )
    return f"""## Images

`{data.name}`: {len(data.classes)} classes, {data.channels} x {data.size} x {data.size} pixels;
{data.train:,} training, {data.val:,} validation and {data.test:,} test images, split by seed
{manifest.seed}.{_weights(manifest)}
Every choice was made on validation images; test images were used for the table below only.

## Accuracy, measured with inherited weights

| network | key | validation | test |{" test, balanced |" * balanced}
|---|---|---|---|{"---|" * balanced}
{reported}

{_classes(manifest)}{sampled} sampled networks and {len(scored.accuracy) - sampled} from searched fronts were measured on validation
images (`evaluations.csv`), each with its batch norm recalibrated."""


def _weights(manifest: Manifest) -> str:
    """Say where the weights started, and which photographs are in the study."""
    said = f"\nThe weights started from {manifest.start} and were changed." if manifest.start else ""
    if manifest.data.packed:
        train, val = manifest.data.packed
        said += (
            f"\n`photographs.zip` has {train} of the training and {val} of the validation photographs; what is measured "
            "without the whole data set is measured on these."
        )
    return said


def _classes(manifest: Manifest) -> str:
    """Show every class with its counts and how well it is recognised."""
    data, best = manifest.data, manifest.reported[0]
    if not data.counts:
        return ""
    shown = list(data.counts.items())[:CLASSES]
    rows = "\n".join(
        f"| {name.replace('|', '/')} | {parts['train']:,} | {parts['val']:,} | {parts['test']:,} | "
        f"{f'{best.recall[name]:.1%}' if name in best.recall else ''} |"
        for name, parts in shown
    )
    more = f"\n{len(data.counts) - CLASSES} more classes are in `study.json`.\n" if len(data.counts) > CLASSES else ""
    majority = (
        f"Always naming the largest class gets {data.majority:.2%} of the validation images. " if data.majority else ""
    )
    return f"""{majority}Balanced accuracy is the mean recall of all classes. Recall of the network that is {best.role}:

| class | training | validation | test | recall on test images |
|---|---|---|---|---|
{rows}
{more}
"""


def _published(manifest: Manifest, scored: Scored) -> str:
    data = manifest.data
    return f"""## Where accuracies come from

`{data.name}`: {data.val:,} published rows (top-1 of subnets of a published supernet, without
further training). The predictor was fitted to them; the rows themselves are not part of this study. All
{len(scored.accuracy):,} networks of `evaluations.csv` carry **predicted** accuracy. There are no images and no weights
here: what is exported is untrained, unless a checkpoint of the published supernet is given."""
