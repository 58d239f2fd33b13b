"""The slow, obvious twin: every Gaussian against every pixel in plain PyTorch, gradients by autograd.

Memory and time grow as N x H x W: for tests and for small scenes. Works in float64 and on any device, and gives
gradients for the camera as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.splatting import sh
from methods.splatting.gaussians import Gaussians
from methods.splatting.viewport import (
    ALPHA_MAX,
    ALPHA_MIN,
    FRUSTUM_MARGIN,
    TRANSMITTANCE_MIN,
    Render,
    Viewport,
)


@dataclass(frozen=True)
class Projection:
    """Gaussians on the image plane. Rows with `radii` 0 are not drawn and hold no meaningful values."""

    means2d: Tensor  # [N, 2] px
    depths: Tensor  # [N] z-depth
    conics: Tensor  # [N, 3] inverse of the 2D covariance as (xx, xy, yy), px^-2
    opacities: Tensor  # [N] with compensation
    radii: Tensor  # [N] int32 px


def rotation_matrices(
    quats: Tensor,  # [N, 4] w, x, y, z; any length but 0
) -> Tensor:  # [N, 3, 3]
    """Rotation matrices of quaternions, which are normalised first."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=-1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=-1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


def project(
    gaussians: Gaussians,
    viewport: Viewport,
    extra_variance: Tensor | None,  # [N] or [N, 3] px^2
    dilation: float,  # px^2
    antialiased: bool,
    near: float,
    offsets: Tensor | None = None,  # [N, 2] px
) -> Projection:
    """EWA projection: Sigma' = J W Sigma W^T J^T + dilation + extra variance, and the opacity that conserves light.

    J is the Jacobian of the perspective projection at the mean, taken inside a slightly enlarged frustum.
    """
    w2c = viewport.w2c
    camera = gaussians.means @ w2c[:3, :3].T + w2c[:3, 3]  # [N, 3]
    in_front = camera[:, 2] > near
    # Gaussians behind the camera get a harmless stand-in, so that no infinity enters the gradient of the others.
    camera = torch.where(in_front[:, None], camera, camera.new_tensor([0.0, 0.0, 1.0]))
    x, y, z = camera.unbind(-1)
    means2d = torch.stack([viewport.fx * x / z + viewport.cx, viewport.fy * y / z + viewport.cy], dim=-1)  # [N, 2]
    if offsets is not None:
        means2d = means2d + offsets

    u = (x / z).clamp(*frustum_limits(viewport.width, viewport.fx, viewport.cx))
    v = (y / z).clamp(*frustum_limits(viewport.height, viewport.fy, viewport.cy))
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([viewport.fx / z, zero, -viewport.fx * u / z], dim=-1),
            torch.stack([zero, viewport.fy / z, -viewport.fy * v / z], dim=-1),
        ],
        dim=-2,
    )  # [N, 2, 3]
    axes = rotation_matrices(gaussians.quats) * gaussians.scales[:, None, :]  # [N, 3, 3] R S
    m = jacobian @ (w2c[:3, :3] @ axes)  # [N, 2, 3], Sigma' = m m^T
    # det(m m^T) as the sum of squared minors: positive by construction where a c - b^2 would cancel.
    det_sharp = torch.linalg.cross(m[:, 0], m[:, 1]).square().sum(-1)
    sharp = torch.stack([(m[:, 0] ** 2).sum(-1), (m[:, 0] * m[:, 1]).sum(-1), (m[:, 1] ** 2).sum(-1)], dim=-1)

    identity = sharp.new_tensor([1.0, 0.0, 1.0])
    dilated, det_dilated = add_covariance(sharp, det_sharp, (dilation * identity).expand_as(sharp))
    covariance, det = dilated, det_dilated
    if extra_variance is not None:
        extra = extra_variance[:, None] * identity if extra_variance.ndim == 1 else extra_variance
        covariance, det = add_covariance(dilated, det_dilated, extra)

    drawable = in_front & (det > 0) & (covariance[:, 0] > 0) & (covariance[:, 2] > 0)
    det_before = det_sharp if antialiased else det_dilated
    drawable = drawable & (det_before > torch.finfo(torch.float32).tiny)
    det = torch.where(drawable, det, 1.0)
    opacities = gaussians.opacities * torch.sqrt(torch.where(drawable, det_before, 1.0) / det)
    conics = torch.stack([covariance[:, 2], -covariance[:, 1], covariance[:, 0]], dim=-1) / det[:, None]

    # Largest distance at which alpha can still reach ALPHA_MIN, in standard deviations.
    reach = (2.0 * torch.log(opacities.detach() / ALPHA_MIN)).clamp(min=0.0).sqrt()
    extent = reach[:, None] * covariance.detach()[:, ::2].clamp(min=0.0).sqrt()  # [N, 2] px
    size = extent.new_tensor([viewport.width, viewport.height])
    on_image = ((means2d + extent > 0) & (means2d - extent < size)).all(-1)
    drawable = drawable & (reach > 0) & on_image
    radii = torch.where(drawable, extent.amax(-1).ceil().clamp(min=1, max=2**30), 0.0).to(torch.int32)
    return Projection(means2d, z, conics, opacities, radii)


