"""Recipes: a TOML file that determines a study, loaded by name or path and validated before anything runs. No torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from explorer.core.config import Settings, explain, parse, read_toml
from explorer.core.errors import InputError, unknown
from explorer.core.files import expanded
from explorer.data.archives import ENDINGS as ARCHIVES
from explorer.devices import COUNTS, device_names, is_target, load_device
from explorer.evaluators import PredictorConfig, ScoreConfig
from explorer.generators.methods import METHODS, SHIPPED
from explorer.generators.settings import MethodSettings
from explorer.spaces import SPACES, Space
from explorer.supernets.config import TrainConfig

RECIPES = Path(__file__).parent.parent / "recipes"
PUBLISHED, FOLDER = "published:", "folder:"


class SearchConfig(Settings):
    """Settings of the search whose fronts are measured and used to train the generators.

    Attributes:
        evaluations: maximum number of architectures evaluated per front.
    """

    evaluations: int = Field(20_000, ge=100, le=1_000_000_000)


class Recipe(Settings):
    """Everything that determines a study.

    In addition to the fields below, there is one section per generator method, named after the method.

    Attributes:
        title: title of the study, by default its name.
        data: a data set's name, "folder:PATH", or "published:FILE" for a table of published accuracies (a CSV file
            under `$EXPLORER_REFERENCE`), in which case no supernet is trained.
        space: name of the search space.
        restrict: decisions, or kinds of decisions, and the options that they are restricted to.
        devices: device names, or NAME=SOURCE to use a device under another name.
        seed: random seed of the whole study.
        train_images: number of training images to use, by default all.
        skip_broken: leave out damaged files of an image folder instead of refusing them.
        start: weights that the supernet starts from: "lite0", "torchvision:NAME" or "timm:NAME" (a published network),
            a file (a checkpoint of once-for-all), or a study; "" for fresh weights.
        packed: numbers of training and of validation photographs that are put into the study itself, so that it can be
            exported and evaluated where the data set is not; [] for none. The study then names no path.
        stored: number format of the supernet's weights on disk; "float16" takes half the space, and all accuracies are
            measured with the rounded weights.
        supernet: settings of the supernet training.
        scores: how many architectures are evaluated, and on how many images.
        predictor: settings of the accuracy predictor.
        search: settings of the search.
        generators: the methods to train; the study's default is the one that is best on held-out budgets.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SerializeAsAny[MethodSettings]]

    title: str = Field("", max_length=200)
    data: str
    space: str
    restrict: dict[str, list[int]] = Field(default_factory=dict)
    devices: list[str] = Field(default_factory=lambda: ["mobile", "cpu", "gpu", *COUNTS])
    seed: int = Field(0, ge=0, lt=2**31)
    train_images: int | None = Field(None, ge=16, le=1_000_000_000)
    skip_broken: bool = False
    start: str = Field("", max_length=4096)
    packed: list[int] = Field(default_factory=list, max_length=2)
    stored: Literal["float32", "float16"] = "float32"
    supernet: TrainConfig = Field(default_factory=TrainConfig)
    scores: ScoreConfig = Field(default_factory=ScoreConfig)
    predictor: PredictorConfig = Field(default_factory=PredictorConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    generators: list[str] = Field(default_factory=lambda: ["expert", "pnag"], min_length=1)

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, data: str) -> str:
        """Make the path of an image folder absolute, so that it is valid in every working directory."""
        return FOLDER + str(expanded(data.removeprefix(FOLDER)).resolve()) if data.startswith(FOLDER) else data

    @field_validator("packed")
    @classmethod
    def _two_numbers(cls, packed: list[int]) -> list[int]:
        if packed and (len(packed) != 2 or min(packed) < 1):
            raise ValueError(f"packed = {packed}: expected two numbers, of training and of validation photographs")
        return packed

    @field_validator("start")
    @classmethod
    def _start_from_anywhere(cls, start: str) -> str:
        """Make the path of a checkpoint or of a study's folder absolute."""
        return str(expanded(start).resolve()) if start and os.path.exists(expanded(start)) else start

    @field_validator("devices")
    @classmethod
    def _files_from_anywhere(cls, sources: list[str]) -> list[str]:
        """Make the paths of device files absolute, so that a run is resumed from every working directory."""
        found = []
        for source in sources:
            alias, sign, path = source.rpartition("=")
            file = path not in device_names() and os.path.exists(expanded(path))
            found.append(f"{alias}{sign}{expanded(path).resolve()}" if file else source)
        return found

    @field_validator("generators")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in METHODS:
                raise ValueError(f"unknown generator {name!r}; choose from: {', '.join(METHODS)}")
        return names

    @model_validator(mode="before")
    @classmethod
    def _sections(cls, values: Any) -> Any:
        """Parse the methods' sections; those of shipped methods and of the trained ones are added if missing."""
        if not isinstance(values, dict):
            return values
        known = set(cls.model_fields)
        given = {name: section for name, section in values.items() if name not in known}
        listed = values.get("generators")  # not checked yet, so it can be anything
        listed = listed if isinstance(listed, list) else []
        trained = [name for name in listed if isinstance(name, str) and name in METHODS]
        found: dict[str, MethodSettings] = {}
        for name in dict.fromkeys([*SHIPPED, *trained, *given]):
            if name not in METHODS:
                raise ValueError(f"unknown key {name!r}; choose from: {', '.join([*cls.model_fields, *METHODS])}")
            section = given.get(name, {})
            settings = METHODS[name].settings
            try:
                found[name] = settings.model_validate(section)
            except ValidationError as error:
                raise ValueError(explain(error, settings, name)) from error
        return {name: value for name, value in values.items() if name in known} | found

    def method_settings(self, name: str) -> MethodSettings:
        """Return the settings of a generator method."""
        return self.__pydantic_extra__[name]

    @property
    def search_space(self) -> Space:
        """The search space, with `restrict` applied."""
        space = SPACES[self.space]
        return space.restrict(self.restrict) if self.restrict else space


def recipe_names() -> list[str]:
    """List the names of the recipes in the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(recipe: str | Path, data: str | None = None, start: str | None = None) -> Recipe:
    """Load and validate a recipe.

    Args:
        recipe: name of a recipe in the package, or path of a TOML file.
        data: "folder:PATH" or a data set's name, instead of the recipe's `data`.
        start: instead of the recipe's `start`.

    Raises:
        InputError: unknown recipe, unreadable file, unknown key, space or device, or no device that is a target.
    """
    path = Path(recipe)
    if path.suffix != ".toml":
        path = RECIPES / f"{recipe}.toml"
        if str(recipe) not in recipe_names():
            raise unknown("recipe", recipe, [*recipe_names(), "a TOML file"])
    values = read_toml(path)
    if data is not None:
        values["data"] = data
        values["title"] = data.split("/")[-1][-200:]
    if start is not None:
        values["start"] = start
    checked = parse(Recipe, values, str(recipe))
    _ = checked.search_space
    devices = [load_device(source) for source in checked.devices]
    names = [device.name for device in devices]
    if not any(map(is_target, devices)):
        raise InputError(f"{recipe}: devices = {names}: at least one must be a target such as 'mobile', not a count")
    if len(set(names)) != len(names):
        raise InputError(f"{recipe}: devices = {checked.devices}: a device is named twice")
    return checked


def name_of_data(data: str) -> str:
    """Return the last part of where images are, without the ending of an archive."""
    name = data.rstrip("/").split("/")[-1].removeprefix("folder:")
    end = next((end for end in ARCHIVES if name.lower().endswith(end)), "")
    return name[: len(name) - len(end)]
