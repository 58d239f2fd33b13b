"""Training: it improves, it goes on where it stopped, and it never mixes two trainings up."""

import json
from dataclasses import replace

import pytest
import torch
from training_pairs import write_pairs

from datasets.errors import InputError
from datasets.pairs import open_pairs
from methods.contestant import Diverged
from methods.restoration import architectures, checkpoint
from methods.restoration.architectures import ARCHITECTURES
from methods.restoration.learning import objectives
from methods.restoration.learning.examples import Examples
from methods.restoration.learning.loop import train
from methods.restoration.learning.recipe import plan


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return open_pairs(write_pairs(tmp_path_factory.mktemp("pairs") / "there", objects=20, size=32))


class Stopped(Exception):
    pass


def stop_at(step):
    def say(progress):
        if progress.step == step:
            raise Stopped

    return say


@pytest.mark.parametrize("architecture", ["kernel-guided", "restormer"])
def test_preset_tiny_restores_photographs_of_objects_that_it_has_not_seen(architecture, pairs, tmp_path):
    facts = train(plan(architecture, "tiny", ["recipe.steps=150"]), pairs, tmp_path / "a.safetensors").facts
    last = facts["curve"][-1]
    assert last["psnr"] > last["input_psnr"] + 0.3
    if architecture == "kernel-guided":
        assert last["reblur_psnr"] > last["identity_psnr"] + 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_restorer_trains_and_its_checkpoint_tells_how(architecture, pairs, tmp_path):
    out = tmp_path / "deep" / "a.safetensors"
    wanted = plan(architecture, "tiny", steps=3)
    seen = []
    trained = train(wanted, pairs, out, code="abc", progress=seen.append)
    assert trained.outcome == "trained"
    assert [progress.step for progress in seen] == [1, 2, 3]
    facts = checkpoint.read(out).facts
    assert facts == trained.facts
    assert (facts["architecture"], facts["step"], facts["code"]) == (architecture, 3, "abc")
    assert facts["pairs"]["content_hash"] == pairs.content_hash
    assert (facts["pairs"]["count"], facts["pairs"]["objects"]) == (36, 18)
    assert facts["trained_on"] == "synthetic macro pairs"
    assert facts["curve"][-1]["step"] == 3
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.log", "a.safetensors"]


