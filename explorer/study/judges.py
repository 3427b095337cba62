"""What generators learn from beside the predictor: a supernet and images that its weights were not trained on.

A method with a judge (`generators.methods`) needs a space whose supernet runs mixtures of choices. The recipe then
keeps a share of the training images from the weights, and the judge counts on those. Training a study and retraining
its generators for a new device take the judge from here, so they learn from the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from explorer.generators.methods import METHODS
from explorer.spaces import Space
from explorer.study.recipe import Recipe

if TYPE_CHECKING:
    from explorer.data import Images
    from explorer.supernets import Supernet


def judged_methods(recipe: Recipe, space: Space) -> list[str]:
    """Methods of a recipe that learn through the supernet of this space."""
    return [name for name in recipe.generators if METHODS[name].judge and space.soft]


def images_for_weights(recipe: Recipe, space: Space, images: Images) -> Images:
    """The images that the supernet is trained on: all, or those that no judge needs."""
    held_out = [getattr(recipe.method_settings(name), "held_out") for name in judged_methods(recipe, space)]  # noqa: B009
    if not held_out:
        return images
    kept = round((1 - max(held_out)) * len(images.train))
    return replace(images, train=images.train.take(slice(kept)))


def judge(recipe: Recipe, method: str, space: Space, images: Images, supernet: Supernet) -> object:
    """What a method learns from: the training images that the weights have not seen, through the supernet."""
    rest = images.train.take(slice(len(images_for_weights(recipe, space, images).train), None))
    step = getattr(recipe.method_settings(method), "images")  # noqa: B009
    return METHODS[method].judge_of(supernet, rest.images, rest.labels, step, recipe.seed)
