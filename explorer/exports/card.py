"""The card of an exported network, as a dictionary and as Markdown."""

from __future__ import annotations

from typing import Any

from explorer.exports.check import accuracy_of
from explorer.exports.original import Original
from explorer.exports.predicting import preprocessing
from explorer.study import fingerprint

WORTH_SAYING = 0.5  # accuracy loss of int8, in percentage points, above which the card explains it
WHY_INT8 = (
    "More than 0.5 points are lost: eight bits give every activation tensor one scale, and depthwise convolutions of "
    "few channels have outputs of very different ranges. Fine-tune before the export, or take a wider network."
)

SLOWER_INT8 = (
    "int8 is slower on this machine: {:.2f} times the latency of float32 ({:.3g} ms against {:.3g} ms, measured). Small "
    "feature maps gain less from eight bits than the conversions cost; measure on the device it is meant for."
)
UNCHECKED = (
    "Unchecked: the images used for this export were not compared with those of the training. Batch norm was recalibrated "
    "on them, and there is no test accuracy, because they may be among the images of the training."
)


def facts_of(original: Original, check: dict[str, float], formats: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Collect the content of the card.

    Args:
        original: the exported network.
        check: the check of the exact formats.
        formats: format -> measured properties: bytes, latency_ms, hardware, test_accuracy and so on.
    """
    study, candidate, data = original.study, original.candidate, original.study.manifest.data
    outside = study.extrapolated(candidate.architecture)
    return {
        "study": study.name, "study_fingerprint": fingerprint(study), "architecture": candidate.key,
        "space": study.space.name, "decisions": candidate.architecture.values,
        "input": f"images: float32 (n, {data.channels}, {data.size}, {data.size}) in [0, 1]",
        "output": f"logits: float32 (n, {len(data.classes)})", "classes": data.classes,
        f"accuracy_{study.origin.generated}": candidate.accuracy, "accuracy_interval": list(candidate.interval),
        "accuracy_precision": candidate.precision,
        "check": check, "checked_on": original.checked_on, "checked": study.checked, "formats": formats,
        "costs": {
            name: {
                "value": value, "unit": study.devices[name].unit, "provenance": str(study.devices[name].provenance),
                "extrapolated": outside.get(name, ""),
            }
            for name, value in candidate.costs.items()
        },
        "weights": original.weights, "fine_tuning": original.tuning, "preprocessing": preprocessing(data),
        "start": study.manifest.start,
    }  # fmt: skip


def readme(facts: dict[str, Any]) -> str:
    """Format the content of the card as Markdown."""
    costs = "\n".join(
        f"| {n} | {c['value']:.4g} {c['unit']} | {c['provenance']}{'; ' * bool(c['extrapolated'])}{c['extrapolated']} |"
        for n, c in facts["costs"].items()
    )
    classes = facts["classes"]
    shown = ", ".join(classes) if len(classes) <= 100 else f"{len(classes)} classes"
    files = "\n".join(_file_row(name, found) for name, found in facts["formats"].items())
    notes = "".join(f"\n{note}\n" for note in notes_of(facts))
    return f"""# {facts["study"]}: {facts["architecture"]}

Weights: {facts["weights"]}.{_started(facts["start"])}

{_prepared(facts["preprocessing"])}Input `{facts["input"]}`, output `{facts["output"]}`. Classes: {shown}.

| | |
|---|---|
{_accuracy_rows(facts)}

| file | size | latency on this machine (measured, one thread, batch 1) | test accuracy (measured) | opens in |
|---|---|---|---|---|
{files}
{_on_microcontrollers(facts["formats"])}{notes}
| cost | value | provenance |
|---|---|---|
{costs}
"""


def _started(start: str) -> str:
    """Say which published weights the training changed."""
    return f" The training started from {start}; changed. Its licence and a NOTICE are in the study." if start else ""


def _prepared(facts: dict[str, Any]) -> str:
    """Say what has to be done with a photograph first."""
    if not facts:
        return ""
    return (
        f"Photographs: {facts['orientation']}; transparency {facts['transparency']}; {facts['colours']}; shorter side "
        f"scaled to {facts['shorter_side']} px ({facts['resampling']}; a photograph of at most "
        f"{facts['shorter_side_of_small_photographs']} px to that size); {facts['crop']} px; {facts['scale']}. "
        "`predict.py` does this.\n\n"
    )


def _accuracy_rows(facts: dict[str, Any]) -> str:
    check, (lo, hi) = facts["check"], facts["accuracy_interval"]
    rows = []
    if (found := accuracy_of(check)) is not None:
        rows.append(f"| {found[0]} accuracy, measured on {check['images']:.0f} images | {found[1]:.2%} |")
    for how in ("predicted", "measured"):
        if (accuracy := facts.get(f"accuracy_{how}")) is not None:
            how += " in eight bits" * (facts["accuracy_precision"] != "fp32")
            rows.append(f"| accuracy of the trained architecture, {how} | {accuracy:.2%} ({lo:.2%} to {hi:.2%}) |")
    if "same_top1" in check:
        images = facts["checked_on"]
        rows.append(
            f"| same class as the original network | {check['same_top1']:.0%} of {check['images']:.0f} {images} |"
        )
        rows.append(f"| largest difference of logits | {check['max_difference']:.1e} |")
    tuning = facts["fine_tuning"]
    if tuning:
        rows.append(
            f"| validation accuracy before and after {tuning['epochs']} epoch(s) of fine-tuning | "
            f"{tuning['val_before']:.2%}, {tuning['val_after']:.2%} |"
        )
    return "\n".join(rows)


def _file_row(name: str, found: dict[str, Any]) -> str:
    latency = f"{found['latency_ms']:.3g} ms ({found['hardware']})" if "latency_ms" in found else ""
    measured = accuracy_of(found)
    accuracy = "" if measured is None else f"{measured[1]:.2%}" + " (validation)" * (measured[0] != "test")
    accuracy += f" ({-found['drop']:+.2f} points)" if found.get("drop") else ""
    return f"| {name} | {found['bytes'] / 1e6:.2f} MB | {latency} | {accuracy} | {found.get('needs', '')} |"


def _on_microcontrollers(formats: dict[str, dict[str, Any]]) -> str:
    """Say what the file takes on a microcontroller."""
    found = formats.get("tflite", {})
    if "arena_bytes" not in found:
        return ""
    return (
        f"\nMicrocontrollers: activations take {found['arena_bytes']:,} bytes of RAM (measured: head of TFLite-Micro's "
        "arena, beside which it keeps data of its own), the network "
        f"{found['flash_bytes']:,} bytes of flash at most. TFLite-Micro gives the same class as LiteRT to "
        f"{found['micro_agrees']:.1%} of {found['micro_images']} images.\n" + _on_npus(found.get("npus", {}))
    )


def _on_npus(npus: dict[str, dict[str, Any]]) -> str:
    """Say what an estimator expects of the file on NPUs."""
    if not npus:
        return ""
    said = [
        f"{chip} {one['latency_ms']:.3g} ms and {one['sram_kb']:.4g} kB of SRAM"
        + " (parts on the CPU)" * (not one["whole"])
        for chip, one in npus.items()
    ]
    return f"\nNPUs, estimated by Arm's Vela and not measured: {'; '.join(said)}.\n"


def notes_of(facts: dict[str, Any]) -> list[str]:
    """Return the lines that a user should know before using the files: lost accuracy, lost speed, unchecked images."""
    int8 = facts["formats"].get("int8", {})
    notes = [WHY_INT8] if int8.get("drop", 0) > WORTH_SAYING else []
    if 0 < int8.get("speedup", 1) < 1:
        slower, ms = 1 / int8["speedup"], int8["latency_ms"]
        notes.append(SLOWER_INT8.format(slower, ms, ms / slower))
    if not facts["checked"]:
        notes.append(UNCHECKED)
    return notes