def test_an_interrupted_training_goes_on_and_ends_as_an_undisturbed_one(pairs, tmp_path):
    wanted = plan("nrknet", "tiny", ["recipe.validate_every=2"], steps=6)
    whole = train(wanted, pairs, tmp_path / "whole.safetensors")
    for step in (3, 5):
        with pytest.raises(Stopped):
            train(wanted, pairs, tmp_path / "broken.safetensors", progress=stop_at(step))
        assert not (tmp_path / "broken.safetensors").exists()
    steps = []
    broken = train(wanted, pairs, tmp_path / "broken.safetensors", progress=lambda at: steps.append(at.step))
    assert steps == [6]
    assert broken.facts == whole.facts
    assert (tmp_path / "broken.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_what_is_trained_already_is_not_trained_again(pairs, tmp_path):
    wanted, out = plan("nrknet", "tiny", steps=1), tmp_path / "a.safetensors"
    first = train(wanted, pairs, out)
    again = train(wanted, pairs, out, progress=stop_at(1))
    assert again == first._replace(outcome="already there")


def test_another_training_in_the_same_place_is_refused_and_nothing_is_lost(pairs, tmp_path):
    wanted, out = plan("nrknet", "tiny", steps=2), tmp_path / "a.safetensors"
    with pytest.raises(Stopped):
        train(wanted, pairs, out, progress=stop_at(1))
    other = wanted._replace(recipe=replace(wanted.recipe, seed=1))
    with pytest.raises(InputError, match="belongs to another training than this one"):
        train(other, pairs, out)
    train(wanted, pairs, out)
    with pytest.raises(InputError, match=r"holds another training \(its recipe differ"):
        train(other, pairs, out)
    _, some = pairs.held_out(2)
    with pytest.raises(InputError, match="was trained on other pairs"):
        train(wanted, some, out)
    (tmp_path / "b.safetensors").write_text("a letter")
    with pytest.raises(InputError, match="no checkpoint that `bench train` wrote"):
        train(wanted, pairs, tmp_path / "b.safetensors")
    (tmp_path / "c.training").write_text("a letter")
    with pytest.raises(InputError, match="is damaged: delete it"):
        train(wanted, pairs, tmp_path / "c.safetensors")
    assert (tmp_path / "b.safetensors").read_text() == "a letter"


def test_a_loss_that_is_no_longer_finite_ends_the_training(pairs, tmp_path, monkeypatch):
    def lost(network, batch, extra, step, recipe):
        return {"l1": network(batch.photograph).mean() * (torch.nan if step == 2 else 1)}

    monkeypatch.setattr(objectives, "of", lambda architecture: lost)
    with pytest.raises(Diverged, match="step 2: the loss is nan"):
        train(plan("nrknet", "tiny", steps=4), pairs, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_too_few_objects_or_a_place_that_cannot_be_written_are_told(pairs, tmp_path):
    one = open_pairs(write_pairs(tmp_path / "one", objects=1, size=32))
    with pytest.raises(InputError, match="too few to hold out"):
        train(plan("nrknet", "tiny", steps=1), one, tmp_path / "a.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        train(plan("nrknet", "tiny", steps=1), pairs, tmp_path / "file" / "a.safetensors")


def test_efcr_adds_a_term_and_extra_photographs_belong_to_its_extended_form(pairs, tmp_path):
    basic, extended = (plan("restormer", "tiny", [f"recipe.efcr={kind}"], steps=2) for kind in ("basic", "extended"))
    for wanted, extra in ((basic, None), (extended, None), (extended, pairs)):
        out = tmp_path / f"{wanted.recipe.efcr}-{extra is not None}.safetensors"
        facts = train(wanted, pairs, out, extra=extra).facts
        assert facts["recipe"]["efcr"] == wanted.recipe.efcr
        assert facts["pairs"]["extra_hash"] == (extra and pairs.content_hash)
    with pytest.raises(InputError, match="Extra photographs are for the extended EFCR alone"):
        train(basic, pairs, tmp_path / "b.safetensors", extra=pairs)
    for kind, terms in (("none", {"l1"}), ("basic", {"l1", "efcr"})):
        recipe = replace(basic.recipe, efcr=kind)
        batch = Examples(pairs, 32, 0).batch(0, 2)
        network = architectures.network("restormer", basic.network)
        assert set(objectives.of("restormer")(network, batch, None, 0, recipe)) == terms


def test_events_for_tensorboard_hold_losses_and_validation(pairs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(plan("nrknet", "tiny", steps=2), pairs, tmp_path / "a.safetensors")
    events = EventAccumulator(str(tmp_path / "a.log")).Reload()
    scores = ("psnr", "input_psnr", "again_psnr", "again_input_psnr")
    assert set(events.Tags()["scalars"]) == {"loss/own", *(f"validation/{name}" for name in scores)}
    assert events.Scalars("validation/psnr")[-1].step == 2


def test_parts_are_trained_apart_at_first_so_that_the_restoration_leaves_the_kernel_alone(pairs):
    wanted = plan("kernel-guided", "tiny", ["recipe.apart=0.5"], steps=10)
    batch = Examples(pairs, 24, 0).batch(0, 2)
    network = architectures.network("kernel-guided", wanted.network)
    for step, reached in ((4, False), (5, True)):
        network.zero_grad()
        terms = objectives.of("kernel-guided")(network, batch, None, step, wanted.recipe)
        terms["restoration"].backward()
        grads = [parameter.grad for parameter in network.extractor.parameters()]
        assert any(grad is not None and bool(grad.any()) for grad in grads) == reached


def test_a_checkpoint_is_small_and_json_throughout(pairs, tmp_path):
    facts = train(plan("mpt", "tiny", steps=1), pairs, tmp_path / "a.safetensors").facts
    assert json.loads(json.dumps(facts)) == facts
