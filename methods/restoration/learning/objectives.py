"""What each restorer minimises, as named terms whose sum is the loss."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from methods.restoration.learning import efcr
from methods.restoration.learning.examples import Batch
from methods.restoration.learning.recipe import Recipe
from methods.restoration.networks import iniknet, nrknet
from methods.restoration.networks.kernel_guided.classifier import class_loss, levels_of
from methods.restoration.networks.kernel_guided.losses import reblur_loss, restoration_loss

BALANCED_FROM = 1e-4  # mean square of a photograph, 40 dB, below which a patch weighs no more

Terms = dict[str, Tensor]
Objective = Callable[[Any, Batch, Tensor | None, int, Recipe], Terms]
"""(network, batch, extra photographs without a twin [B, 3, P, P], step, recipe) to terms. The network may run in half
precision, under autocast; what is summed is single."""


def of(architecture: str) -> Objective:
    """The objective of the network called `architecture`."""
    own: dict[str, Objective] = {
        "kernel-guided": _kernel_guided,
        "nrknet": _own_of(nrknet),
        "iniknet": _own_of(iniknet),
    }
    return own.get(architecture, _mean_difference)


def _mean_difference(network: nn.Module, batch: Batch, extra: Tensor | None, step: int, recipe: Recipe) -> Terms:
    """L1, and EFCR where the recipe has it: with Lext of the photographs themselves, or of the extra ones."""
    output = network(batch.photograph).float()
    terms = {"l1": functional.l1_loss(output, batch.sharp)}
    if recipe.efcr == "none":
        return terms
    negative = None
    if recipe.efcr == "extended":
        blurred = batch.photograph if extra is None else extra
        reblurred = efcr.reblur(blurred, efcr.REBLUR_SIZES[step % len(efcr.REBLUR_SIZES)])
        negative = efcr.extended(blurred, reblurred, network(reblurred).float())
    return terms | {"efcr": efcr.WEIGHT * efcr.efcr(output, batch.sharp, batch.photograph, negative)}


def _kernel_guided(network: Any, batch: Batch, extra: Tensor | None, step: int, recipe: Recipe) -> Terms:
    """The three losses, each for its own network at first; then the restoration's goes through the kernel, too.

    In that second part the paper has the restoration's loss alone. Here the others stay, as what the kernels are is
    scored as well.
    """
    kernel, logits = network.estimate(batch.photograph)
    apart = step < recipe.apart * recipe.steps
    restored = network.restorer(batch.photograph, kernel.detach() if apart else kernel).float()
    restoration = balanced_loss(restored, batch) if recipe.balanced else restoration_loss(restored, batch.sharp)
    return {
        "classes": 0.01 * class_loss(logits.float(), levels_of(batch.coc, batch.mask)),
        "kernel": reblur_loss(kernel.float(), batch.sharp, batch.photograph, network.config.light),
        "restoration": restoration,
    }


def balanced_loss(output: Tensor, batch: Batch) -> Tensor:
    """Mean square over the patches, each weighed by the inverse of its photograph's, of the scale that it has without.

    Patches that are much out of focus differ from their twins a thousand times more than those that are hardly, which
    they would else drown: a network then harms what is sharp, and scores are means over dB. The mean difference is not
    for this: its gradient does not fade where a patch is nearly right, and with such weights it keeps photographs as
    they are.
    """
    own = (batch.photograph - batch.sharp).square().mean((1, 2, 3)) + BALANCED_FROM
    found = (output - batch.sharp).square().mean((1, 2, 3))
    return (found / own).mean() * own.mean()


def _own_of(module: Any) -> Objective:
    """The objective that the network's own module has."""

    def terms(network: nn.Module, batch: Batch, extra: Tensor | None, step: int, recipe: Recipe) -> Terms:
        return {"own": module.objective(network, batch.photograph, batch.sharp)}

    return terms
