"""Reading one image file into the pixels that a person sees.

The contents decide what a file is, never its name. Orientation tags are applied, transparency is put on white, the
first frame is taken, and CMYK, palettes and 16 bits become ordinary pixels. Needs Pillow, but no torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from explorer.core.errors import InputError
from explorer.data.spelling import looks_like_image

LIMIT = 50_000_000  # maximum pixels of one image file; larger images are rejected before they are decoded
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # grey with more than 8 bits: radiographs, depth maps, microscopy
GREY = ("1", "L", "LA", "La", *DEEP)
WIDEST = 2.5  # of a longer side, only the middle is kept, up to this multiple of the shorter side
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


class NoImage(InputError):
    """A file is not an image, or one of a format that cannot be read; the message says which."""


class Broken(InputError):
    """A file is an image, but damaged, too large, or with pixels that are no numbers."""


def read_image(path: Path, size: int) -> tuple[np.ndarray, tuple[int, int], str]:
    """Read a file, upright, with its shorter side at the length from which `size` x `size` pixels are cut.

    Args:
        path: the file.
        size: height and width of the crops that will be cut, in pixels.

    Returns:
        Pixels (height, width, 3) uint8, or float32 for images of more than 8 bits; the original (width, height); and
        what it is: "colour", "grey" or "deep".

    Raises:
        NoImage: the file is not an image, or its format is not supported here.
        Broken: the file is a damaged or an extremely large image.
    """
    try:
        with Image.open(path) as opened:
            return _read(opened, size)
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise _named(path, error) from error


def _read(image: Image.Image, size: int) -> tuple[np.ndarray, tuple[int, int], str]:
    if image.width * image.height > LIMIT:
        raise ValueError(f"it has {image.width} x {image.height} pixels, more than {LIMIT:,}")
    kind = "deep" if image.mode in DEEP else "grey" if image.mode in GREY else "colour"
    original = image.size
    image.draft(None, (4 * size, 4 * size))  # JPEG: decodes at a fraction of the size, still far above what is needed
    image.load()  # Pillow turns TIFFs here, and then they have no tag
    original = image.size if image.format == "TIFF" else original
    tag = orientation(image)
    turned = image.transpose(TURNS[tag]) if tag in TURNS else image
    original = original[::-1] if tag >= 5 else original
    if kind == "deep":
        turned = turned.convert("F")
        if not np.isfinite(np.asarray(turned)).all():
            raise ValueError("a pixel is not a finite number")
    else:
        turned = on_white(turned)
    scaled = resized(turned, size)
    pixels = np.asarray(scaled)
    return (pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)), original, kind


def orientation(image: Image.Image) -> int:
    """Return the EXIF tag that says how a photograph is turned, 1 to 8; 1 where it is missing or damaged."""
    try:
        tag = image.getexif().get(0x0112, 1)
        return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1
    except Exception:  # a damaged tag says nothing about the pixels
        return 1


def on_white(image: Image.Image) -> Image.Image:
    """Convert to RGB, with transparent parts in white."""
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        whole = Image.new("RGBA", layered.size, "white")
        whole.alpha_composite(layered)
        image = whole
    return image.convert("RGB")


def shorter_side(size: int, shorter: int) -> int:
    """Return the length in pixels that an image's shorter side is brought to before `size` x `size` are cut.

    It is 8/7 of the size, so that the cut leaves out a margin; an image that has no more pixels than `size` keeps all.
    """
    return size if shorter <= size else round(size * 8 / 7)


def resized(image: Image.Image, size: int) -> Image.Image:
    """Scale an image so that its shorter side has the length of `shorter_side`, never changing its proportions.

    Of a panorama, the middle is returned.
    """
    width, height = image.size
    short = shorter_side(size, min(width, height))
    scale = short / min(width, height)
    new = max(size, round(width * scale)), max(size, round(height * scale))
    image = image if new == image.size else image.resize(new, Image.Resampling.BILINEAR)
    most = round(WIDEST * short)
    if max(new) > most:
        left, top = (max(0, (side - most) // 2) for side in new)
        image = image.crop((left, top, left + min(new[0], most), top + min(new[1], most)))
    return image


def centre(pixels: np.ndarray, size: int) -> np.ndarray:
    """Cut the middle `size` x `size` pixels out of (height, width, channels)."""
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


def _named(path: Path, error: BaseException) -> InputError:
    """Say what is wrong with a file."""
    try:
        with open(path, "rb") as file:
            head = file.read(32)
    except OSError as reason:
        return Broken(f"cannot be read: {reason.strerror or reason}")
    unknown = isinstance(error, UnidentifiedImageError)
    if unknown and head[4:8] == b"ftyp" and head[8:12] in HEIC and not with_heic():
        return NoImage("HEIC photographs need another package: pip install 'pareto-explorer[heic]'")
    if unknown and head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis") and not features.check("avif"):
        return NoImage("AVIF is not supported by this Pillow; update it: pip install -U pillow")
    if unknown and not looks_like_image(path.name):
        return NoImage("not an image")
    if not head:
        return Broken("the file is empty")
    if unknown:
        return Broken("its contents are not those of an image")
    return Broken(str(error).splitlines()[0][:120] if str(error) else type(error).__name__)


def with_heic() -> bool:
    """Let Pillow read HEIC where the plugin is installed (extra `heic`); return whether it is."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True
