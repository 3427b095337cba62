"""What determines a study: a TOML file, by name or path, checked before anything runs. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from explorer.core.config import Settings, explain, parse, read_toml
from explorer.core.errors import InputError, unknown
from explorer.core.files import expanded
from explorer.devices import COUNTS, is_target, load_device
from explorer.evaluators import PredictorConfig, ScoreConfig
from explorer.generators.methods import METHODS, SHIPPED
from explorer.generators.settings import MethodSettings
from explorer.spaces import SPACES, Space
from explorer.supernets.config import TrainConfig

RECIPES = Path(__file__).parent.parent / "recipes"
PUBLISHED, FOLDER = "published:", "folder:"


class SearchConfig(Settings):
    """The search whose fronts are measured, and shown to the generator; `evaluations` for each front."""

    evaluations: int = Field(20_000, ge=100, le=1_000_000_000)


class Recipe(Settings):
    """Everything that determines a study. Besides these there is a section for every generator method, by its name.

    Attributes:
        data: a data set's name, "folder:PATH", or "published:FILE" for a table of published accuracies, a CSV under
            `$EXPLORER_REFERENCE`; then no supernet is trained.
        space: a space's name.
        restrict: decisions (or kinds of them) narrowed to some options.
        generators: which are trained; the study's default is the best of them on held-out budgets.
        devices: names of devices, or NAME=SOURCE for a device under another name.
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
    supernet: TrainConfig = Field(default_factory=TrainConfig)
    scores: ScoreConfig = Field(default_factory=ScoreConfig)
    predictor: PredictorConfig = Field(default_factory=PredictorConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    generators: list[str] = Field(default_factory=lambda: ["expert", "pnag"], min_length=1)

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, data: str) -> str:
        """A folder's name that means the same in every working directory."""
        return FOLDER + str(expanded(data.removeprefix(FOLDER)).resolve()) if data.startswith(FOLDER) else data

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
        """The sections of methods as their settings, those of shipped methods and of what is trained always."""
        if not isinstance(values, dict):
            return values
        known = set(cls.model_fields)
        given = {name: section for name, section in values.items() if name not in known}
        trained = [name for name in values.get("generators", ()) if isinstance(name, str) and name in METHODS]
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
        """The section of a generator method."""
        return self.__pydantic_extra__[name]

    @property
    def search_space(self) -> Space:
        """The space, narrowed."""
        space = SPACES[self.space]
        return space.restrict(self.restrict) if self.restrict else space


def recipe_names() -> list[str]:
    """Recipes in the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(recipe: str | Path, data: str | None = None) -> Recipe:
    """A recipe by name or TOML file; `data` replaces its images.

    Raises:
        InputError: unknown name, unreadable file, unknown key, unknown space, device or data set.
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
    checked = parse(Recipe, values, str(recipe))
    _ = checked.search_space
    devices = [load_device(source) for source in checked.devices]
    names = [device.name for device in devices]
    if not any(map(is_target, devices)):
        raise InputError(f"{recipe}: devices = {names}: at least one must be a target such as 'mobile', not a count")
    if len(set(names)) != len(names):
        raise InputError(f"{recipe}: devices = {checked.devices}: a device is named twice")
    return checked
