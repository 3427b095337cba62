"""What determines a study: a TOML file, by name or path, checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from explorer.core.config import Settings, parse, read_toml
from explorer.core.errors import InputError, unknown
from explorer.core.files import expanded
from explorer.devices import COUNTS, load_device
from explorer.evaluators import PredictorConfig, ScoreConfig
from explorer.generators.expert import ExpertConfig
from explorer.generators.pnag import PnagConfig
from explorer.generators.sgnas import SgnasConfig
from explorer.spaces import SPACES
from explorer.supernets import TrainConfig

RECIPES = Path(__file__).parent.parent / "recipes"
PUBLISHED, FOLDER = "published:", "folder:"


class SearchConfig(Settings):
    """The search whose fronts are measured, and shown to the generator; `evaluations` for each front."""

    evaluations: int = Field(20_000, ge=100, le=1_000_000_000)


class Recipe(Settings):
    """Everything that determines a study.

    Attributes:
        data: a data set's name, "folder:PATH", or "published:FILE" for a table of published accuracies, a CSV under
            `$EXPLORER_REFERENCE`; then no supernet is trained.
        space: a space's name.
        restrict: decisions (or kinds of them) narrowed to some options.
        generators: which are trained; the study's default is the best of them on held-out budgets.
        devices: names of devices, or NAME=SOURCE for a device under another name.
    """

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
    generators: list[Literal["expert", "pnag", "sgnas"]] = Field(
        default_factory=lambda: ["expert", "pnag"], min_length=1
    )
    expert: ExpertConfig = Field(default_factory=ExpertConfig)
    pnag: PnagConfig = Field(default_factory=PnagConfig)
    sgnas: SgnasConfig = Field(default_factory=SgnasConfig)

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, data: str) -> str:
        """A folder's name that means the same in every working directory."""
        return FOLDER + str(expanded(data.removeprefix(FOLDER)).resolve()) if data.startswith(FOLDER) else data

    @property
    def search_space(self) -> Any:
        """The space, narrowed."""
        space: Any = SPACES[self.space]
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
    if not any(device.unit == "ms" for device in devices):
        raise InputError(f"{recipe}: devices = {names}: at least one must have a latency, such as 'mobile'")
    if len(set(names)) != len(names):
        raise InputError(f"{recipe}: devices = {checked.devices}: a device is named twice")
    return checked
