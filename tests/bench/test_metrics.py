"""Each metric against its definition or its official implementation, and LPIPS against its authors' numbers."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bench import lpips_backbone, metrics

DATA = Path(__file__).parents[2] / "../shared/data/lpips"
BACKBONE = DATA / "alexnet_features_f32.npz"

needs_backbone = pytest.mark.skipif(not BACKBONE.is_file(), reason=f"the LPIPS data is not at {DATA}")

pixels = npst.arrays(np.uint8, st.tuples(st.integers(11, 16), st.integers(11, 16), st.just(3)))


def decoded(array):
    return array.astype(np.float64) / 255


def noisy(shape=(64, 48, 3), sigma=0.1, seed=0):
    """A gray image and the same under Gaussian noise that stays in range."""
    noise = np.random.default_rng(seed).normal(0, sigma, shape)
    return np.clip(0.5 + noise, 0, 1), np.full(shape, 0.5)


@pytest.fixture(scope="module")
def lpips():
    if not BACKBONE.is_file():
        pytest.skip(f"the LPIPS data is not at {DATA}")
    return metrics.Lpips(BACKBONE)


def test_psnr_of_known_noise():
    image, truth = noisy(shape=(200, 200, 3), sigma=0.01)
    assert metrics.psnr(image, truth) == pytest.approx(40.0, abs=0.1)


def test_psnr_of_one_level_is_the_textbook_number():
    truth = np.full((4, 4, 3), 100 / 255)
    assert metrics.psnr(np.full((4, 4, 3), 101 / 255), truth) == pytest.approx(48.1308, abs=1e-4)


def test_psnr_of_black_against_white_is_zero_and_of_equal_images_the_cap():
    black, white = np.zeros((3, 3, 3)), np.ones((3, 3, 3))
    assert metrics.psnr(black, white) == 0
    assert metrics.psnr(white, white) == metrics.PSNR_CAP == 100


@given(pixels)
@settings(max_examples=30, deadline=None)
def test_psnr_is_that_of_scikit_image(array):
    from skimage.metrics import peak_signal_noise_ratio

    image, truth = decoded(array), decoded(np.roll(array, 1, axis=0) // 2)
    if not np.array_equal(image, truth):
        expected = min(100, peak_signal_noise_ratio(truth, image, data_range=1))
        assert metrics.psnr(image, truth) == pytest.approx(expected, abs=1e-9)


@given(pixels)
@settings(max_examples=20, deadline=None)
def test_psnr_and_ssim_are_symmetric_and_best_for_equal_images(array):
    image, other = decoded(array), decoded(array[::-1])
    assert metrics.psnr(image, other) == metrics.psnr(other, image) <= metrics.psnr(image, image)
    assert metrics.ssim(image, other) == pytest.approx(metrics.ssim(other, image), abs=1e-12)
    assert metrics.ssim(image, image) == pytest.approx(1)


def test_single_precision_gives_the_same_psnr():
    image, truth = noisy()
    single = metrics.psnr(image.astype(np.float32), truth.astype(np.float32))
    assert single == pytest.approx(metrics.psnr(image, truth), abs=1e-4)


def test_ssim_is_that_of_scikit_image_in_the_setting_of_3dgs():
    from skimage.metrics import structural_similarity

    image, truth = noisy()
    expected = structural_similarity(
        image,
        truth,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=-1,
    )
    assert metrics.ssim(image, truth) == expected


def test_ssim_uses_the_11x11_gaussian_window_of_wang_et_al():
    from scipy.ndimage import correlate

    image, truth = noisy(shape=(32, 24, 3))
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis)[..., None] / axis.sum() ** 2

    def blur(array):
        return correlate(array, window)[5:-5, 5:-5]

    mean_x, mean_y = blur(image), blur(truth)
    variance_x, variance_y = blur(image**2) - mean_x**2, blur(truth**2) - mean_y**2
    covariance = blur(image * truth) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    assert metrics.ssim(image, truth) == pytest.approx(similarity.mean(), abs=1e-9)


def test_mask_psnr_sees_only_the_object():
    image, truth = noisy()
    mask = np.zeros(image.shape[:2])
    mask[:20] = 1
    spoiled = image.copy()
    spoiled[20:] = 1
    assert metrics.mask_psnr(spoiled, truth, mask) == pytest.approx(metrics.psnr(image[:20], truth[:20]))


def test_mask_psnr_of_a_full_mask_is_psnr():
    image, truth = noisy()
    full = np.ones(image.shape[:2], np.float32)
    assert metrics.mask_psnr(image, truth, full) == pytest.approx(metrics.psnr(image, truth))


def test_a_pixel_belongs_to_the_object_above_one_half():
    image, truth = noisy(shape=(1, 2, 3))
    mask = np.array([[0.5, 0.51]])
    assert metrics.mask_psnr(image, truth, mask) == pytest.approx(metrics.psnr(image[:, 1:], truth[:, 1:]))


def test_coc_error_drops_the_sign_and_the_backdrop():
    truth = np.array([[2.0, -3.0, 9.0]])
    assert metrics.coc_mae_px(np.array([[-2.5, 3.0, 0.0]]), truth, np.array([[1, 1, 0]])) == 0.25


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((12, 12, 3), np.uint8), "float array"),
        (np.zeros((12, 12)), "float array"),
        (np.full((12, 12, 3), 1.5), "0..1"),
        (np.full((12, 12, 3), np.nan), "0..1"),
        (np.zeros((12, 13, 3)), "the image is 13x12, its truth 12x12"),
    ],
)
def test_what_is_not_a_pair_of_images_is_refused_in_one_sentence(image, sentence):
    for metric in (metrics.psnr, metrics.ssim):
        with pytest.raises(ValueError, match=sentence):
            metric(image, np.zeros((12, 12, 3)))


def test_images_smaller_than_the_window_are_refused():
    small = np.zeros((10, 40, 3))
    with pytest.raises(ValueError, match="40x10, the metric needs at least 11 px"):
        metrics.ssim(small, small)


def test_masks_that_are_empty_or_of_another_size_are_refused():
    image, truth = noisy()
    with pytest.raises(ValueError, match="no pixel of the object"):
        metrics.mask_psnr(image, truth, np.zeros(image.shape[:2]))
    with pytest.raises(ValueError, match="the mask is 3x2"):
        metrics.mask_psnr(image, truth, np.ones((2, 3)))
    with pytest.raises(ValueError, match="no pixel of the object"):
        metrics.coc_mae_px(np.ones((2, 2)), np.ones((2, 2)), np.zeros((2, 2)))


def test_the_scores_of_an_image_leave_out_what_cannot_be_had():
    image, truth = noisy()
    assert set(metrics.image_scores(image, truth)) == {"psnr", "ssim"}
    assert set(metrics.image_scores(image, truth, np.zeros(image.shape[:2]))) == {"psnr", "ssim"}
    assert set(metrics.image_scores(image, truth, np.ones(image.shape[:2]))) == {"psnr", "ssim", "mask_psnr"}


def test_the_table_names_each_metric_and_its_hash_follows_its_definition():
    assert all(name == metric.name for name, metric in metrics.METRICS.items())
    assert len({metric.hash for metric in metrics.METRICS.values()}) == len(metrics.METRICS)
    changed = metrics.METRICS["psnr"]._replace(version="2")
    assert changed.hash != metrics.METRICS["psnr"].hash


def test_importing_the_metrics_imports_no_torch():
    program = "import sys, bench.metrics; sys.exit('torch' in sys.modules or 'skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_lpips_of_the_authors_example(lpips):
    from skimage.io import imread

    reference, near, far = (decoded(imread(DATA / f"ex_{name}.png")[..., :3]) for name in ("ref", "p1", "p0"))
    assert lpips(reference, far) == pytest.approx(0.722, abs=5e-4)
    assert lpips(reference, far) == pytest.approx(0.72188, abs=2e-5)
    assert lpips(reference, near) == pytest.approx(0.138, abs=5e-4)
    assert lpips(reference, near) == pytest.approx(0.13757, abs=2e-5)
    assert lpips(reference, reference) == 0


def test_lpips_is_among_the_scores_where_it_is_given(lpips):
    image, truth = noisy()
    assert metrics.image_scores(image, truth, lpips=lpips)["lpips"] == lpips(image, truth) > 0


def test_lpips_refuses_an_image_that_alexnet_cannot_pool(lpips):
    smallest = np.zeros((31, 31, 3))
    assert lpips(smallest, smallest) == 0
    with pytest.raises(ValueError, match="at least 31 px"):
        lpips(smallest[1:], smallest[1:])


def test_loading_lpips_is_silent_and_leaves_the_random_state_alone(lpips, capsys, recwarn):
    import torch

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    metrics.Lpips(BACKBONE)
    assert torch.rand(1) == expected
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list


@needs_backbone
def test_the_hash_of_the_weights_is_that_of_the_tensors_not_of_the_container(tmp_path, monkeypatch):
    import torch

    tensors = lpips_backbone.read(BACKBONE)
    repacked = tmp_path / "repacked.npz"
    np.savez_compressed(repacked, **tensors, more=np.zeros(3))
    expected = lpips_backbone.sha256(tensors)
    assert lpips_backbone.sha256(lpips_backbone.read(repacked)) == expected

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = lpips_backbone.checkpoint_path()
    cached.parent.mkdir(parents=True)
    state = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    torch.save(state | {"classifier.6.bias": torch.zeros(3)}, cached)
    digits = hashlib.sha256(cached.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(lpips_backbone, "CHECKPOINT", f"alexnet-owt-{digits}.pth")
    cached.rename(lpips_backbone.checkpoint_path())
    assert lpips_backbone.sha256(lpips_backbone.read(lpips_backbone.locate())) == expected


def test_without_weights_the_sentence_says_how_to_supply_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(metrics.LpipsUnavailable, match=r"doctor --fetch.*--lpips-weights FILE\.npz") as caught:
        metrics.Lpips()
    assert "\n" not in str(caught.value)


def test_the_cache_is_where_torch_hub_has_it(tmp_path, monkeypatch):
    import torch

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        assert lpips_backbone.checkpoint_path().parent == Path(torch.hub.get_dir()) / "checkpoints"
        monkeypatch.delenv(name)


def tensors_with(**changes):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in lpips_backbone.SHAPES.items()}
    return {name: array for name, array in (tensors | changes).items() if array is not None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features.6.weight": None}, "'features.6.weight' is missing"),
        (
            {"features.0.weight": np.zeros((11, 11, 3, 64))},
            r"'features.0.weight' has shape \[11, 11, 3, 64\], AlexNet's is \[64, 3, 11, 11\]",
        ),
        ({"features.0.bias": np.zeros(64, np.int32)}, "'features.0.bias' must hold finite"),
        ({"features.0.bias": np.full(64, np.nan)}, "'features.0.bias' must hold finite"),
        ({"features.0.bias": np.array([None] * 64)}, "not an npz file of LPIPS weights"),
    ],
)
def test_an_npz_of_something_else_is_refused_with_the_tensor_named(tmp_path, changes, sentence):
    path = tmp_path / "wrong.npz"
    np.savez(path, **tensors_with(**changes))
    with pytest.raises(metrics.LpipsWeightsError, match=rf"wrong\.npz: .*{sentence}"):
        lpips_backbone.read(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    with pytest.raises(metrics.LpipsWeightsError, match="not an npz file of LPIPS weights"):
        metrics.Lpips(path)


def test_an_array_alone_is_refused(tmp_path):
    np.save(tmp_path / "wrong.npy", np.zeros(3))
    with pytest.raises(metrics.LpipsWeightsError, match="not an npz file of LPIPS weights"):
        metrics.Lpips(tmp_path / "wrong.npy")


def test_a_named_file_that_is_missing_is_an_error_even_if_the_cache_could_serve(tmp_path):
    with pytest.raises(metrics.LpipsWeightsError, match="no such file of LPIPS weights"):
        metrics.Lpips(tmp_path / "nowhere.npz")


def test_a_damaged_checkpoint_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = lpips_backbone.checkpoint_path()
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a download")
    with pytest.raises(metrics.LpipsWeightsError, match="damaged, its SHA-256 does not begin with 7be5be79"):
        metrics.Lpips()
