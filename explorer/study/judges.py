"""Judges: a training signal of generators in addition to the predictor, from a supernet and held-out training images.

A method with a judge (see `generators.methods`) needs a space whose supernet can run mixtures of all options. A share
of the training images is then held out from the supernet training, and the judge uses these images. Both the training
of a study and the retraining of its generators for a new device get the judge from here, so it is the same.
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
    """List the methods of a recipe that learn through the supernet of this space."""
    return [name for name in recipe.generators if METHODS[name].judge and space.soft]


def images_for_weights(recipe: Recipe, space: Space, images: Images) -> Images:
    """Return the images that the supernet is trained on: all, or all but those held out for a judge."""
    held_out = [getattr(recipe.method_settings(name), "held_out") for name in judged_methods(recipe, space)]  # noqa: B009
    if not held_out:
        return images
    kept = round((1 - max(held_out)) * len(images.train))
    return replace(images, train=images.train.take(slice(kept)))


def judge(recipe: Recipe, method: str, space: Space, images: Images, supernet: Supernet) -> object:
    """Construct a method's judge from the supernet and the training images that it was not trained on."""
    rest = images.train.take(slice(len(images_for_weights(recipe, space, images).train), None))
    step = getattr(recipe.method_settings(method), "images")  # noqa: B009
    return METHODS[method].judge_of(supernet, rest.images, rest.labels, step, recipe.seed)
