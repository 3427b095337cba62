"""What can be trained, by name (needs torch): a method is its settings and a function of one form."""

from collections.abc import Callable
from dataclasses import dataclass

from explorer.core.config import Settings
from explorer.generators.expert import ExpertConfig, train_expert
from explorer.generators.pnag import PnagConfig, train_pnag
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.sgnas import SgnasConfig, train_sgnas


@dataclass(frozen=True)
class Method:
    """A way to train a generator.

    Attributes:
        config: its settings.
        of: settings that evaluate about so many networks.
        train: (space, evaluator, devices, config, seed, progress, known) -> generator.
    """

    config: type[Settings]
    of: Callable[[int], Settings]
    train: Callable[..., BudgetGenerator]


TRAINERS = {
    "expert": Method(ExpertConfig, ExpertConfig.of, train_expert),
    "pnag": Method(PnagConfig, lambda n: PnagConfig(evaluations=n), train_pnag),
    "sgnas": Method(SgnasConfig, SgnasConfig.of, train_sgnas),
}
