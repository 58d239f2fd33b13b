"""The lens is found along with the scene, from the photographs alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.capture import Capture, Optics, Photographs
from datasets.errors import InputError
from methods.configuration import build
from methods.joint_optics.formation import JointOpticsConfig, LensFormation
from methods.splatting.config import SplattingConfig
from methods.splatting.formation import Formation
from methods.splatting.gaussians import Gaussians
from methods.splatting.splats import Splats
from methods.splatting.train import train

CONFIG = SplattingConfig(
    steps=600, initial_gaussians=2000, max_gaussians=2500, light="linear", sh_degree=0, refine_start=50, refine_every=50
)
OPTICS = JointOpticsConfig()


def formation_for(
    photographs: Photographs, optics: JointOpticsConfig = OPTICS, config: SplattingConfig = CONFIG
) -> LensFormation:
    return LensFormation(photographs, optics, config.light, config.steps, "cpu", seed=0)


def fitted(photographs: Photographs, formation: Formation | None, config: SplattingConfig = CONFIG) -> Gaussians:
    return train(photographs, config, seed=0, device="cpu", formation=formation)


def decibels(gaussians: Gaussians, capture: Capture) -> float:
    cameras = {view.name: view.camera for view in capture.train}
    splats = Splats(gaussians, cameras, capture.background, CONFIG, "cpu")
    errors = [((splats.render(view.camera) - view.truth().sharp / 255.0) ** 2).mean() for view in capture.test]
    return float(np.mean(-10 * np.log10(errors)))


def focus_errors(formation: LensFormation, capture: Capture) -> np.ndarray:
    """mm, of every training view."""
    truth = np.array([view.focus_distance for view in capture.train])
    return np.abs(formation.focus_distances.detach().numpy() - truth)


@pytest.fixture(scope="module")
def trained(capture: Capture) -> tuple[LensFormation, Gaussians]:
    photographs = capture.photographs().without_optics()
    formation = formation_for(photographs)
    return formation, fitted(photographs, formation)


def test_held_out_views_are_sharper_than_those_of_plain_splatting(
    capture: Capture, trained: tuple[LensFormation, Gaussians]
) -> None:
    assert decibels(trained[1], capture) > decibels(fitted(capture.photographs(), None), capture) + 1.0


def test_focus_distances_and_aperture_are_found(capture: Capture, trained: tuple[LensFormation, Gaussians]) -> None:
    assert capture.optics is not None
    assert np.median(focus_errors(trained[0], capture)) < 0.25  # of a beetle of 8 mm
    assert float(trained[0].aperture.detach()) == pytest.approx(capture.optics.lens(105.0).aperture_radius, rel=0.1)


def test_the_same_seed_gives_the_same_lens_bit_for_bit(capture: Capture) -> None:
    photographs = capture.photographs().without_optics()
    short = replace(CONFIG, steps=60)
    lenses = []
    for _ in range(2):
        formation = LensFormation(photographs, OPTICS, "linear", 60, "cpu", seed=2)
        train(photographs, short, seed=2, device="cpu", formation=formation)
        lenses.append(formation.focus_distances.detach())
    assert torch.equal(*lenses)


def test_known_lens_data_are_where_it_begins(capture: Capture) -> None:
    photographs = capture.photographs()
    assert photographs.optics is not None
    formation = formation_for(photographs)
    assert focus_errors(formation, capture).max() < 1e-3
    assert float(formation.aperture.detach()) == pytest.approx(photographs.optics.lens(105.0).aperture_radius, rel=1e-5)
    without = formation_for(photographs.without_optics())
    assert focus_errors(without, capture).max() > 2


def test_a_photograph_whose_hint_is_missing_begins_at_the_centre(capture: Capture) -> None:
    photographs = capture.photographs()
    views = (replace(photographs.views[0], focus_distance=None), *photographs.views[1:])
    formation = formation_for(replace(photographs, views=views))
    assert float(formation.offsets[0].detach()) == 0
    assert float(formation.offsets[1].detach()) != 0


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_it_recovers_from_hints_that_are_wrong_by_ten(capture: Capture, factor: float) -> None:
    photographs = capture.photographs()
    assert photographs.optics is not None
    wrong = Optics(photographs.optics.focal_length / 10, photographs.optics.f_number * factor / 10, 0.1)
    views = tuple(replace(view, focus_distance=factor * float(view.focus_distance)) for view in photographs.views)  # type: ignore[arg-type]
    longer = replace(CONFIG, steps=1200)
    formation = formation_for(replace(photographs, views=views, optics=wrong), config=longer)
    fitted(photographs, formation, longer)
    assert np.median(focus_errors(formation, capture)) < 0.4


def test_a_capture_that_is_sharp_everywhere_is_not_harmed(capture: Capture) -> None:
    sharp = capture.sharp_twins()
    formation = formation_for(sharp)
    assert decibels(fitted(sharp, formation), capture) > decibels(fitted(sharp, None), capture) - 0.3


def test_black_photographs_train_without_a_number_that_is_not_finite(capture: Capture) -> None:
    photographs = capture.photographs().without_optics()
    black = replace(photographs, views=tuple(replace(v, image=0 * v.image) for v in photographs.views))
    formation = LensFormation(black, OPTICS, "linear", 60, "cpu", seed=0)
    gaussians = train(black, replace(CONFIG, steps=60), seed=0, device="cpu", formation=formation)
    assert torch.isfinite(gaussians.means).all()
    assert torch.isfinite(formation.focus_distances).all()
    assert torch.isfinite(formation.aperture)


def test_with_a_network_that_bends_the_focal_plane_the_lens_is_found_all_the_same(capture: Capture) -> None:
    photographs = capture.photographs().without_optics()
    formation = formation_for(photographs, replace(OPTICS, residual=0.1))
    fitted(photographs, formation)
    assert formation.bend is not None
    assert float(formation.bend.outer.weight.abs().max().detach()) > 1e-3
    assert np.median(focus_errors(formation, capture)) < 0.35


def test_the_points_of_the_lens_come_when_the_schedule_says(capture: Capture) -> None:
    optics = JointOpticsConfig(lens_points=(5, 7), lens_points_from=(0.25, 0.5))
    formation = formation_for(capture.photographs(), optics)
    points = []
    for step in (0, 149, 150, 299, 300, 599):
        blur = formation.blur(step, 0)
        points.append(blur.points)
    assert points == [1, 1, 5, 5, 7, 7]


def test_remembered_points_stay_where_they_are_and_others_turn_with_every_image(capture: Capture) -> None:
    photographs = capture.photographs()
    remembered = formation_for(photographs, replace(OPTICS, lens_points_from=(0.0,)))
    assert remembered.blur(0, 3) == remembered.blur(7, 3)
    assert remembered.blur(0, 3) != remembered.blur(0, 4)
    turning = formation_for(photographs, replace(OPTICS, lens_points_from=(0.0,), fresh_points=0))
    assert turning.blur(0, 3) != turning.blur(7, 3)


def test_a_negative_number_of_points_at_a_step_is_refused() -> None:
    with pytest.raises(InputError, match="fresh_points = -1"):
        build(JointOpticsConfig, {"fresh_points": -1})


@pytest.mark.parametrize(
    "changes",
    [{"lens_points": [0]}, {"lens_points": [5, 7, 19]}, {"lens_points": [5, 7], "lens_points_from": [0.5, 0.2]}],
)
def test_schedules_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="lens_points"):
        build(JointOpticsConfig, changes)


def test_the_search_takes_the_focal_plane_to_the_right_side(
    capture: Capture, trained: tuple[LensFormation, Gaussians]
) -> None:
    """A view put on the wrong side of the scene comes back at once."""
    formation, gaussians = trained
    photographs = capture.photographs().without_optics()
    again = formation_for(photographs, replace(OPTICS, search_at=(0.0,), lr_focus=0.0, lr_aperture=0.0))
    with torch.no_grad():
        again.log_aperture.copy_(formation.log_aperture)
        again.offsets.copy_(formation.offsets)
        again.offsets[3] = -0.9
    before = focus_errors(again, capture)[3]
    from methods.splatting import train as module

    start = {name: tensor for name, tensor in vars(gaussians).items() if name != "sh"}
    start |= {"sh_dc": gaussians.sh[:, :1], "sh_rest": gaussians.sh[:, 1:]}
    original = module.initial_gaussians
    module.initial_gaussians = lambda *_: {name: tensor.clone() for name, tensor in start.items()}
    try:
        still = replace(CONFIG, steps=len(photographs.views), densify="none")
        train(photographs, still, seed=0, device="cpu", formation=again)
    finally:
        module.initial_gaussians = original
    assert before > 2
    assert focus_errors(again, capture)[3] < 0.6
