"""Several processes under torchrun train one set of weights, as one process would, and survive the loss of one."""

import ast
import os
import subprocess
import sys

import numpy as np

SCRIPT = """
import sys, torch
from explorer.datasets import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import TrainConfig, train_supernet
net = train_supernet(SPACES["mobile-tiny"], load_dataset("digits").subset(256), TrainConfig(epochs=2, batch=64, lr=0.05))
total = sum(float(p.double().sum()) for p in net.parameters())
import os
os.write(1, ("total " + repr(total) + chr(10)).encode())  # one write: two processes share the pipe
"""


CURVE = """
import os, sys
from explorer.datasets import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import TrainConfig, build, train_network
images, space, losses = load_dataset("digits"), SPACES["mobile-tiny"].for_images(1, 10, 8), []
network = build(space.layers([0] * len(space.decisions)), images.mean, images.std, 0)
train_network(network, images, TrainConfig(epochs=12, batch=128, lr=0.2, flip=False, shift=0), 0, losses=losses)
os.write(1, ("losses " + repr(losses) + chr(10)).encode())
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from explorer.datasets import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import TrainConfig, train_supernet
folder, rank = Path(sys.argv[1]), os.environ["RANK"]
def progress(items, total, what):
    for i in items:
        if i == 13 and rank == "1" and sys.argv[2] == "die" and not (folder / "died").exists():
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield i
net = train_supernet(
    SPACES["mobile-tiny"], load_dataset("digits").subset(256), TrainConfig(epochs=5, batch=64, lr=0.05, checkpoint_steps=5),
    checkpoint=folder / "checkpoint.safetensors", progress=progress,
)
total = sum(float(p.double().sum()) for p in net.parameters())
os.write(1, ("total " + repr(total) + chr(10)).encode())
"""


def _torchrun(script, *arguments, processes=2):
    line = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", "--master_port=29517"]
    return subprocess.run([*line, str(script), *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip


def _said(done, word):
    return [row.split(" ", 1)[1] for row in done.stdout.splitlines() if row.startswith(word)]


def test_two_processes_end_with_the_same_weights(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    done = _torchrun(script)
    totals = _said(done, "total")
    assert len(totals) == 2, done.stderr[-2000:]
    assert totals[0] == totals[1]


def test_the_loss_falls_as_in_one_process(tmp_path):
    """The batch is the whole job's; batch norm sees each process's half of it, so curves are near, not equal."""
    script = tmp_path / "run.py"
    script.write_text(CURVE)
    curves = {}
    for processes in (1, 2):
        done = _torchrun(script, processes=processes)
        said = [ast.literal_eval(text) for text in _said(done, "losses")]
        assert len(said) == processes, done.stderr[-2000:]
        curves[processes] = np.mean(said, 0)
    assert len(curves[1]) == len(curves[2]) > 40
    assert curves[1][-5:].mean() < 0.7 * curves[1][:5].mean()
    off = np.abs(curves[1] - curves[2])
    assert off.mean() < 0.1, off
    assert abs(curves[1][-10:].mean() - curves[2][-10:].mean()) < 0.1


def test_a_killed_worker_ends_the_job_and_it_goes_on(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = _torchrun(script, tmp_path / "whole", "live")
    assert whole.returncode == 0, whole.stderr[-2000:]
    died = _torchrun(script, tmp_path / "killed", "die")  # ends by itself: the other process does not wait for ever
    assert died.returncode != 0
    assert (tmp_path / "killed" / "died").exists()
    assert not _said(died, "total")
    assert (tmp_path / "killed" / "checkpoint.safetensors").exists()
    again = _torchrun(script, tmp_path / "killed", "die")
    assert again.returncode == 0, again.stderr[-2000:]
    assert sorted(_said(again, "total")) == sorted(_said(whole, "total"))
