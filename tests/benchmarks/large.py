"""Memory of a large folder: 20,000 photographs at 224 px, prepared and trained for 200 steps.

    python -m tests.benchmarks.large [--photographs 20000] [--steps 200]

The photographs are made from those of the reference data (mirrored, darkened, cropped), so that all differ. Preparation and
training run in processes of their own; the peak of each one's resident memory is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tests.conftest import REFERENCE

TRAIN = """
import json, resource, sys, time
from explorer.data import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import TrainConfig, train_supernet
from explorer.supernets.sources import pretrained
start = time.time()
images = load_dataset(f"folder:{sys.argv[1]}", size=224)
loaded = time.time() - start
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
said = {"loaded_s": loaded, "images": len(images.train), "loaded_gb": peak()}
if int(sys.argv[2]):
    space = SPACES["lite-w1.0"]
    config = TrainConfig(batch=32, lr=0.03, crop=0.35, flip=True, policy="trivial", epochs=int(sys.argv[2]) * 32 / len(images.train))
    supernet = pretrained("lite0", space.for_images(3, len(images.classes), 224))
    train_supernet(space, images, config, supernet=supernet)
said |= {"seconds": time.time() - start, "peak_gb": peak()}
print(json.dumps(said))
"""


def make(root, count):
    """Write `count` different photographs into ten classes."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(REFERENCE / "clothing" / "clothing.zip") as archive:
        names = [n for n in archive.namelist() if n.startswith("train/") and n.endswith(".jpg")]
        for number in range(count):
            name = names[number % len(names)]
            with archive.open(name) as file:
                image = Image.open(file).convert("RGB")
            round_ = number // len(names)
            if round_:
                image = ImageOps.mirror(image) if round_ % 2 else image
                left, top = (int(v) for v in rng.integers(0, 40, 2))
                image = image.crop(
                    (left, top, image.width - int(rng.integers(0, 40)), image.height - int(rng.integers(0, 40)))
                )
                image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.6, 1.3)))
            target = root / name.split("/")[1] / f"{number:05d}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target, quality=88)


def main():
    """Make, prepare, train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photographs", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root / "photographs", asked.photographs)
        environment = os.environ | {"EXPLORER_HOME": str(root / "home")}
        for what, steps in (("prepared", 0), ("trained", asked.steps)):
            done = subprocess.run([sys.executable, "-c", TRAIN, str(root / "photographs"), str(steps)], env=environment,
                                  capture_output=True, text=True, check=True)  # fmt: skip
            print(what, json.loads(done.stdout.splitlines()[-1]), flush=True)
        used = sum(f.stat().st_size for f in (root / "home").rglob("*") if f.is_file())
        print(f"{used / 1e9:.1f} GB on disk")


if __name__ == "__main__":
    main()
