"""The one training loop of all restorers: AdamW, half a cosine, a moving average of the parameters, resumable.

While it runs, OUT.training holds what is needed to go on and OUT.log the events for TensorBoard; at the end OUT is the
checkpoint, and the former is gone.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from datasets.errors import InputError
from datasets.pairs import Pairs
from methods.contestant import Diverged
from methods.restoration import architectures, checkpoint
from methods.restoration.learning import objectives
from methods.restoration.learning.examples import Examples
from methods.restoration.learning.judge import Judge
from methods.restoration.learning.recipe import Plan, Recipe, as_json

SAVE_EVERY = 60.0  # seconds between saves of what is needed to go on


class Progress(NamedTuple):
    """How far a training is: the last loss, and the last validation, by name of the score."""

    step: int
    steps: int
    loss: float
    scores: dict[str, float]


class Trained(NamedTuple):
    """The checkpoint, its facts, and whether this call made it."""

    path: Path
    facts: dict[str, Any]
    outcome: Literal["trained", "already there"]


def train(
    plan: Plan,
    pairs: Pairs,
    out: Path,
    device: str = "cpu",
    code: str = "unknown",
    extra: Pairs | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Train the network of `plan` on `pairs` less every tenth object, which are for validation, into the file `out`.

    The same call goes on where an interrupted one stopped. `code`: hash of the source, for the checkpoint's facts.
    `extra`: photographs of which no twin is looked at, for `efcr`.

    Raises InputError if `out` is anything but this very training, finished or not, or cannot be written, or if the
    pairs do not suffice; Diverged if the loss is no longer finite.
    """
    recipe = plan.recipe
    if extra is not None and recipe.efcr != "extended":
        raise InputError("Extra photographs are for the extended EFCR alone: --set recipe.efcr=extended.")
    identity = plan.identity(pairs.content_hash, extra.content_hash if extra else None)
    if out.exists():
        return _already_there(out, plan, pairs)
    training, validation = pairs.held_out()
    run = _Run.begin(plan, device, identity, out)
    examples = Examples(training, recipe.patch, recipe.seed, recipe.exchange, recipe.again, device)
    more = Examples(extra, recipe.patch, recipe.seed + 1, recipe.exchange, device=device) if extra else None
    judge = Judge(validation, recipe.validation)
    terms_of = objectives.of(plan.architecture)
    with _writing(out), _events(out, run.step) as log:
        saved, loss = time.monotonic(), math.nan
        try:
            while run.step < recipe.steps:
                batch = examples.batch(run.step, recipe.batch)
                blurred = more.batch(run.step, recipe.batch).photograph if more else None
                with _precision(recipe, device):
                    terms = terms_of(run.network, batch, blurred, run.step, recipe)
                loss = run.advance(torch.stack(list(terms.values())).sum(), recipe)
                if run.step % 50 == 0 or run.step == recipe.steps:
                    for name, term in terms.items():
                        log.add_scalar(f"loss/{name}", float(term.detach()), run.step)
                if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
                    scores = judge.scores(run.average, recipe.patch)
                    run.curve.append({"step": run.step, **scores})
                    for name, score in scores.items():
                        log.add_scalar(f"validation/{name}", score, run.step)
                progress(Progress(run.step, recipe.steps, loss, run.curve[-1] if run.curve else {}))
                if time.monotonic() - saved > SAVE_EVERY:
                    run.save(out)
                    saved = time.monotonic()
        except BaseException:
            if math.isfinite(loss):
                run.save(out)
            raise
        facts = {
            "architecture": plan.architecture,
            "network": plan.network,
            "patch": recipe.patch,
            "trained_on": "synthetic macro pairs",
            "pairs": {
                "content_hash": pairs.content_hash,
                "count": len(training),
                "objects": len(training.shards),
                "size": pairs.size,
                "seed": pairs.manifest.get("seed"),
                "extra_hash": extra.content_hash if extra else None,
            },
            "recipe": asdict(recipe),
            "step": run.step,
            "curve": run.curve,
            "package": version("macro-deblurring-benchmark"),
            "code": code,
        }
        checkpoint.write(out, run.average, facts)
        _state_of(out).unlink(missing_ok=True)
    return Trained(out, checkpoint.facts(out), "trained")


