"""Two processes under torchrun train one set of weights."""

import os
import subprocess
import sys

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


def test_two_processes_end_with_the_same_weights(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29517", str(script)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"})
    totals = [row for row in done.stdout.splitlines() if row.startswith("total")]
    assert len(totals) == 2, done.stderr[-2000:]
    assert totals[0] == totals[1]
