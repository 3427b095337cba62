"""`study.json`: what a study says of itself. Written last, with the hash of every other file."""

from pydantic import Field

from explorer.config import Settings

FORMAT = 1


class SpaceOfStudy(Settings):
    """Which space, for which images."""

    name: str
    channels: int
    classes: int
    size: int
    limits: dict[str, list[int]] = Field(default_factory=dict)


class DataOfStudy(Settings):
    """Which images."""

    name: str
    classes: list[str]
    channels: int = Field(ge=1, le=4)
    size: int = Field(ge=1, le=4096)
    train: int
    val: int
    test: int
    mean: list[float]
    std: list[float]


class Reported(Settings):
    """A finished network whose accuracy was measured once on test images."""

    role: str
    key: str
    val: float
    test: float


class Manifest(Settings):
    """`study.json`."""

    format: int
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    title: str = Field(max_length=200)
    space: SpaceOfStudy
    data: DataOfStudy
    devices: list[str]
    seed: int
    calibration_images: int
    generators: list[str] = Field(default_factory=list)
    reference: dict[str, list[float]]
    reported: list[Reported]
    versions: dict[str, str]
    files: dict[str, str]
