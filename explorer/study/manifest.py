"""The manifest of a study, `study.json`: its metadata and the hash of every other file. It is written last."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat, model_validator

from explorer.core.config import Settings
from explorer.spaces.table import NAME as TABLE
from explorer.study.origin import PRUNED, PUBLISHED, TRAINED, Origin

FORMAT = 1
STUDY = "study.json"
PHOTOGRAPHS = "photographs.zip"
SUPERNET = "supernet.safetensors"  # the trained weights, if the study has any
EVALUATIONS = "evaluations.csv"
PREDICTOR = "predictor.onnx"
EVALUATIONS_INT8, CHANGE_INT8 = "evaluations-int8.csv", "change-int8.json"  # in eight bits, if measured
RECIPE = "recipe.toml"
NETWORKS = "table.json"  # the networks of an enumerated space


class SpaceOfStudy(Settings):
    """The search space of a study: its name, the images it is configured for, and restricted decisions (`limits`)."""

    name: str
    channels: int = Field(ge=1, le=4)
    classes: int = Field(ge=1, le=100_000)
    size: int = Field(ge=1, le=1024)
    limits: dict[str, list[int]] = Field(default_factory=dict)


class DataOfStudy(Settings):
    """The images of a study.

    Attributes:
        name: a data set's name, or "folder:PATH".
        classes, channels, size: names of the classes, and shape of the images.
        train, val, test: number of images per split.
        mean, std: of the training images, per channel.
        reading: how a folder was read (see `load_dataset`); studies of the first edition have no such field.
        skip_broken: whether damaged files were left out.
        counts: class -> {"train", "val", "test"} -> number of images; {} in older studies.
        deep: darkest and brightest value of images with more than 8 bits.
        packed: number of training and validation photographs that are in the study itself; [] for none.
    """

    name: str
    classes: list[str] = Field(min_length=1, max_length=100_000)
    channels: int = Field(ge=1, le=4)
    size: int = Field(ge=1, le=1024)
    train: int = Field(ge=0, le=10**10)
    val: int = Field(ge=0, le=10**10)
    test: int = Field(ge=0, le=10**10)
    mean: list[float]
    std: list[float]
    reading: int = 1
    skip_broken: bool = False
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    deep: list[float] = Field(default_factory=list)
    packed: list[int] = Field(default_factory=list, max_length=2)

    @property
    def photographs(self) -> bool:
        """Whether the images are cut from photographs as `explorer.data.reading` does."""
        return self.reading > 1 and (self.name.startswith("folder:") or bool(self.packed))

    @property
    def majority(self) -> float | None:
        """Share of the largest class in the validation images: what always answering with it gets."""
        each = [parts.get("val", 0) for parts in self.counts.values()]
        return max(each) / sum(each) if sum(each) else None


class Reported(Settings):
    """A network whose accuracy was measured on validation and, once, on test images, for the card.

    Attributes:
        role, key: what the network is, and its architecture.
        val, test: accuracy.
        balanced: mean recall of all classes on test images; None in older studies.
        recall: class -> share of its test images that are recognised.
    """

    role: str
    key: str
    val: float
    test: float
    balanced: float | None = None
    recall: dict[str, float] = Field(default_factory=dict)


class About(Settings):
    """The part of the manifest that is known before the last stage; `write_study` completes it to a `Manifest`."""

    format: int = FORMAT
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    title: str = Field(max_length=200)
    space: SpaceOfStudy
    data: DataOfStudy
    seed: int = Field(ge=0, lt=2**31)
    calibration_images: int = Field(ge=1, le=10**9)
    start: str = Field("", max_length=500)
    reported: list[Reported]


class Manifest(About):
    """The content of `study.json`.

    Attributes:
        devices: names of the study's devices.
        versions: versions of the packages that the study's numbers depend on.
        generators: names of the generators, the default first.
        reference: device name -> (error, cost), the reference point of the hypervolume.
        files: file name -> SHA-256 hash of every other file.
    """

    devices: list[str] = Field(min_length=1)
    versions: dict[str, str]
    generators: list[str] = Field(min_length=1)
    reference: dict[str, Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]]
    files: dict[str, str]

    @model_validator(mode="after")
    def _agree(self) -> Manifest:
        space, data = self.space, self.data
        if (space.channels, space.classes) != (data.channels, len(data.classes)):
            raise ValueError("space and data have different numbers of channels or classes")
        if set(self.reference) != set(self.devices):
            raise ValueError(f"reference is of {sorted(self.reference)}; expected {sorted(self.devices)}")
        return self

    @property
    def origin(self) -> Origin:
        """Where the study's networks and accuracies come from."""
        if self.space.name == TABLE:
            return PRUNED
        return TRAINED if SUPERNET in self.files else PUBLISHED
