"""The "cpu" back end: our own differentiable rasterizer, compiled by numba.

Project all Gaussians, sort the drawn ones by depth, list for every tile of 16 x 16 px the Gaussians that touch it,
composite tile by tile; backwards likewise. Work is divided over `numba.get_num_threads()` threads by tiles and by
Gaussians. Each (Gaussian, tile) pair has a gradient slot of its own and the slots are added in a fixed order, so
images and gradients are bitwise the same for any number of threads and from run to run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.splatting import cpu_binning, cpu_projection, cpu_tiles, jit
from methods.splatting.config import DILATION
from methods.splatting.gaussians import Gaussians
from methods.splatting.parallel import bounds, parts_of, run
from methods.splatting.reference import frustum_limits
from methods.splatting.viewport import NEAR, Render, Viewport

# Less than this in one part is not worth a thread, whose start costs about 50 us.
_FEWEST_GAUSSIANS = 16_384
_FEWEST_SLOTS = 4_096
_NO_EXTRA = np.zeros((0, 0), np.float32)


def rasterize(
    gaussians: Gaussians,
    viewport: Viewport,
    sh_degree: int,
    colors: Tensor | None,  # [N, 3]
    background: Tensor | None,  # [3] or [H, W, 3]
    extra_variance: Tensor | None,  # [N] or [N, 3] px^2
    dilation: float,  # px^2
    antialiased: bool,
    near: float,
    offsets: Tensor | None,  # [N, 2] px
) -> Render:
    """The "cpu" back end of `methods.splatting.rasterizer.render`, which explains the arguments."""
    color, depth, alpha, means2d, radii = _Rasterize.apply(
        gaussians.means,
        gaussians.quats,
        gaussians.log_scales,
        gaussians.logit_opacities,
        gaussians.sh if colors is None else colors[:, None],
        background,
        extra_variance,
        offsets,
        viewport,
        sh_degree if colors is None else -1,
        dilation,
        antialiased,
        near,
    )
    return Render(color, depth, alpha, means2d, radii, backend="cpu", screen_offsets=offsets)


class _Rasterize(torch.autograd.Function):
    """From Gaussians to (color, depth, alpha, means2d, radii); the last two carry no gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        logits: Tensor,
        coefficients: Tensor,  # [N, K, 3]
        background: Tensor | None,
        extra: Tensor | None,
        offsets: Tensor | None,
        viewport: Viewport,
        degree: int,
        dilation: float,
        antialiased: bool,
        near: float,
    ) -> tuple[Tensor, ...]:
        n, height, width = means.shape[0], viewport.height, viewport.width
        rows = max(n, cpu_projection.LANES)
        inputs = [_rows(tensor, rows) for tensor in (means, quats, log_scales, logits, coefficients)]
        extra_array = _rows(extra, rows).reshape(rows, -1) if extra is not None else _NO_EXTRA
        offset_array = _rows(offsets, rows) if offsets is not None else np.zeros((0, 2), np.float32)
        backdrop = _array(background).reshape(-1, 3) if background is not None else np.zeros((1, 3), np.float32)
        w2c = _array(viewport.w2c)
        camera = _camera_vector(viewport, near, dilation)

        table = np.empty((rows, cpu_projection.COLUMNS), np.float32)
        means2d = np.empty((rows, 2), np.float32)
        radii = np.empty(rows, np.int32)
        run(
            cpu_projection.project_forward,
            bounds(rows, _FEWEST_GAUSSIANS),
            (*inputs, degree, extra_array, offset_array, w2c, camera, antialiased, table, means2d, radii),
        )
        table[n:, cpu_projection.TILES_X] = 0.0

        tiles_x, tiles_y = -(-width // cpu_binning.TILE), -(-height // cpu_binning.TILE)
        entry_start = np.empty(rows + 1, np.int64)
        room = cpu_binning.make_room(table, entry_start)
        entry_tile = np.empty(room, np.int32)
        entry_mask = np.empty(room, np.int32)
        entry_slot = np.empty(room, np.int32)
        entry_end = np.empty(rows, np.int64)
        run(
            cpu_binning.find_entries,
            bounds(rows, _FEWEST_GAUSSIANS),
            (entry_start, table, tiles_x, entry_tile, entry_mask, entry_end),
        )
        order = np.empty(rows, np.int32)
        drawn = cpu_binning.depth_order(table, entry_start, entry_end, order)
        # Sums of depths are taken about the median, so that they do not lose the digits that matter.
        depth_origin = table[order[drawn // 2], cpu_projection.Z] if drawn else np.float32(0.0)
        tile_start = np.empty(tiles_x * tiles_y + 1, np.int64)
        slots = np.empty((room, cpu_projection.COLUMNS), np.float32)
        # Sixteen more, because the rasterizer reads them sixteen at a time.
        masks = np.empty(room + cpu_projection.LANES, np.int32)
        cpu_binning.fill_slots(
            drawn,
            order,
            entry_start,
            entry_end,
            entry_tile,
            entry_mask,
            table,
            tiles_x,
            depth_origin,
            tile_start,
            slots,
            masks,
            entry_slot,
        )

        color = torch.empty(height, width, 3)
        depth = torch.empty(height, width)
        alpha = torch.empty(height, width)
        state = np.empty((tiles_x * tiles_y, cpu_tiles.PLANES, cpu_tiles.PIXELS), np.float32)
        run(
            cpu_tiles.composite_forward,
            _parts_of_tiles(tile_start),
            (
                tile_start,
                slots,
                masks,
                backdrop,
                depth_origin,
                state,
                color.numpy(),
                depth.numpy(),
                alpha.numpy(),
            ),
        )

        ctx.set_materialize_grads(False)
        ctx.save_for_backward(means, quats, log_scales, logits, coefficients, background, extra, alpha)
        ctx.geometry = (degree, antialiased, w2c, camera, table)
        ctx.entries = (entry_start, entry_end, entry_slot)
        ctx.tiles = (tile_start, slots, masks, backdrop, state)
        centers, extents = torch.from_numpy(means2d[:n]), torch.from_numpy(radii[:n])
        ctx.mark_non_differentiable(centers, extents)
        return color, depth, alpha, centers, extents

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        d_color, d_depth, d_alpha = upstream[:3]
        means, quats, log_scales, logits, coefficients, background, extra, alpha = ctx.saved_tensors
        degree, antialiased, w2c, camera, table = ctx.geometry
        entry_start, entry_end, entry_slot = ctx.entries
        tile_start, slots, masks, backdrop, state = ctx.tiles
        n = means.shape[0]
        none = np.zeros((0, 0), np.float32)
        d_color_array = _array(d_color) if d_color is not None else np.zeros((*alpha.shape, 3), np.float32)

        slot_gradients = np.empty((int(tile_start[-1]), cpu_projection.GRADIENTS), np.float32)
        run(
            cpu_tiles.composite_backward,
            _parts_of_tiles(tile_start),
            (
                tile_start,
                slots,
                masks,
                backdrop,
                state,
                d_color_array,
                _array(d_depth) if d_depth is not None else none,
                _array(d_alpha) if d_alpha is not None else none,
                slot_gradients,
            ),
        )

        rows = max(n, cpu_projection.LANES)
        needs = ctx.needs_input_grad
        d_means, d_quats, d_log_scales = torch.empty(rows, 3), torch.empty(rows, 4), torch.empty(rows, 3)
        d_logits = torch.empty(rows)
        d_coefficients = torch.empty((rows, *coefficients.shape[1:]) if needs[4] else (0, 0, 3))
        d_extra = torch.empty(rows, extra.numel() // max(n, 1) if needs[6] else 0)
        d_offsets = torch.empty(rows if needs[7] else 0, 2)
        extra_array = _rows(extra, rows).reshape(rows, -1) if extra is not None else _NO_EXTRA
        run(
            cpu_projection.project_backward,
            bounds(rows, _FEWEST_GAUSSIANS),
            (
                entry_start,
                entry_end,
                entry_slot,
                slot_gradients,
                *(_rows(tensor, rows) for tensor in (means, quats, log_scales, logits, coefficients)),
                degree,
                extra_array,
                w2c,
                camera,
                antialiased,
                table,
                d_means.numpy(),
                d_quats.numpy(),
                d_log_scales.numpy(),
                d_logits.numpy(),
                d_coefficients.numpy(),
                d_extra.numpy(),
                d_offsets.numpy(),
            ),
        )
        d_background = None
        if needs[5] and d_color is not None:
            d_background = d_color * (1.0 - alpha)[..., None]
            if background.ndim == 1:
                d_background = d_background.sum((0, 1))
        return (
            d_means[:n],
            d_quats[:n],
            d_log_scales[:n],
            d_logits[:n],
            d_coefficients[:n] if needs[4] else None,
            d_background,
            d_extra[:n].reshape(extra.shape) if needs[6] else None,
            d_offsets[:n] if needs[7] else None,
            None,
            None,
            None,
            None,
            None,
        )


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as a C-contiguous NumPy array (a copy only if it is not contiguous)."""
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array


def _rows(tensor: Tensor, rows: int) -> np.ndarray:
    """The tensor as an array, with rows of zeros added up to the number that the kernels work on at once."""
    array = _array(tensor)
    if len(array) < rows:
        padding = np.zeros((rows - len(array), *array.shape[1:]), np.float32)
        array = np.concatenate([array, padding])
    return array


def _camera_vector(viewport: Viewport, near: float, dilation: float) -> np.ndarray:
    """The camera as the kernels read it, see `cpu_projection.FX` and following."""
    u_min, u_max = frustum_limits(viewport.width, viewport.fx, viewport.cx)
    v_min, v_max = frustum_limits(viewport.height, viewport.fy, viewport.cy)
    center = viewport.camera_center().tolist()
    values = [viewport.fx, viewport.fy, viewport.cx, viewport.cy, near, u_min, u_max, v_min, v_max]
    return np.array([*values, viewport.width, viewport.height, *center, dilation], np.float32)


def _parts_of_tiles(tile_start: np.ndarray) -> np.ndarray:
    """Boundaries of runs of tiles that hold about equal numbers of slots."""
    tiles = len(tile_start) - 1
    # A tile costs something even when it is empty.
    work = tile_start + np.arange(tiles + 1) * 32
    parts = parts_of(int(work[-1]), _FEWEST_SLOTS)
    if parts == 1:
        return np.array([0, tiles])
    inner = np.searchsorted(work, np.arange(1, parts) * work[-1] // parts)
    return np.concatenate([[0], inner, [tiles]])


def warmup(progress: Callable[[str], None] | None = None) -> None:
    """Compile every kernel, or load it from the disk cache.

    progress: receives one line when there is something to compile (some ten seconds); None prints it to stderr.
    """
    finished = jit.cache_folder() / "complete"
    if not finished.exists():
        line = f"Compiling the CPU rasterizer for this machine, once (kept in {jit.cache_folder()}) ..."
        if progress is None:
            print(line, file=sys.stderr, flush=True)
        else:
            progress(line)
    leaves = {
        "means": torch.tensor([[0.0, 0.0, 2.0], [0.1, 0.0, 3.0]]),
        "quats": torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 2),
        "log_scales": torch.full((2, 3), -2.0),
        "logit_opacities": torch.zeros(2),
        "sh": torch.zeros(2, 4, 3),
    }
    gaussians = Gaussians(**{name: leaf.requires_grad_() for name, leaf in leaves.items()})
    viewport = Viewport(20, 20, 20.0, 20.0, 10.0, 10.0, torch.eye(4))
    render = rasterize(gaussians, viewport, 1, None, None, None, DILATION, False, NEAR, None)
    (render.color.sum() + render.depth.sum()).backward()
    finished.parent.mkdir(parents=True, exist_ok=True)
    finished.touch()