def frustum_limits(size: int, focal: float, center: float) -> tuple[float, float]:
    """Smallest and largest x/z (or y/z) at which the Jacobian is taken, as gsplat does."""
    margin = FRUSTUM_MARGIN * 0.5 * size / focal
    return -(center / focal + margin), (size - center) / focal + margin


def add_covariance(
    covariance: Tensor,  # [N, 3] xx, xy, yy
    det: Tensor,  # [N] its determinant
    extra: Tensor,  # [N, 3]
) -> tuple[Tensor, Tensor]:
    """Sum of two 2D covariances and its determinant, expanded so that nothing cancels."""
    a, b, c = covariance.unbind(-1)
    ea, eb, ec = extra.unbind(-1)
    return covariance + extra, det + a * ec + c * ea - 2.0 * b * eb + (ea * ec - eb * eb)


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
    """The "torch" back end of `methods.splatting.rasterizer.render`, which explains the arguments."""
    projection = project(gaussians, viewport, extra_variance, dilation, antialiased, near, offsets)
    if colors is None:
        colors = sh.colors(gaussians.sh, gaussians.means, viewport.camera_center(), sh_degree)
    visible = projection.radii > 0
    drawn = torch.nonzero(visible)[:, 0]
    order = drawn[torch.argsort(projection.depths.detach()[drawn], stable=True)]  # front to back

    height, width = viewport.height, viewport.width
    rows = torch.arange(height, device=gaussians.means.device, dtype=gaussians.means.dtype) + 0.5
    cols = torch.arange(width, device=gaussians.means.device, dtype=gaussians.means.dtype) + 0.5
    dx = cols[None, None, :] - projection.means2d[order, 0, None, None]  # [K, 1, W]
    dy = rows[None, :, None] - projection.means2d[order, 1, None, None]  # [K, H, 1]
    a, b, c = (projection.conics[order, i, None, None] for i in range(3))
    power = -(0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy)  # [K, H, W]
    alpha = (projection.opacities[order, None, None] * torch.exp(power)).clamp(max=ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_MIN, alpha, 0.0)
    after = torch.cumprod(1.0 - alpha, dim=0)  # [K, H, W] transmittance behind each Gaussian
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = torch.where(after > TRANSMITTANCE_MIN, alpha * before, 0.0)

    total = weights.sum(0)  # [H, W]
    color = torch.einsum("khw,kc->hwc", weights, colors[order])
    hit = total > 0
    depth = torch.einsum("khw,k->hw", weights, projection.depths[order]) / torch.where(hit, total, math.inf)
    if background is not None:
        color = color + (1.0 - total)[..., None] * background
    return Render(
        color=color,
        depth=depth,
        alpha=total,
        means2d=torch.where(visible[:, None], projection.means2d.detach(), 0.0),
        radii=projection.radii,
        backend="torch",
        screen_offsets=offsets,
    )
