"""What a folder of photographs is taken for: every usual layout, and the traps between them."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from explorer.core.errors import InputError
from explorer.data.folders import Folder
from explorer.data.layouts import listing
from explorer.data.spelling import split_of


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))


def photo(path, seed=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(abs(hash(str(path))) if seed is None else seed)
    Image.fromarray(rng.integers(0, 255, (24, 20, 3), np.uint8)).save(path, "PNG")
    return path


def classes(root, names=("cat", "dog"), count=12):
    for name in names:
        for i in range(count):
            photo(root / name / f"{i}.png")
    return root


def read(root, **options):
    return Folder(root, 0, 16, **options)


def counted(folder):
    return {name: tuple(parts.values()) for name, parts in folder.about().counts.items()}


SPELLINGS = [
    ("train", "val", "test"), ("Train", "Valid", "Test"), ("training", "validation", "testing"),
    ("train_images", "dev", "test_images"), ("seg_train", "val_set", "seg_test"), ("TRAIN", "VAL", "TEST"),
]  # fmt: skip


@pytest.mark.parametrize("names", SPELLINGS)
def test_parts_are_no_classes(names, tmp_path):
    """The fault of the first edition: a folder of train, validation and test was a problem of three classes."""
    for name, count in zip(names, (12, 3, 4)):
        classes(tmp_path / "a" / name, count=count)
    folder = read(tmp_path / "a")
    assert counted(folder) == {"cat": (12, 3, 4), "dog": (12, 3, 4)}
    for split, name in zip(("train", "val", "test"), names):
        assert all(folder.names[row].startswith(name + "/") for row in folder.rows[split]), "a given part was changed"


def test_a_missing_part_is_drawn_from_training_by_class(tmp_path):
    classes(tmp_path / "a" / "train", count=40)
    classes(tmp_path / "a" / "valid", count=4)
    folder = read(tmp_path / "a")
    assert counted(folder) == {"cat": (36, 4, 4), "dog": (36, 4, 4)}
    assert folder.listing.layout.endswith("test drawn from training")


@pytest.mark.parametrize("outer", ["", "photos", "a/b"])
def test_classes_in_outer_folders_and_nested(outer, tmp_path):
    root = classes(tmp_path / "a" / outer, count=10)
    photo(root / "cat" / "holidays" / "2024" / "x.png")
    photo(root / "dog" / "old" / "x.png")
    folder = read(tmp_path / "a")
    assert folder.classes == ["cat", "dog"]
    assert {name: sum(n) for name, n in counted(folder).items()} == {"cat": 11, "dog": 11}


def test_parts_inside_classes(tmp_path):
    for name in ("cat", "dog"):
        classes(tmp_path / "a" / name, ("train", "test"), 10)
    folder = read(tmp_path / "a")
    assert counted(folder) == {"cat": (8, 2, 10), "dog": (8, 2, 10)}


def test_a_class_may_be_called_train(tmp_path):
    folder = read(classes(tmp_path / "a", ("bus", "car", "train")))
    assert folder.classes == ["bus", "car", "train"]


def test_what_can_be_read_in_two_ways_is_refused(tmp_path):
    classes(tmp_path / "a", ("train", "test", "bus"))
    with pytest.raises(InputError, match=r"two ways: .*test.*train.* are parts of a split, or classes beside bus"):
        listing(tmp_path / "a")
    for name in ("train", "test"):
        photo(tmp_path / "b" / name / "1.png")
    with pytest.raises(InputError, match=r"'train' is the training part, but has no folders of classes"):
        listing(tmp_path / "b")
    classes(tmp_path / "c", ("train/cat", "training/dog"))
    with pytest.raises(InputError, match=r"'train', 'training' both mean the 'train' part"):
        listing(tmp_path / "c")
    classes(tmp_path / "d" / "val")
    classes(tmp_path / "d" / "test")
    with pytest.raises(InputError, match="no part for training"):
        listing(tmp_path / "d")


def test_a_test_part_without_classes_is_left_out_and_named(tmp_path):
    classes(tmp_path / "a" / "train", count=20)
    photo(tmp_path / "a" / "test" / "001.png")
    folder = read(tmp_path / "a")
    assert all(parts[2] for parts in counted(folder).values()), "a test part is drawn"
    assert "it is in no class folder" in " ".join(folder.about().warnings())


TABLE = "file,label\n"


@pytest.mark.parametrize("how", ["labels.csv", "no ending", "tabs", "train.txt", "the list itself", "split column"])
def test_lists_of_files(how, tmp_path):
    root = tmp_path / "a"
    names = [f"{name}{i}" for name in ("cat", "dog") for i in range(12)]
    for name in names:
        photo(root / "images" / f"{name}.png")
    rows = [(f"images/{n}.png", n[:3]) for n in names]
    path = root
    if how == "labels.csv":
        (root / "labels.csv").write_text(TABLE + "".join(f"{f},{c}\n" for f, c in rows))
    elif how == "no ending":
        (root / "labels.csv").write_text("image_id,breed\n" + "".join(f"{n},{n[:3]}\n" for n in names))
    elif how == "tabs":
        (root / "annotations.tsv").write_text("filename\tcategory\n" + "".join(f"{f}\t{c}\n" for f, c in rows))
    elif how == "the list itself":
        path = root / "mine.csv"
        path.write_text(TABLE + "".join(f"{f},{c}\n" for f, c in rows))
    elif how == "train.txt":
        (root / "train.txt").write_text("".join(f"{f} {c}\n" for f, c in rows if not f.endswith("1.png")))
        (root / "val.txt").write_text("".join(f"{f} {c}\n" for f, c in rows if f.endswith("1.png")))
    else:
        parts = ["train", "valid", "test"]
        text = "".join(f"{f},{c},{parts[i % 3]}\n" for i, (f, c) in enumerate(rows))
        (root / "labels.csv").write_text("file,label,split\n" + text)
    folder = read(path)
    assert folder.classes == ["cat", "dog"]
    assert len(folder.labels) == 24
    if how == "split column":
        assert counted(folder) == {"cat": (4, 4, 4), "dog": (4, 4, 4)}
    if how == "train.txt":
        assert all(folder.names[row].endswith("1.png") for row in folder.rows["val"])


def test_a_list_without_a_header_keeps_its_capitals(tmp_path):
    """The first line was once read as a header in small letters: a class of its own, with one photograph."""
    for i in range(24):
        photo(tmp_path / "a" / f"{i}.png")
    (tmp_path / "a" / "mine.csv").write_text("".join(f"{i}.png,{('Cat', 'Dog')[i % 2]}\n" for i in range(24)))
    assert read(tmp_path / "a" / "mine.csv").classes == ["Cat", "Dog"]


def test_lists_that_are_wrong_say_where(tmp_path):
    classes(tmp_path / "a", ("images",), 24)
    table = tmp_path / "a" / "mine.csv"
    table.write_text("x,y2,z\n1,2,3\n")
    with pytest.raises(InputError, match="has the columns x, y2, z; expected one of files"):
        listing(table)
    table.write_text("file,label\n0.png,cat\n1.png,\n")
    with pytest.raises(InputError, match="line 3: '1.png,' has no file or no class"):
        listing(table)
    table.write_text("file,label\n0.png,cat\n0.png,dog\n")
    with pytest.raises(InputError, match="is named twice"):
        listing(table)
    table.write_text("file,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(24)) + "gone.png,a\n")
    said = " ".join(read(table).about().warnings())
    assert "gone.png): named in mine.csv, but not in the folder" in said
    table.write_text("file,label\n../../secret.png,cat\n")
    photo(tmp_path.parent / "secret.png")
    with pytest.raises(InputError, match="none of its 1 files is below"):  # a list must not lead out of its folder
        listing(table)


def test_system_files_are_no_classes_and_no_photographs(tmp_path):
    root = classes(tmp_path / "a")
    for name in ("@eaDir", ".ipynb_checkpoints", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"):
        photo(root / name / "x.png")
        photo(root / "cat" / name / "y.png")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png"):
        (root / "cat" / name).write_bytes(b"x")
    folder = read(root)
    assert folder.classes == ["cat", "dog"]
    assert len(folder.labels) == 24
    assert folder.about().skipped == ()


def test_links_inside_are_followed_and_others_named(tmp_path):
    root = classes(tmp_path / "a")
    outside = photo(tmp_path / "outside" / "x.png")
    classes(tmp_path / "a" / "cat" / "more", (".",), 3)
    os.symlink(root / "cat" / "more", root / "dog" / "linked")
    os.symlink(outside, root / "cat" / "away.png")
    os.symlink(root, root / "dog" / "loop")
    os.symlink(root / "gone.png", root / "dog" / "nothing.png")
    found = listing(root)
    assert not any("away" in f.name for f in found.files)
    why = {s.why for s in found.skipped}
    assert why == {"a link that leaves the folder", "a link to nothing"}
    assert len(found.files) == 24 + 3, "a folder that is linked twice is read once"


def test_what_is_left_out_is_named_by_class_ending_and_reason(tmp_path):
    root = classes(tmp_path / "a")
    (root / "cat" / "notes.txt").write_text("x")
    (root / "cat" / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (root / "loose.png").write_bytes((root / "cat" / "0.png").read_bytes())
    (root / "empty").mkdir()
    about = read(root).about()
    left = {(s.label, s.ending): s.why for s in about.skipped}
    assert left == {
        ("cat", ".txt"): "not an image", ("cat", ".mp4"): "not an image", ("", ".png"): "it is in no class folder"
    }  # fmt: skip
    assert about.empty == ("empty",)
    said = about.as_json()
    assert sum(s["count"] for s in said["skipped"]) == 3
    assert "class folder 'empty' is empty" in " ".join(about.warnings())


def test_a_class_that_vanishes_whole_is_refused(tmp_path, monkeypatch):
    for room in ("prepared", "reading"):  # as where the plugin is not installed
        monkeypatch.setattr(f"explorer.data.{room}.with_heic", lambda: False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name not in ("HEIF", "HEIC")])
    root = classes(tmp_path / "a")
    (root / "fox").mkdir()
    for i in range(30):
        (root / "fox" / f"{i}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes([i]) * 40)
    with pytest.raises(
        InputError, match=r"class 'fox' .* no image that can be read \(30 file\(s\) \.heic: HEIC .*heic"
    ):
        read(root)


def test_an_archive_is_its_folder(tmp_path):
    for name in ("train", "test"):
        classes(tmp_path / "a" / name)
    path = shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path, "a")
    assert counted(read(tmp_path / "b.zip")) == counted(read(tmp_path / "a"))
    assert path.endswith("b.zip")


@pytest.mark.parametrize(("name", "split"), [
    ("train", "train"), ("Validation", "val"), ("test_images", "test"), ("images_test", "test"), ("dev-set", "val"),
    ("shoes", ""), ("trainers", ""), ("test tube", ""), ("train car", ""), ("validated", ""), ("", ""),
])  # fmt: skip
def test_names_of_parts(name, split):
    assert split_of(name) == split


def listed(root, text, name="labels.csv"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


def test_a_table_beside_several_folders_of_images_counts(tmp_path):
    """HAM10000's layout: two folders of images, one table; the folders are no classes."""
    for part in ("images_part_1", "images_part_2"):
        for i in range(12):
            photo(tmp_path / "a" / part / f"{part[-1]}{i:02d}.png")
    text = "image_id,dx,label\n" + "".join(
        f"{p}{i:02d},x,{'cat' if i % 2 else 'dog'}\n" for p in (1, 2) for i in range(12)
    )
    assert read(listed(tmp_path / "a", text)).classes == ["cat", "dog"]


