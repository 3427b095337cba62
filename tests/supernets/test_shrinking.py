import itertools

import numpy as np
import pytest
import torch
from torch import nn

from explorer.data.datasets import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import MobileSupernet, TrainConfig, train_supernet
from explorer.supernets.checkpoint import load_tensors
from explorer.supernets.sampling import largest
from explorer.supernets.shrinking import Shrinking, phase_at, phases_of, sort_channels, supported_widths


def test_phases_are_once_for_alls():
    space = SPACES["mobilenetv3-w1.0"]
    phases = phases_of(space)
    assert [p.name for p in phases] == ["largest", "kernel", "depth 1", "depth 2", "expansion 1", "expansion 2"]
    assert [p.subnets for p in phases] == [1, 1, 2, 2, 4, 4]
    assert sum(p.share for p in phases) == pytest.approx(1)
    assert [round(p.share * 605) for p in phases] == [180, 125, 25, 125, 25, 125]
    kinds = np.array([name[0] for name in space.decisions])
    lows = {p.name: {k: sorted(set(np.array(p.low)[kinds == k])) for k in "kder"} for p in phases}
    assert lows["largest"] == {"k": [2], "d": [2], "e": [2], "r": [0]}
    assert lows["kernel"] == {"k": [0], "d": [2], "e": [2], "r": [0]}
    assert lows["depth 1"]["d"] == [1]
    assert lows["expansion 1"] == {"k": [0], "d": [0], "e": [1], "r": [0]}
    assert set(phases[-1].low) == {0}
    assert [p.sort for p in phases] == [False] * 4 + [True] * 2


def test_every_step_has_one_phase():
    phases = phases_of(SPACES["mobile-tiny"])
    spans = {phase_at(phases, step, 97) for step in range(97)}
    assert len(spans) == len(phases)
    assert sum(end - start for _, start, end in spans) == 97


@pytest.mark.parametrize("name", ["mobile-32", "mobilenetv3-w1.0"])
def test_sorting_changes_no_trained_subnet_and_puts_the_largest_norms_first(name, rng):
    space = SPACES[name]
    supernet = MobileSupernet(space, [0.4] * 3, [0.3] * 3).eval()
    for p in supernet.parameters():
        nn.init.normal_(p, 0, 0.1)
    x = torch.rand(2, 3, 64, 64)
    phases = phases_of(space)
    model = Shrinking(supernet, MobileSupernet(space, [0.4] * 3, [0.3] * 3))
    for before, phase in itertools.pairwise(phases):
        if phase.sort:
            rows = [largest(space), *model.codes(before, rng)]
            with torch.no_grad():
                outputs = [supernet(x, row) for row in rows]
                sort_channels(supernet, supported_widths(supernet, before.low))
                for row, former in zip(rows, outputs):
                    again = supernet(x, row)
                    assert (again - former).abs().max() <= 1e-5 * max(1.0, float(former.abs().max()))
    block = next(b for b in supernet.blocks.values() if getattr(b, "expand", None) is not None)
    layer = supernet.layers(np.array(phases[-2].low))
    narrow = next(part.mid for part in layer if supernet.block(part.name) is block)
    norms = block.project.weight.abs().sum((0, 2, 3))[:narrow]
    assert (norms[:-1] >= norms[1:]).all()


def test_every_phase_and_the_teacher_see_all_image_sizes(rng):
    """The first phase and the teacher stayed at the largest size, so that small images had neither."""
    space, seen = SPACES["mobilenetv3-w1.0"].restrict({"r": [160, 192, 224]}), {}
    gene, largest_row = list(space.decisions).index("r"), largest(space)

    class Seen(nn.Module):
        def __init__(self, who):
            super().__init__()
            self.space, self.who = space, who

        def forward(self, x, row):
            seen.setdefault(self.who, []).append(np.array(row))
            return torch.zeros(2, 10, requires_grad=True)

    both = Shrinking(Seen("subnet"), Seen("teacher"))
    for phase in (both.phases[0], both.phases[-1]):
        seen.clear()
        for _ in range(40):
            list(
                both.losses(
                    torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64), phase, rng, lambda a, b: a.sum()
                )
            )
        subnets = np.array(seen["subnet"]).reshape(40, phase.subnets, -1)
        assert set(subnets[:, :, gene].ravel()) == {0, 1, 2}
        assert (subnets[:, :, gene] == subnets[:, :1, gene]).all()
    teacher = np.array(seen["teacher"])
    assert (teacher[:, gene] == subnets[:, 0, gene]).all()
    others = np.arange(len(largest_row)) != gene
    assert (teacher[:, others] == largest_row[others]).all()


def test_progressive_training_resumes_exactly_inside_and_between_phases(tmp_path):
    images = load_dataset("digits").subset(400)
    config = TrainConfig(epochs=6, batch=64, lr=0.1, rule="progressive", checkpoint_steps=1)
    whole = train_supernet(SPACES["mobile-tiny"], images, config).state_dict()

    class Stop(Exception):
        pass

    def stop_after(steps):
        def progress(items, total, what):
            for i, item in enumerate(items):
                if i == steps:
                    raise Stop
                yield item

        return progress

    path, stops = tmp_path / "checkpoint.safetensors", []
    for _ in range(8):
        try:
            resumed = train_supernet(SPACES["mobile-tiny"], images, config, checkpoint=path, progress=stop_after(5))
            break
        except Stop:
            stops.append(int(load_tensors(path)["step"]))
    spans = {phase_at(phases_of(SPACES["mobile-tiny"]), stop, 36)[1:] for stop in stops}
    assert len(spans) >= 3
    state = resumed.state_dict()
    assert all(torch.equal(whole[name], state[name]) for name in whole)
