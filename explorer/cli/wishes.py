"""What a user asks of a study: budgets, boards and architectures; and networks and checks in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explorer.core.errors import InputError
from explorer.core.tables import number_of

if TYPE_CHECKING:
    from explorer.core.front import Candidate
    from explorer.study import Study


def parse_budget(items: list[str] | None) -> dict[str, float]:
    """`["mobile=5"]` -> `{"mobile": 5.0}`.

    Raises:
        InputError: an item is not DEVICE=NUMBER, or a device is named twice.
    """
    budget: dict[str, float] = {}
    for item in items or []:
        name, sign, text = item.partition("=")
        try:
            value = number_of(text)
        except ValueError:
            sign = ""
        if not sign or not name:
            raise InputError(f"budget {item!r} is not DEVICE=NUMBER, for example mobile=0.5")
        if name in budget:
            raise InputError(f"budget {item!r}: device {name!r} has two budgets")
        budget[name] = value
    return budget


def asked(
    study: Study, items: list[str] | None, generator: str | None, accuracy: float | None = None,
    device: str | None = None,
) -> tuple[Candidate, str]:  # fmt: skip
    """Return the network that a generator gives for budgets, or for an accuracy, and what of that is not reachable.

    Raises:
        InputError: neither a budget nor an accuracy is given, or a device without an accuracy.
    """
    budget = parse_budget(items)
    if accuracy is not None:
        found = study.cheapest(accuracy, device, budget, generator)
        return found, "" if found.feasible else study.unreached_line(accuracy, found, budget)
    if device is not None:
        raise InputError(
            f"device {device!r}: --device can only be used with --accuracy; a budget is --budget {device}=…"
        )
    if not budget:
        raise InputError(f"no budget given; for example --budget {study.targets[0]}={study.knee(study.targets[0]):.3g}")
    found = study.generate(budget, generator)
    return found, "" if found.feasible else study.nearest_line(budget, found)


def candidate_of(study: Study, budget_items: list[str] | None, key: str | None, generator: str | None) -> Candidate:
    """The network with this key, or the one generated for this budget."""
    if (key is None) == (not budget_items):
        raise InputError("give either --architecture KEY or --budget DEVICE=VALUE")
    if key is not None:
        if generator is not None:
            raise InputError(
                f"generator {generator!r}: --generator can only be used with --budget, not with --architecture"
            )
        return study.candidate(study.architecture(key))
    candidate, missed = asked(study, budget_items, generator)
    if missed:
        raise InputError(missed)
    return candidate


def describe(candidate: Candidate, study: Study) -> str:
    """Describe a network in a few lines."""
    from explorer.devices import amount
    from explorer.devices.quantities import FP32, INT8, is_target, precision_of

    costs = ", ".join(f"{n} {amount(study.devices[n], v)}" for n, v in candidate.costs.items())
    lo, hi = candidate.interval
    accuracy = f"{study.origin.generated} accuracy {candidate.accuracy:.2%} ({lo:.2%} to {hi:.2%})"
    notes = "".join(f"\n  {line}" for line in study.extrapolated(candidate.architecture).values())
    words = {FP32: "float32", INT8: "eight bits"}
    priced = {name: precision_of(study.devices[name]) for name in candidate.costs if is_target(study.devices[name])}
    if other := [name for name, precision in priced.items() if precision != candidate.precision]:
        notes += f"\n  {', '.join(other)}: of the network in {words[priced[other[0]]]}; the accuracy is in "
        notes += words[candidate.precision]
        if candidate.precision == FP32 and INT8 in study.precisions:
            notes += " (--precision int8 gives it in eight)"
        elif candidate.precision == FP32 and study.origin.has_weights:
            notes += " (explorer evaluate --precision int8 measures it in eight)"
    return f"{candidate.key}\n  {accuracy}{', in eight bits' * (candidate.precision == INT8)}\n  {costs}{notes}"


def said_of(check: dict[str, float]) -> str:
    """The result of an export's check, in words."""
    from explorer.exports.check import accuracy_of

    if "same_top1" not in check:
        return "nothing to check"
    found = accuracy_of(check)
    images = f"{check['images']} {'images (no test images here)' if found is None else f'{found[0]} images'}"
    said = f"same class on all of {images}, logits within {check['max_difference']:.1e}"
    return said + (f"; {accuracy_words(check)}" if found else "")


def accuracy_words(check: dict[str, float]) -> str:
    """The accuracy of a check in words, such as "test accuracy 93.40% (measured)"; "" where there is none."""
    from explorer.exports.check import accuracy_of

    found = accuracy_of(check)
    return f"{found[0]} accuracy {found[1]:.2%} (measured)" if found else ""
