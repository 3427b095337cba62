"""Parts are drawn by class, with duplicates in one part; given parts are never changed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.core.errors import InputError, Note
from explorer.data import load_dataset
from explorer.data.folders import Folder
from explorer.data.splits import split_rows


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))


def smooth(seed, size=(120, 90)):
    """A photograph-like picture: smooth colours, different for every seed."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def folder_of(root, counts):
    seed = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for _ in range(count):
            seed += 1
            smooth(seed).save(root / name / f"{seed}.png")
    return root


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_class_is_in_every_part_and_groups_stay_together(data):
    sizes = data.draw(st.lists(st.integers(3, 30), min_size=2, max_size=6))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.arange(len(labels))
    for _ in range(data.draw(st.integers(0, 4))):  # some duplicates, at most a third of a class
        c = data.draw(st.integers(0, len(sizes) - 1))
        rows = np.flatnonzero(labels == c)
        if sizes[c] >= 9:
            a, b = data.draw(st.sampled_from(rows[:3].tolist())), data.draw(st.sampled_from(rows[:3].tolist()))
            groups[groups == groups[b]] = groups[a]
    seed = data.draw(st.integers(0, 5))
    parts = split_rows(labels, [""] * len(labels), groups, [str(c) for c in range(len(sizes))], seed)
    every = np.concatenate(list(parts.values()))
    assert sorted(every) == list(range(len(labels))), "each photograph is in exactly one part"
    for rows in parts.values():
        assert set(labels[rows]) == set(range(len(sizes)))
        others = np.setdiff1d(every, rows)
        assert not set(groups[rows]) & set(groups[others])
    again = split_rows(labels, [""] * len(labels), groups, [str(c) for c in range(len(sizes))], seed)
    assert all(np.array_equal(parts[s], again[s]) for s in parts)


def test_a_class_of_three_is_in_every_part(tmp_path):
    folder = Folder(folder_of(tmp_path / "a", {"many": 60, "rare": 3}), 0, 32)
    assert folder.about().counts == {
        "many": {"train": 42, "val": 9, "test": 9}, "rare": {"train": 1, "val": 1, "test": 1}
    }  # fmt: skip
    said = " ".join(folder.about().warnings())
    assert "1 class(es) have fewer than 10 training photographs: rare" in said
    assert "95% of all photographs are of class 'many'" in said


def test_a_class_that_is_too_small_is_named(tmp_path):
    folder = Folder(folder_of(tmp_path / "a", {"many": 40, "pair": 2, "single": 1}), 0, 32)
    assert folder.about().counts["single"] == {"train": 1, "val": 0, "test": 0}
    assert folder.about().counts["pair"] == {"train": 1, "val": 1, "test": 0}
    said = " ".join(folder.about().warnings())
    assert "1 class(es) have no validation photograph: single" in said
    assert "2 class(es) have no test photograph: pair, single" in said


def test_copies_of_a_photograph_stay_in_one_part(tmp_path):
    """Exact, re-encoded, resized and turned-by-tag copies: none may be trained on and tested on."""
    root = folder_of(tmp_path / "a", {"cat": 40, "dog": 40})
    for seed in range(1, 21):
        picture = smooth(seed)
        (root / "cat" / f"{seed}-copy.png").write_bytes((root / "cat" / f"{seed}.png").read_bytes())
        picture.save(root / "cat" / f"{seed}-again.jpg", quality=70)
        picture.resize((80, 60)).save(root / "cat" / f"{seed}-small.png")
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(root / "cat" / f"{seed}-turned.png", exif=exif)
    for draw in range(3):
        folder = Folder(root, draw, 32)
        part = {folder.names[row]: split for split, rows in folder.rows.items() for row in rows}
        for seed in range(1, 21):
            copies = [name for name in part if name.startswith(f"cat/{seed}-") or name == f"cat/{seed}.png"]
            assert len(copies) == 5
            assert len({part[name] for name in copies}) == 1, f"copies of {seed} are in {[part[n] for n in copies]}"
    about = folder.about()
    assert about.duplicates.exact == 20 * 3, (
        "three of five are equal pixel by pixel: the file, its copy, and the turned one"
    )
    assert about.duplicates.across == {"val": 0, "test": 0, "test in val": 0}