class _Run:
    """A network in training: its moving average, optimiser, and how far it is."""

    def __init__(self, plan: Plan, device: str, identity: str) -> None:
        torch.manual_seed(plan.recipe.seed)
        self.identity, self.step, self.curve = identity, 0, list[dict[str, float]]()
        network = architectures.network(plan.architecture, plan.network)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            plan.recipe.learning_rate,
            betas=plan.recipe.betas,
            weight_decay=plan.recipe.weight_decay,
        )

    @staticmethod
    def begin(plan: Plan, device: str, identity: str, out: Path) -> "_Run":
        """A new run, or the one that was interrupted. Raises InputError if that is another one's."""
        run, path = _Run(plan, device, identity), _state_of(out)
        if not path.exists():
            return run
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            if state["identity"] != identity:
                raise InputError(
                    f"{path} belongs to another training than this one: choose another --out, or delete it."
                )
            run.network.load_state_dict(state["network"])
            run.average.load_state_dict(state["average"])
            run.optimiser.load_state_dict(state["optimiser"])
            run.step, run.curve = state["step"], state["curve"]
        except InputError:
            raise
        except Exception as error:  # torch.load raises whatever its unpickler happens upon
            raise InputError(f"{path} is damaged: delete it, and the training starts anew.") from error
        return run

    def advance(self, loss: Tensor, recipe: Recipe) -> float:
        """One step down `loss`; its value. Raises Diverged, before any parameter changes, if it is not finite."""
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(self.step, f"the loss is {value}")
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, recipe)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        self.optimiser.step()
        # The first steps would else weigh in the average for as long as the last ones.
        decay = min(recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, own in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(own, 1 - decay)
            for kept, own in zip(self.average.buffers(), self.network.buffers(), strict=True):
                kept.copy_(own)  # statistics of batches are averages already
        self.step += 1
        return value

    def save(self, out: Path) -> None:
        """Write what is needed to go on, whole or not at all."""
        path = _state_of(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        state = {
            "identity": self.identity,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curve": self.curve,
        }
        torch.save(state, partial)
        os.replace(partial, path)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Of the step at `step`, from 0: a linear rise, then half a cosine from the first to the last rate."""
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    share = (step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
    fall = recipe.learning_rate - recipe.last_learning_rate
    return recipe.last_learning_rate + fall * (1 + math.cos(math.pi * share)) / 2


def _state_of(out: Path) -> Path:
    return out.with_suffix(".training")


def _already_there(out: Path, plan: Plan, pairs: Pairs) -> Trained:
    """The finished training in `out`. Raises InputError if it is another one's, or no checkpoint at all."""
    facts = checkpoint.facts(out)
    mine = {"architecture": plan.architecture, "network": plan.network, "recipe": as_json(asdict(plan.recipe))}
    if other := [key for key in mine if facts[key] != mine[key]]:
        raise InputError(f"{out} holds another training (its {', '.join(other)} differ): choose another --out.")
    if facts["pairs"].get("content_hash") != pairs.content_hash:
        raise InputError(f"{out} was trained on other pairs: choose another --out.")
    return Trained(out, facts, "already there")


def _precision(recipe: Recipe, device: str) -> AbstractContextManager[Any]:
    return torch.autocast(device, torch.bfloat16) if recipe.precision == "bfloat16" else nullcontext()


@contextmanager
def _events(out: Path, step: int) -> Iterator[SummaryWriter]:
    """What writes the events for TensorBoard; those from `step` on, of a run that was killed, no longer count."""
    writer = SummaryWriter(str(out.with_suffix(".log")), purge_step=step)
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Raises InputError where what is written for `out` cannot be."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error
