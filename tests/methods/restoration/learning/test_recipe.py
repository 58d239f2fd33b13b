"""Plans of training: what presets say, what options change, and what is refused."""

import itertools
from dataclasses import asdict

import pytest

from datasets.errors import InputError
from methods.registry import load
from methods.restoration import architectures
from methods.restoration.architectures import ARCHITECTURES
from methods.restoration.learning.loop import learning_rate
from methods.restoration.learning.recipe import PRESETS, Recipe, plan


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_restorer_has_every_preset_and_its_network_can_be_made(architecture, preset):
    found = plan(architecture, preset)
    assert found.recipe.steps >= 1
    if preset != "paper":  # tens of millions of parameters
        architectures.network(architecture, found.network)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_preset_paper_is_the_authors_network(architecture):
    found = plan(architecture, "paper").network
    usual = asdict(load(ARCHITECTURES[architecture].config)())
    assert found == {
        key: list(map(list, value)) if key == "pools" else list(value) if isinstance(value, tuple) else value
        for key, value in usual.items()
    }


def test_options_and_changes_hold_over_the_preset():
    found = plan("mpt", "tiny", ["recipe.efcr=extended", "network.expansion=2"], width=16, steps=7, seed=None)
    assert (found.network["width"], found.network["expansion"]) == (16, 2.0)
    assert (found.recipe.efcr, found.recipe.steps, found.recipe.seed) == ("extended", 7, 0)
    assert plan("mpt", "tiny").identity("a", None) != found.identity("a", None)
    assert found.identity("a", None) != found.identity("b", None)
    assert found.identity("a", None) != found.identity("a", "c")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("mtp", "tiny"), "did you mean mpt?"),
        (("mpt", "tyny"), "did you mean tiny?"),
        (("mpt", "tiny", ["network.widht=2"]), "did you mean width?"),
        (("mpt", "tiny", ["recipe.stpes=2"]), "did you mean steps?"),
        (("mpt", "tiny", ["width=2"]), "not of the form"),
        (("mpt", "tiny", ["recipe.steps=many"]), "is no int"),
        (("mpt", "tiny", ["recipe.steps=0"]), "steps is 0; it must be at least 1"),
        (("mpt", "tiny", ["recipe.ema=2"]), "ema is 2.0; it must be from 0 to 1"),
        (("mpt", "tiny", ["recipe.learning_rate=0"]), "learning_rate is 0.0; it must be greater than 0"),
        (("mpt", "tiny", ["network.width=3"]), "width = 3 must be even"),
        (("kernel-guided", "tiny", ["recipe.patch=8"]), "A kernel of 9 px does not fit into a patch of 8 px"),
        (("mpt", "tiny", ["recipe.again=-1"]), "again is -1; it must be at least 0"),
        (("nrknet", "tiny", ["recipe.efcr=basic"]), "by which nrknet is not trained"),
    ],
)
def test_what_makes_no_plan_is_refused_in_a_sentence(arguments, says):
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        plan(*arguments)


def test_the_learning_rate_rises_in_a_line_and_falls_on_half_a_cosine():
    recipe = Recipe(steps=110, batch=1, patch=8, learning_rate=1.0, last_learning_rate=0.2, warm_up=10)
    rates = [learning_rate(step, recipe) for step in range(110)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10] == 1
    assert rates[60] == pytest.approx(0.6)
    assert rates[-1] == pytest.approx(0.2, abs=1e-3)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
