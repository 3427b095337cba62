"""Image data sets: by name, from folders, from archives. Loading images needs torch; inspecting archives does not."""

from typing import TYPE_CHECKING

from explorer.core.lazy import lazy

if TYPE_CHECKING:
    from explorer.data.datasets import DATASETS, Images, Split, load_dataset

__getattr__ = lazy(__name__, dict.fromkeys(("DATASETS", "Images", "Split", "load_dataset"), "datasets"))

__all__ = ["DATASETS", "Images", "Split", "load_dataset"]
