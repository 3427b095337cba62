"""Photographs that are turned by their tag: the same accuracy through evaluation, export and predict.py.

    python -m tests.benchmarks.orientation STUDY_FOLDER

Two copies of the validation part are written with every fourth photograph upright and the others turned by 90, 180 and 270
degrees and tagged: one lossless (PNG), one encoded again (JPEG, quality 90). Each stands beside the training photographs.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

import explorer
from explorer.study import open_study
from tests.conftest import REFERENCE

TURN = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def copies(root):
    """root/plain, root/png and root/jpg, each with train and validation."""
    with zipfile.ZipFile(REFERENCE / "clothing" / "clothing.zip") as archive:
        archive.extractall(root / "plain")
    files = sorted((root / "plain" / "validation").rglob("*.jpg"))
    for form, options in (("png", {}), ("jpg", {"quality": 90})):
        shutil.copytree(root / "plain" / "train", root / form / "train")
        for number, file in enumerate(files):
            image, tag = Image.open(file).convert("RGB"), (None, 3, 6, 8)[number % 4]
            target = (root / form / "validation" / file.parent.name / file.stem).with_suffix(f".{form}")
            target.parent.mkdir(parents=True, exist_ok=True)
            exif = Image.Exif()
            if tag:
                exif[0x0112] = tag
                image = image.transpose(TURN[tag])
            image.save(target, exif=exif, **options)
    return files


def main():
    """Print the accuracy of the knee on every copy, by evaluation and by predict.py."""
    study = open_study(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copies(root)
        candidate = study.generate({"cpu": study.knee("cpu")})
        bundle = explorer.export(study, candidate, root / "net")
        for form in ("plain", "png", "jpg"):
            moved = study.with_images(f"folder:{root / form}", checked=False)
            evaluated = float(moved.evaluate([candidate.architecture], "val")[0])
            files = sorted((root / form / "validation").rglob("*.*"))
            done = subprocess.run([sys.executable, str(bundle.files["predict"]), *map(str, files)], capture_output=True,
                                  text=True, check=True)  # fmt: skip
            right = [line.rsplit(": ", 1)[1].rsplit(" (", 1)[0] == file.parent.name
                     for line, file in zip(done.stdout.splitlines(), files)]  # fmt: skip
            print(f"{form}: evaluated {evaluated:.4%}, predict.py {sum(right) / len(right):.4%} of {len(right)}")


if __name__ == "__main__":
    main()
