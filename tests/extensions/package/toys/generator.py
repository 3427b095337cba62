"""A generator method: one linear map from budgets to options, by least squares on the best networks of a sample."""

import numpy as np
from pydantic import Field

from explorer.core.onnx_mlp import mlp_graph
from explorer.core.protocols import silent
from explorer.devices.population import cheapest, costs_of, dearest
from explorer.generators import BudgetCode, Method, MethodSettings
from explorer.generators.evaluated import EvaluatedNetworks
from explorer.generators.one_pass import OnePassGenerator
from explorer.spaces.operators import option_counts


class LinearSettings(MethodSettings):
    networks: int = Field(500, ge=50)


def train_linear(space, evaluator, devices, config=None, seed=0, progress=silent, known=None):
    import torch
    from torch import nn

    from explorer.generators.finishing import finished

    config, rng = config or LinearSettings(), np.random.default_rng(seed)
    ends = np.array([end(space, device) for device in devices for end in (cheapest, dearest)])
    evaluated = EvaluatedNetworks(space, evaluator, devices)
    for part in progress([ends, space.sample(config.networks, rng)], 2, "evaluating"):
        evaluated.add(part)
    costs = costs_of(space, devices, evaluated.codes)
    code = BudgetCode(tuple(d.name for d in devices), tuple(costs.min(0)), tuple(costs.max(0)), 8)
    limits = code.sample(1000, costs, rng)
    best, there = evaluated.experts(limits)
    counts = option_counts(space).tolist()
    wanted = np.concatenate([np.eye(c)[best[:, gene]] for gene, c in enumerate(counts)], 1)
    asked = np.column_stack([code(limits), np.ones(len(limits))])
    solved = np.linalg.lstsq(asked[there], wanted[there], rcond=None)[0].astype(np.float32)
    network = nn.Linear(code.width, sum(counts))
    network.load_state_dict({"weight": torch.from_numpy(solved[:-1].T.copy()), "bias": torch.from_numpy(solved[-1])})
    graph = mlp_graph([[(solved[:-1].T, solved[-1])]], "code", "logits")
    about = {"margin": 0.0, "raw_feasible": 0.0, "seed": seed, "options": counts}
    return finished(space, evaluator, devices, "linear", network, graph, code, about)


METHOD = Method(LinearSettings, OnePassGenerator, "toys.generator:train_linear")
