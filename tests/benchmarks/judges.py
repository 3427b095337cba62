"""SGNAS's judge, the loss of a soft network: with which statistics does it rank networks as they are later measured?

    python -m tests.benchmarks.judges fashion-mnist-unified > docs/judges.json

60 evaluated networks, on 512 training images that the supernet was not trained on: norms with the statistics of 64 or 512
images at hand, or with those of the training. Kendall's tau of the loss and of the accuracy on these images with the
accuracy in the study (validation images, statistics recalibrated for each network).
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

from explorer.core.front import kendall_tau
from explorer.study import open_study
from explorer.study.judges import images_for_weights

NETWORKS, IMAGES = 60, 512


def main(name: str) -> dict:
    """Print and return the figures."""
    study = open_study(name)
    space, net = study.space, study.supernet
    rows = np.random.default_rng(0).permutation(len(study.scored.codes))[:NETWORKS]
    codes, accuracy = study.scored.codes[rows], study.scored.accuracy[rows]
    used = len(images_for_weights(study.recipe, space, study.images).train)
    rest = study.images.train.take(slice(used, used + IMAGES))
    pixels, found = rest.images.float() / 255, {}
    modes = (("of the training", False, 512), ("of 64 images", True, 64), ("of 512 images", True, 512))
    for said, training, batch in modes:  # the first one, because training mode changes the statistics
        net.train(training)
        judged = []
        for code in codes:
            ranks = torch.from_numpy(code.reshape(-1, space.subblocks).astype(np.int64))
            ranks[:, 0] += 1
            hard = F.one_hot(ranks, len(space.kernels) + 1).float()
            with torch.no_grad():
                logits = torch.cat([net.soft(part, hard) for part in pixels.split(batch)])
            loss = F.cross_entropy(logits, rest.labels, label_smoothing=0.1)
            judged.append((-float(loss), float((logits.argmax(1) == rest.labels).float().mean())))
        found[said] = {
            what: float(kendall_tau(np.array(values), accuracy))
            for what, values in zip(("loss", "accuracy"), zip(*judged))
        }
    print(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "fashion-mnist-unified")
