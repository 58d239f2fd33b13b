"""The "gsplat" back end: CUDA through the kernels of gsplat 1.5 (Ye et al. 2025, Apache-2.0).

gsplat's own `rasterization` knows no extra 2D covariance, so its stages are called one by one: projection gives
conics, which are inverted to covariances, widened and inverted again; radii and opacity follow; then tiles and
compositing as usual. Everything but the choice of tiles is differentiable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods.splatting import sh
from methods.splatting.gaussians import Gaussians
from methods.splatting.reference import add_covariance
from methods.splatting.viewport import ALPHA_MIN, Render, Viewport

_TILE = 16  # px


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
    """The "gsplat" back end of `methods.splatting.rasterizer.render`, which explains the arguments.

    Raises RuntimeError without a CUDA device. Away from the image by more than 0.15 of its size, the Jacobian of
    a Gaussian with extra variance differs slightly from the other back ends' (its clamp is wider).
    """
    if not torch.cuda.is_available():
        raise RuntimeError("rasterizer 'gsplat' needs a CUDA device and none is available: use backend='cpu'")
    from gsplat.cuda._wrapper import (
        fully_fused_projection,
        isect_offset_encode,
        isect_tiles,
        rasterize_to_pixels,
    )

    if colors is None:
        colors = sh.colors(gaussians.sh, gaussians.means, viewport.camera_center(), sh_degree)
    opacities = gaussians.opacities
    height, width = viewport.height, viewport.width
    if len(gaussians) == 0:
        return _empty(gaussians, viewport, background, offsets)

    # gsplat drops what is outside the image before it is widened: show it a larger image. How much larger it needs to
    # be only the device knows, and the host would wait for the answer.
    margin = 0 if extra_variance is None else max(width, height)
    # Filled in there, as for a copy of numbers from here, too, the host would wait.
    intrinsics = torch.eye(3, device=gaussians.means.device, dtype=gaussians.means.dtype)
    intrinsics[0, 0], intrinsics[0, 2] = viewport.fx, viewport.cx + margin
    intrinsics[1, 1], intrinsics[1, 2] = viewport.fy, viewport.cy + margin
    radii, means2d, depths, conics, compensations = fully_fused_projection(
        gaussians.means,
        None,
        gaussians.quats,
        gaussians.scales,
        viewport.w2c[None],
        intrinsics[None],
        width + 2 * margin,
        height + 2 * margin,
        eps2d=dilation,
        near_plane=near,
        calc_compensations=antialiased,
    )
    # Culled rows hold uninitialised memory: replace it before it can reach a gradient.
    valid = (radii > 0).all(-1)[0]  # [N]
    means2d = torch.where(valid[:, None], means2d[0], 0.0) - margin * valid[:, None]
    depths = torch.where(valid, depths[0], 0.0)
    identity = conics.new_ones(3)  # xx, xy, yy
    identity[1] = 0.0
    conics = torch.where(valid[:, None], conics[0], identity)
    if antialiased:
        opacities = opacities * torch.where(valid, compensations[0], 0.0)
    if offsets is not None:
        means2d = means2d + offsets

    # Inverse of a symmetric 2 x 2 matrix is its adjugate over its determinant, both ways.
    det_conic = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
    covariance = _adjugate(conics) / det_conic[:, None]  # [N, 3]
    if extra_variance is not None:
        extra = extra_variance
        if extra.ndim == 1:
            extra = extra[:, None] * identity
        before = 1.0 / det_conic
        covariance, after = add_covariance(covariance, before, extra)
        valid = valid & (after > 0) & (covariance[:, 0] > 0) & (covariance[:, 2] > 0)
        after = torch.where(valid, after, 1.0)
        conics = _adjugate(covariance) / after[:, None]
        opacities = opacities * torch.sqrt(torch.where(valid, before, 1.0) / after)

    with torch.no_grad():
        reach = (2.0 * torch.log(opacities / ALPHA_MIN)).clamp(min=0.0).sqrt()  # standard deviations
        extent = reach[:, None] * covariance[:, ::2].clamp(min=0.0).sqrt()  # [N, 2] px
        (right, bottom), (left, top) = (means2d + extent).unbind(-1), (means2d - extent).unbind(-1)
        on_image = (right > 0) & (bottom > 0) & (left < width) & (top < height)
        drawn = valid & (reach > 0) & on_image
        boxes = torch.where(drawn[:, None], extent.ceil().clamp(min=1, max=2**30), 0.0).to(torch.int32)

    tiles_x, tiles_y = math.ceil(width / _TILE), math.ceil(height / _TILE)
    _, tile_ids, gaussian_ids = isect_tiles(
        means2d.detach()[None], boxes[None], depths.detach()[None], _TILE, tiles_x, tiles_y
    )
    tile_offsets = isect_offset_encode(tile_ids, 1, tiles_x, tiles_y).reshape(1, tiles_y, tiles_x)
    channels, alphas = rasterize_to_pixels(
        means2d[None],
        conics[None],
        torch.cat([colors, depths[:, None]], dim=-1)[None],
        opacities[None],
        width,
        height,
        _TILE,
        tile_offsets,
        gaussian_ids,
    )
    channels, alpha = channels[0], alphas[0, ..., 0]  # [H, W, 4], [H, W]
    color = channels[..., :3]
    depth = channels[..., 3] / torch.where(alpha > 0, alpha, math.inf)
    if background is not None:
        # gsplat takes one colour for the whole image only.
        color = color + (1.0 - alpha)[..., None] * background
    return Render(
        color=color,
        depth=depth,
        alpha=alpha,
        means2d=torch.where(drawn[:, None], means2d.detach(), 0.0),
        radii=boxes.amax(-1),
        backend="gsplat",
        screen_offsets=offsets,
    )


def _adjugate(
    matrix: Tensor,  # [N, 3] xx, xy, yy
) -> Tensor:  # [N, 3]
    return torch.stack([matrix[:, 2], -matrix[:, 1], matrix[:, 0]], dim=-1)


def _empty(gaussians: Gaussians, viewport: Viewport, background: Tensor | None, offsets: Tensor | None) -> Render:
    """The view of no Gaussians at all, for which gsplat launches no kernel."""
    means = gaussians.means
    color = means.new_zeros(viewport.height, viewport.width, 3)
    if background is not None:
        color = color + background
    return Render(
        color=color,
        depth=means.new_zeros(viewport.height, viewport.width),
        alpha=means.new_zeros(viewport.height, viewport.width),
        means2d=means.new_zeros(0, 2),
        radii=torch.zeros(0, dtype=torch.int32, device=means.device),
        backend="gsplat",
        screen_offsets=offsets,
    )