def test_plain_and_similar_images_are_no_duplicates(tmp_path):
    """Digits on black differ in few bits of a difference hash; their miniatures differ."""
    digits = load_dataset("digits")
    for label in range(10):
        (tmp_path / "a" / str(label)).mkdir(parents=True)
    for i in range(300):
        pixels = digits.train.images[i, 0].numpy()
        Image.fromarray(pixels).resize((64, 64)).save(tmp_path / "a" / str(int(digits.train.labels[i])) / f"{i}.png")
    found = Folder(tmp_path / "a", 0, 32).about().duplicates
    assert found.exact + found.near <= 3


def test_duplicates_across_given_parts_are_reported_not_moved(tmp_path):
    root = folder_of(tmp_path / "a" / "train", {"cat": 30, "dog": 30}).parent
    (root / "test" / "cat").mkdir(parents=True)
    (root / "test" / "dog").mkdir()
    for seed in (1, 2, 3):
        smooth(seed).save(root / "test" / "cat" / f"{seed}.jpg", quality=80)
    smooth(100).save(root / "test" / "dog" / "100.png")
    smooth(31).save(root / "train" / "cat" / "also-a-dog.png")
    folder = Folder(root, 0, 32)
    about = folder.about()
    assert [about.counts[c]["test"] for c in ("cat", "dog")] == [3, 1]
    assert about.duplicates.across["test"] == 3
    assert about.duplicates.two_classes == (("train/cat/also-a-dog.png", "train/dog/31.png"),)
    said = " ".join(about.warnings())
    assert "3 of 4 test photographs are also in training" in said
    assert "one photograph is in two classes: train/cat/also-a-dog.png and train/dog/31.png" in said


def test_a_class_without_training_photographs_is_refused(tmp_path):
    root = folder_of(tmp_path / "a" / "train", {"cat": 30, "dog": 30}).parent
    folder_of(root / "test", {"fox": 3})
    with pytest.raises(InputError, match="class 'fox' has no photograph in the training part"):
        Folder(root, 0, 32)


def test_training_tells_before_it_begins(tmp_path, quick_recipe):
    """Notes on the data come from the library as warnings, once, before the first step."""
    import explorer

    root = folder_of(tmp_path / "a", {"many": 60, "rare": 3})
    with pytest.warns(Note, match="95% of all photographs are of class 'many'"):
        study = explorer.train(quick_recipe, tmp_path / "s", data=f"folder:{root}")
    reported = study.manifest.reported[0]
    assert set(reported.recall) == {"many", "rare"}
    assert reported.balanced == pytest.approx(sum(reported.recall.values()) / 2)
    card = (study.folder / "README.md").read_text()
    assert "balanced" in card
    assert "| rare |" in card


def test_small_objects_on_plain_backgrounds_are_no_duplicates(tmp_path):
    """Screws and washers on white: each at its own place, in its own size and colour."""
    from PIL import ImageDraw

    rng = np.random.default_rng(0)
    for name in ("screw", "washer"):
        (tmp_path / "a" / name).mkdir(parents=True)
        for i in range(24):
            image = Image.new("RGB", (400, 400), "white")
            (x, y), side = rng.integers(40, 300, 2), int(rng.integers(36, 60))
            colour = tuple(int(v) for v in rng.integers(0, 160, 3))
            draw = ImageDraw.Draw(image)
            (draw.rectangle if name == "screw" else draw.ellipse)((x, y, x + side, y + side), fill=colour)
            image.save(tmp_path / "a" / name / f"{i}.png")
    found = Folder(tmp_path / "a", 0, 96).about().duplicates
    assert (found.exact, found.near, found.two_classes) == (0, 0, ())


def test_a_burst_of_one_scene_does_not_fill_a_part(tmp_path):
    root = folder_of(tmp_path / "a", {"cat": 8, "dog": 22})
    picture = smooth(77)
    for i in range(14):
        picture.save(root / "cat" / f"burst{i}.jpg", quality=70 + i)
    counts = Folder(root, 0, 32).about().counts["cat"]
    assert counts == {"train": 16, "val": 3, "test": 3}


def test_copies_between_given_validation_and_test_are_counted(tmp_path):
    root = folder_of(tmp_path / "a" / "train", {"cat": 30, "dog": 30}).parent
    for part in ("val", "test"):
        for name, first in (("cat", 500), ("dog", 600)):
            (root / part / name).mkdir(parents=True)
            for i in range(4):
                smooth(first + i).save(root / part / name / f"{part}{i}.png")
    about = Folder(root, 0, 32).about()
    assert about.duplicates.across == {"val": 0, "test": 0, "test in val": 8}
    assert "8 test photographs are also in validation, by which networks are chosen" in about.warnings()
