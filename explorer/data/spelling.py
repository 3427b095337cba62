"""What names of folders and files mean: a part of a split, or something of the system's own."""

import os
import re

SPLITS = ("train", "val", "test")
SPELLED = {
    "train": "train", "training": "train", "trn": "train", "trainset": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "valset": "val",
    "test": "test", "testing": "test", "tst": "test", "testset": "test", "eval": "test",
}  # fmt: skip
FILLERS = {"set", "data", "images", "image", "imgs", "img", "split", "dataset", "seg", "photos", "folder"}
SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "#recycle", "lost+found", "thumbs.db",
          "desktop.ini", "icon\r"}  # fmt: skip
ENDINGS = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".ico", ".tga", ".apng",
}  # fmt: skip


def is_system(name: str) -> bool:
    """Whether a file or folder belongs to a system or a program, not to the user's data."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM


def split_of(name: str) -> str:
    """Return which split a folder's name means: "train", "val", "test", or "" for none.

    >>> split_of("Validation"), split_of("test_images"), split_of("shoes")
    ('val', 'test', '')
    """
    words = [w for w in re.split(r"[^a-z]+", name.lower()) if w and w not in FILLERS]
    return SPELLED.get(words[0], "") if len(words) == 1 else ""


def looks_like_image(name: str) -> bool:
    """Whether a file is named like an image; its contents decide later."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def plain_name(name: str) -> str:
    """Return a file's name as text that can be encoded: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
