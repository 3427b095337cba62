"""Several processes under torchrun train one set of weights, as one process would, and survive the loss of one."""

import ast
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from explorer.core.errors import InputError
from explorer.supernets.training import _average_gradients
from tests.study.test_train import hashes
from tests.trust.reliability import TRIED

CURVE = """
import atexit, os, sys, torch
atexit.register(lambda: os.write(1, f"in-group {torch.distributed.is_initialized()}".encode() + b"\\n"))  # called last
from explorer.data.datasets import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import TrainConfig, build, train_network
images, space, losses = load_dataset("digits"), SPACES["mobile-tiny"].for_images(1, 10, 8), []
network = build(space.layers([0] * len(space.decisions)), images.mean, images.std, 0)
train_network(network, images, TrainConfig(epochs=12, batch=128, lr=0.2, flip=False, shift=0), 0, hear=lambda *said: losses.append(said[2]))
total = sum(float(p.double().sum()) for p in network.parameters())
os.write(1, ("losses " + repr(losses) + chr(10) + "total " + repr(total) + chr(10)).encode())  # two processes share the pipe
"""
QUICKER = """
data = "digits"
space = "mobile-tiny"
generators = ["expert"]
[supernet]
epochs = 3
batch = 64
lr = 0.1
checkpoint_steps = 10
[scores]
architectures = 20
calibration_images = 100
val_images = 100
front_architectures = 0
[predictor]
epochs = 5
members = 1
[search]
evaluations = 200
[expert]
budgets = 64
rounds = 3
"""
KILLED = """
import os, signal, sys
from pathlib import Path
import explorer.supernets.training as training
from explorer.cli import run
out, step = Path(sys.argv[2]), training._average_gradients
def dies(model, fabric, calls=[]):
    calls.append(1)
    if fabric.global_rank == 1 and len(calls) == 25:
        os.kill(os.getpid(), signal.SIGKILL)
    step(model, fabric)
training._average_gradients = dies
sys.exit(run(["train", sys.argv[1], "--out", str(out), "--resume"]))
"""


def _torchrun(*arguments, processes=2):
    line = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", "--master_port=29517"]
    return subprocess.run([*line, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip


def _said(done, word):
    return [row.split(" ", 1)[1] for row in done.stdout.splitlines() if row.startswith(word)]


def test_two_processes_end_with_the_same_weights_and_the_loss_falls_as_in_one(tmp_path):
    """The batch is the whole job's; batch norm sees each process's half of it, so curves are near, not equal."""
    script = tmp_path / "run.py"
    script.write_text(CURVE)
    curves = {}
    for processes in (1, 2):
        done = _torchrun(script, processes=processes)
        said = [ast.literal_eval(text) for text in _said(done, "losses")]
        assert len(said) == processes, done.stderr
        curves[processes] = np.mean(said, 0)
        assert len(set(_said(done, "total"))) == 1
        assert _said(done, "in-group") == ["False"] * processes, "threads of a group must not outlive the interpreter"
    assert len(curves[1]) == len(curves[2]) > 40
    assert curves[1][-5:].mean() < 0.7 * curves[1][:5].mean()
    off = np.abs(curves[1] - curves[2])
    assert off.mean() < 0.1, off
    assert abs(curves[1][-10:].mean() - curves[2][-10:].mean()) < 0.1


def test_the_command_ends_with_a_killed_worker_and_goes_on_to_the_same_study(tmp_path):
    """`explorer train` under torchrun: one folder, one process that writes it."""
    recipe, script = tmp_path / "quick.toml", tmp_path / "run.py"
    recipe.write_text(QUICKER)
    script.write_text(KILLED)
    line = ("-m", "explorer", "train", recipe, "--out")
    whole = _torchrun(*line, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    TRIED["workers"] += 1
    died = _torchrun(script, recipe, tmp_path / "killed")  # ends by itself: the other process does not wait for ever
    assert died.returncode != 0
    assert (tmp_path / "killed" / "checkpoint.safetensors").exists()
    again = _torchrun(*line, tmp_path / "killed", "--resume")
    assert again.returncode == 0, again.stderr
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "whole")


def test_a_lost_process_is_one_line():
    """Torchrun may end the others before they say so: what they say is tested by itself."""

    class Lost:
        world_size = 2

        def all_reduce(self, *_, **__):
            raise RuntimeError("gloo/pair.cc:561] Connection closed by peer")

    with pytest.raises(InputError, match="ended .*closed by peer.*--resume"):
        _average_gradients(torch.nn.Linear(2, 2), Lost())
