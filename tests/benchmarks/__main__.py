"""Speed, as ratios measured in one run; JSON on stdout.

python -m tests.benchmarks
"""

import json
import subprocess
import sys
import time


def training() -> dict:
    """Images per second of supernet steps, against the same subnets built as plain static networks."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from explorer.spaces import SPACES
    from explorer.supernets import MobileSupernet, build
    from explorer.supernets.memory import keep_memory
    from explorer.supernets.sampling import RULES

    keep_memory()
    space = SPACES["mobile-32"].for_images(1, 10, 28)
    supernet = MobileSupernet(space, [0.3], [0.3]).train()
    x, y = torch.rand(128, 1, 28, 28), torch.randint(0, 10, (128,))

    def rate(networks) -> float:
        """One forward and backward pass of every network on the batch; images per second."""
        start = time.perf_counter()
        for network in networks:
            F.cross_entropy(network(x), y).backward()
        return len(x) / (time.perf_counter() - start)

    result = {}
    for rule in ("uniform", "sandwich"):
        rates = {"supernet": [], "static": []}
        for step in range(8):
            codes = RULES[rule](space, 0, step, 1)
            both = {
                "supernet": [lambda v, row=row: supernet(v, row) for row in codes],
                "static": [build(space.layers(row)).train() for row in codes],
            }
            for name, networks in both.items():
                rate(networks)
                rates[name].append(rate(networks))
        median = {name: float(np.median(values)) for name, values in rates.items()}
        result[rule] = {f"{n}_images_per_s": v for n, v in median.items()}
        result[rule]["supernet_over_static"] = median["supernet"] / median["static"]
    return result


def kernels() -> dict:
    """A training step of the largest subnet with torch's own depthwise backward and batch norm, over ours."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from explorer.spaces import SPACES
    from explorer.supernets import MobileSupernet, elastic
    from explorer.supernets.sampling import largest

    def torch_depthwise(x, weight, stride=1):
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=len(weight))

    def torch_norm_act(x, norm, act, index=None):  # blocks of this space have no index
        c = x.shape[1]
        y = F.batch_norm(x, norm.running_mean[:c], norm.running_var[:c], norm.weight[:c], norm.bias[:c], True)
        return {"none": lambda v: v, "relu": F.relu, "hswish": F.hardswish}[act](y)

    space = SPACES["mobile-32"].for_images(1, 10, 28)
    supernet = MobileSupernet(space, [0.3], [0.3]).train()
    x, y = torch.rand(128, 1, 28, 28), torch.randint(0, 10, (128,))
    ours = elastic.depthwise, elastic.norm_act
    forms = {
        "ours": ours, "torch_depthwise": (torch_depthwise, ours[1]), "torch_norm_act": (ours[0], torch_norm_act),
        "torch": (torch_depthwise, torch_norm_act),
    }  # fmt: skip
    seconds = {name: [] for name in forms}
    for i in range(9):
        for name, (elastic.depthwise, elastic.norm_act) in forms.items():
            start = time.perf_counter()
            F.cross_entropy(supernet(x, largest(space)), y).backward()
            seconds[name] += [time.perf_counter() - start] * (i > 1)
    elastic.depthwise, elastic.norm_act = ours
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    return {f"{name}_over_ours": value / median["ours"] for name, value in median.items()}


GENERATE = """
import json, sys, time, numpy as np, pandas as pd
from explorer.study import open_study
study = open_study("fashion-mnist")
budget = {"mobile": study.knee("mobile")}
start = time.perf_counter(); study.generate(budget); first = time.perf_counter() - start
times = []
for i in range(50):
    start = time.perf_counter(); study.generate({"mobile": budget["mobile"] * (1 + i / 500)}); times.append(time.perf_counter() - start)
result = {"first_ms": 1e3 * first, "one_ms_median": 1e3 * float(np.median(times))}
rng = np.random.default_rng(0)
for n in (100, 3000):
    table = pd.DataFrame({t: np.geomspace(*study.budget_range(t), n) for t in study.targets[:1]})
    start = time.perf_counter(); study.generate_many(table); result[f"{n}_s"] = time.perf_counter() - start
joint = pd.DataFrame({t: rng.permutation(np.geomspace(*study.budget_range(t), 3000)) for t in study.targets})
start = time.perf_counter(); study.generate_many(joint); result["3000_joint_s"] = time.perf_counter() - start
result["torch_loaded"] = "torch" in sys.modules
print(json.dumps(result))
"""


def generator() -> dict:
    """Seconds for 1, 100 and 3,000 budgets in a process without torch."""
    done = subprocess.run([sys.executable, "-c", GENERATE], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def costs() -> dict:
    """Architectures per second of a compiled cost: 20 slots, 25 image sizes."""
    import numpy as np

    from explorer.devices import load_device
    from explorer.spaces import SPACES

    space = SPACES["mobilenetv3-w1.2"]
    codes = space.sample(1_000_000, np.random.default_rng(0))
    result = {}
    for name in ("macs_m", "mobile"):
        device = load_device(name)
        start = time.perf_counter()
        device.cost(space, codes[:1])
        compile_s = time.perf_counter() - start
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            device.cost(space, codes)
            seconds.append(time.perf_counter() - start)
        one_by_one = time.perf_counter()
        for row in codes[:50]:
            sum(map(device.price, space.layers(row)))
        one_by_one = (time.perf_counter() - one_by_one) / 50
        rate = len(codes) / float(np.median(seconds))
        result[name] = {"million_per_s": rate / 1e6, "compile_s": compile_s, "over_layer_by_layer": rate * one_by_one}
    return result


def random_weights() -> dict:
    """Seconds of one random-weight score at full size (32 px, one seed), and networks per second by processes."""
    from dataclasses import replace

    import numpy as np
    import torch.nn.functional as F

    from explorer.datasets import Split, load_dataset
    from explorer.evaluators import RandomWeights
    from explorer.spaces import SPACES

    small = load_dataset("fashion-mnist").subset(4000)
    parts = {
        n: Split(F.pad(small.split(n).images, (2, 2, 2, 2)), small.split(n).labels) for n in ("train", "val", "test")
    }
    images, result = replace(small, **parts), {}
    for name, networks in (("nasbench201", 4), ("mobile-32", 12)):
        space = SPACES[name].for_images(1, 10, 32)
        codes = space.sample(networks, np.random.default_rng(0))
        seconds = [s.seconds for s in RandomWeights(space, images, seeds=1).scores(codes)]
        result[name] = {"median_s": float(np.median(seconds)), "longest_s": max(seconds)}
        for jobs in (1, 2):
            judge = RandomWeights(space, images, seeds=1, jobs=jobs)
            judge.scores(codes[:jobs])  # starts the processes
            start = time.perf_counter()
            judge.scores(codes)
            result[name][f"networks_per_s_{jobs}_processes"] = networks / (time.perf_counter() - start)
    return result


if __name__ == "__main__":
    parts = {
        "costs": costs, "generator": generator, "kernels": kernels, "random_weights": random_weights,
        "training": training,
    }  # fmt: skip
    print(json.dumps({name: measure() for name, measure in parts.items()}, indent=1))
