"""Parts of networks that work coarse to fine."""

import pytest
import torch
from torch.nn import functional as F

from datasets.errors import InputError
from methods.restoration.learning.frequency import fft_l1
from methods.restoration.networks.multiscale import lstm, pad, renamed, resize, restoration_loss


@pytest.mark.parametrize(
    ("size", "padded"), [((1, 1), (32, 32)), ((16, 33), (32, 48)), ((48, 32), (48, 32)), ((63, 64), (64, 64))]
)
def test_images_are_padded_to_what_three_scales_of_three_levels_need(
    size: tuple[int, int], padded: tuple[int, int]
) -> None:
    image = torch.rand(2, 3, *size)
    result = pad(image)
    assert result.shape == (2, 3, *padded)
    assert torch.equal(result[..., : size[0], : size[1]], image)


def test_a_memory_keeps_or_takes_what_its_gates_say() -> None:
    cell = torch.full((1, 1, 2, 2), 0.5)
    shut, wide = torch.full_like(cell, -50), torch.full_like(cell, 50)
    content = torch.full_like(cell, 0.3)
    kept = lstm(torch.cat([shut, wide, wide, content], dim=1), cell)
    torch.testing.assert_close(kept, (cell.tanh(), cell))
    taken = lstm(torch.cat([wide, shut, shut, content], dim=1), cell)
    torch.testing.assert_close(taken, (torch.zeros_like(cell), content.tanh()))


def test_the_loss_compares_each_scale_with_the_sharp_image_of_its_size() -> None:
    sharp, fine, coarse = torch.rand(1, 3, 32, 48), torch.rand(1, 3, 32, 48), torch.rand(1, 3, 8, 12)
    quarter = resize(sharp, 0.25)
    expected = 0.25 * (F.mse_loss(coarse, quarter) + 0.1 * fft_l1(coarse, quarter))
    expected += F.mse_loss(fine, sharp) + 0.1 * fft_l1(fine, sharp)
    torch.testing.assert_close(restoration_loss([coarse, fine], sharp, (0.25, 1.0)), expected)
    assert restoration_loss([quarter, sharp], sharp, (0.25, 1.0)) == 0


RULES = {r"old\.(\d)\.(weight|bias)": r"new.\2.\1", "scale": "gain"}


def test_a_state_is_renamed() -> None:
    assert set(renamed({name: torch.zeros(1) for name in ("old.3.bias", "scale")}, RULES)) == {"new.bias.3", "gain"}


def test_a_state_of_another_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"it has a tensor old\.x\.bias"):
        renamed({"old.x.bias": torch.zeros(1)}, RULES)
    with pytest.raises(InputError, match="nothing in it is named like scale"):
        renamed({"old.1.bias": torch.zeros(1)}, RULES)
