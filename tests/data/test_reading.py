"""Pixels are those that a person sees, whatever the file is."""

import io

import numpy as np
import pytest
from PIL import Image

from explorer.data.reading import Broken, NoImage, read_image, shorter_side, with_heic


@pytest.fixture
def picture():
    """A portrait photograph of four coloured quarters: red, green / blue, white."""
    pixels = np.zeros((96, 64, 3), np.uint8)
    pixels[:48, :32], pixels[:48, 32:], pixels[48:, :32], pixels[48:, 32:] = (
        (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)
    )  # fmt: skip
    return Image.fromarray(pixels)


def seen(pixels):
    """The names of the four quarters."""
    h, w = pixels.shape[:2]
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white", (0, 0, 0): "black"}
    at = [(h // 5, w // 5), (h // 5, -w // 5), (-h // 5, w // 5), (-h // 5, -w // 5)]
    return [names.get(tuple(int(v > 128) for v in pixels[y, x]), "?") for y, x in at]


RIGHT = ["red", "green", "blue", "white"]
TURNS = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_orientation_tags_are_applied(picture, tag, form, tmp_path):
    stored = picture if TURNS[tag] is None else picture.transpose(TURNS[tag])
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / "x"
    stored.save(path, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    pixels, size, kind = read_image(path, 32)
    assert (seen(pixels), size, kind) == (RIGHT, (64, 96), "colour")
    if form != "JPEG":
        assert np.array_equal(pixels, read_plain(picture, tmp_path))


def read_plain(picture, folder):
    picture.save(folder / "plain.png")
    return read_image(folder / "plain.png", 32)[0]


def test_hidden_colours_behind_transparency_are_not_seen(picture, tmp_path):
    layered = picture.convert("RGBA")
    alpha = np.full((96, 64), 255, np.uint8)
    alpha[:48] = 0  # red and green are hidden
    layered.putalpha(Image.fromarray(alpha))
    for form in ("PNG", "WEBP", "TIFF"):
        layered.save(tmp_path / "x", form, **({"lossless": True, "exact": True} if form == "WEBP" else {}))
        assert seen(read_image(tmp_path / "x", 32)[0]) == ["white", "white", "blue", "white"]
    palette = picture.convert("P", palette=Image.Palette.ADAPTIVE)
    palette.info["transparency"] = palette.getpixel((5, 5))
    palette.save(tmp_path / "x", "PNG", transparency=palette.getpixel((5, 5)))
    assert seen(read_image(tmp_path / "x", 32)[0]) == ["white", "green", "blue", "white"]


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("P", "GIF"), ("YCbCr", "TIFF"), ("LAB", "TIFF")]
)
def test_other_colour_models(picture, mode, form, tmp_path):
    picture.convert(mode).save(tmp_path / "x", form)
    assert seen(read_image(tmp_path / "x", 32)[0]) == RIGHT


def test_the_first_frame_is_taken(picture, tmp_path):
    other = Image.new("RGB", picture.size, "black")
    for form in ("GIF", "WEBP", "TIFF", "PNG"):
        picture.save(tmp_path / "x", form, save_all=True, append_images=[other])
        assert seen(read_image(tmp_path / "x", 32)[0]) == RIGHT


@pytest.mark.parametrize("name", ["x.jfif", "x", "x.png", "x.photo", "x.txt", "x.JPG"])
def test_contents_decide_not_names(picture, name, tmp_path):
    picture.save(tmp_path / name, "JPEG", quality=95)
    assert seen(read_image(tmp_path / name, 32)[0]) == RIGHT


def test_avif_and_heic(picture, tmp_path):
    picture.save(tmp_path / "x.avif", "AVIF")
    assert seen(read_image(tmp_path / "x.avif", 32)[0]) == RIGHT
    heif = pytest.importorskip("pillow_heif")
    assert with_heic()
    heif.from_pillow(picture).save(tmp_path / "x.heic", quality=90)
    assert seen(read_image(tmp_path / "x.heic", 32)[0]) == RIGHT


def test_bits_and_grey(tmp_path):
    for mode, kind in (("L", "grey"), ("1", "grey"), ("LA", "grey"), ("I;16", "deep"), ("F", "deep")):
        form = "TIFF" if mode in ("F", "I;16") else "PNG"
        base = np.full((40, 40), 200 if mode != "1" else 255, np.uint16 if mode == "I;16" else np.uint8)
        image = Image.fromarray(base) if mode in ("I;16", "L") else Image.fromarray(base.astype(np.uint8)).convert(mode)
        image.save(tmp_path / "x", form)
        pixels, _, found = read_image(tmp_path / "x", 16)
        assert (found, pixels.shape) == (kind, (18, 18, 3))


@pytest.mark.parametrize(("content", "name", "error", "said"), [
    (b"", "x.png", Broken, "empty"), (b"not an image", "x.jpg", Broken, "not those of an image"),
    (b"text", "x.txt", NoImage, "not an image"), (b"text", "x", NoImage, "not an image"),
])  # fmt: skip
def test_what_cannot_be_read_says_why(content, name, error, said, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=said):
        read_image(tmp_path / name, 32)


def test_a_cut_photograph_is_broken(picture, tmp_path):
    whole = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(whole, "JPEG")
    (tmp_path / "x.jpg").write_bytes(whole.getvalue()[:4000])
    with pytest.raises(Broken):
        read_image(tmp_path / "x.jpg", 32)


def test_proportions_are_kept(tmp_path):
    """Squashing is over: the shorter side becomes 8/7 of the size, and a small image keeps all of its pixels."""
    assert [shorter_side(96, s) for s in (20, 96, 97, 4000)] == [96, 96, 110, 110]
    Image.new("RGB", (400, 300)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", 96)[0].shape == (110, 147, 3)
    Image.new("RGB", (4000, 300)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", 96)[0].shape == (110, 275, 3), "a panorama is cut to 2.5 times its height"


def test_damaged_files_of_every_format_are_broken_not_tracebacks(picture, tmp_path):
    rng = np.random.default_rng(0)
    forms = {"AVIF": {}, "JPEG": {}, "PNG": {}, "WEBP": {}, "TIFF": {}, "GIF": {}, "BMP": {}}
    heif = pytest.importorskip("pillow_heif")
    with_heic()
    for form, options in forms.items():
        picture.save(tmp_path / f"x.{form.lower()}", form, **options)
    heif.from_pillow(picture).save(tmp_path / "x.heic")
    for path in sorted(tmp_path.glob("x.*")):
        whole = path.read_bytes()
        for trial in range(40):
            data = bytearray(whole)
            if trial % 2:
                data = data[: int(rng.integers(20, len(data)))]
            else:
                for at in rng.integers(12, len(data), 12):
                    data[at] = int(rng.integers(0, 256))
            (tmp_path / path.name.replace("x", "y")).write_bytes(bytes(data))
            try:
                read_image(tmp_path / path.name.replace("x", "y"), 32)
            except (Broken, NoImage):
                continue
    path = tmp_path / "cut.heic"
    path.write_bytes((tmp_path / "x.heic").read_bytes()[:300])
    with pytest.raises(Broken):
        read_image(path, 32)


def test_a_damaged_tag_says_nothing_about_the_pixels(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = bytearray(exif.tobytes())
    at = raw.find(b"\x12\x01") if b"\x12\x01" in raw else raw.find(b"\x01\x12")
    raw[at + 2 : at + 4] = b"\x07\x00" if raw[at : at + 2] == b"\x12\x01" else b"\x00\x07"  # another type
    picture.save(tmp_path / "x.jpg", exif=bytes(raw), quality=95)
    assert read_image(tmp_path / "x.jpg", 32)[2] == "colour"