def test_a_column_of_parts_is_believed_also_in_a_file_called_train(tmp_path):
    rows = [(f"images/{i}.png", "ab"[i % 2], ("train", "val", "test")[i // 8]) for i in range(24)]
    for file, *_ in rows:
        photo(tmp_path / "a" / file)
    listed(tmp_path / "a", "file,label,split\n" + "".join(",".join(r) + "\n" for r in rows), "train.csv")
    assert counted(read(tmp_path / "a")) == {"a": (4, 4, 4), "b": (4, 4, 4)}
    listed(
        tmp_path / "a",
        "file,label,split\n" + "".join(f"{f},{c},{'x' if s == 'val' else s}\n" for f, c, s in rows),
        "train.csv",
    )
    with pytest.raises(InputError, match=r"line 10: split is 'x'; expected train, val or test"):
        listing(tmp_path / "a")


@pytest.mark.parametrize(("text", "said"), [
    ("file,label\n0.png,a\n1.png,\n", "line 3: '1.png,' has no file or no class"),
    ('file,label\n0.png,"a\n' + "x" * 140_000, "is not a table: field larger than field limit"),
])  # fmt: skip
def test_a_wrong_line_of_a_table_is_not_passed_over(text, said, tmp_path):
    classes(tmp_path / "a", ("images",), 24)
    with pytest.raises(InputError, match=said):
        listing(listed(tmp_path / "a", text))
    (tmp_path / "a" / "labels.csv").write_bytes("file,label\n0.png,ä\n".encode("cp1252"))
    with pytest.raises(InputError, match="is not UTF-8 text"):
        listing(tmp_path / "a")


def test_files_are_found_by_the_end_of_their_path(tmp_path):
    """Lists of another machine: Windows' separators, absolute paths, names without endings, letters in two parts."""
    import unicodedata

    for name in ("cat", "dog"):
        for i in range(12):
            photo(tmp_path / "a" / "photos" / name / f"{i:03d}.png")
            (tmp_path / "a" / "photos" / name / f"{i:03d}.json").write_text("{}")
    photo(tmp_path / "a" / "photos" / "cat" / unicodedata.normalize("NFD", "Grün.png"))
    text = "path,label\n" + "".join(
        f"{prefix}{name}{sep}{i:03d}{end},{name}\n"
        for name in ("cat", "dog") for i in range(12)
        for prefix, sep, end in [(r"C:\data\photos" + "\\", "\\", ".png"), ("/content/photos/", "/", ""),
                                 ("photos/", "/", ".png")][i % 3 : i % 3 + 1]
    )  # fmt: skip
    found = listing(listed(tmp_path / "a", text + "photos/cat/Grün.png,cat\nphotos/fox/000.png,fox\n000,cat\n"))
    assert len(found.files) == 25
    assert all(f.path.parent.name == f.label for f in found.files), "no file of another folder is taken"
    why = sorted(s.why for s in found.skipped if "labels.csv" in s.why)
    assert (
        why
        == [
            "named in labels.csv, but 2 files of that name are in the folder",
            "named in labels.csv, but 2 files of that name are in the folder",
        ]
        or "named in labels.csv" in why[0]
    )


def test_training_beside_another_folder_is_refused(tmp_path):
    classes(tmp_path / "a" / "train")
    photo(tmp_path / "a" / "unlabelled" / "1.png")
    with pytest.raises(InputError, match=r"two ways: train are parts of a split, or classes beside unlabelled"):
        listing(tmp_path / "a")


def test_parts_inside_classes_survive_a_stray_file_and_a_stray_photograph_is_refused(tmp_path):
    for name in ("cat", "dog"):
        classes(tmp_path / "a" / name, ("train", "test"), 10)
    (tmp_path / "a" / "cat" / "readme.txt").write_text("x")
    assert counted(read(tmp_path / "a"))["cat"] == (8, 2, 10)
    photo(tmp_path / "a" / "cat" / "stray.png")
    with pytest.raises(InputError, match=r"'cat/stray.png' is in none of them; move it"):
        listing(tmp_path / "a")


def test_odd_corners_of_a_folder_are_no_tracebacks(tmp_path):
    root = classes(tmp_path / "a" / "images", ("cat", "dog"))
    (tmp_path / "a" / "README.txt").write_text("words about it")
    os.symlink("loop", root / "cat" / "loop")
    os.symlink(root / "dog", root / "best")
    (root / "cat").joinpath(os.fsdecode(b"caf\xe9.txt")).write_text("x")
    about = read(tmp_path / "a").about()
    assert list(about.counts) == ["cat", "dog"], "a README does not hide the classes, and a link is no class of its own"
    said = " ".join(about.warnings())
    assert "a link that leads nowhere" in said or "a link to nothing" in said
    assert r"caf\udce9.txt" in said
