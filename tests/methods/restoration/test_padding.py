"""Images continued beyond their borders."""

import pytest
import torch

from methods.restoration.padding import continued, to_multiple


def test_an_image_is_continued_by_reflection_if_it_is_large_enough() -> None:
    row = torch.tensor([1.0, 2.0, 3.0])[None, None, None]
    assert continued(row, 2, 5).tolist() == [[[[1, 2, 3, 2, 1]] * 2]]
    assert continued(row, 1, 6).tolist() == [[[[1, 2, 3, 3, 3, 3]]]]


def test_each_axis_is_continued_for_itself() -> None:
    image = torch.rand(1, 3, 5, 3)
    padded = to_multiple(image, 8)
    assert padded.shape == (1, 3, 8, 8)
    assert torch.equal(padded[..., :5, :3], image)
    assert torch.equal(padded[..., 5:, :3], image[..., [3, 2, 1], :])
    assert torch.equal(padded[..., :5, 3:], image[..., 2:].expand(-1, -1, -1, 5))
    assert torch.equal(to_multiple(padded, 8), padded)


@pytest.mark.parametrize(("size", "padded"), [((1, 1), (32, 32)), ((16, 33), (32, 48)), ((63, 64), (64, 64))])
def test_sizes_are_multiples_and_no_smaller_than_the_least(size: tuple[int, int], padded: tuple[int, int]) -> None:
    assert to_multiple(torch.zeros(1, 1, *size), 16, least=32).shape == (1, 1, *padded)
