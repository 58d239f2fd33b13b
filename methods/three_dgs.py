"""3D Gaussian Splatting on whatever photographs it is given (Kerbl et al., SIGGRAPH 2023).

As `3dgs` it gets the defocused photographs: the floor of the 3D field. As `sharp-3dgs` it gets their sharp
twins: the ceiling. Adapted: antialiased rasterization (Yu et al. 2024), a hard cap of Gaussians and no reset of
opacities, all the same for every 3D contestant, so that tables tell deblurring from splatting.
"""

from pathlib import Path

from datasets.capture import Photographs
from methods.contestant import Setting
from methods.cost import Meter
from methods.splatting.config import SplattingConfig
from methods.splatting.rasterizer import resolve_backend
from methods.splatting.splats import Splats
from methods.splatting.train import train, warm_up


class FittedSplats(Splats):
    """Splats with what they cost."""

    def __init__(self, photographs: Photographs, setting: Setting) -> None:
        config = setting.config("3dgs", SplattingConfig)
        warm_up(setting.device, lambda what: setting.progress(0, config.steps, what))
        meter = Meter(setting.device)
        gaussians = train(photographs, config, seed=setting.seed, device=setting.device, progress=setting.progress)
        self.cost = meter.cost(len(gaussians), resolve_backend(setting.device))
        super().__init__(gaussians, photographs.cameras, photographs.background, config, setting.device)

    def save(self, folder: Path) -> None:
        """Write point_cloud.ply in the layout that 3DGS viewers read."""
        self.gaussians.save_ply(folder / "point_cloud.ply")


def fit(photographs: Photographs, setting: Setting) -> FittedSplats:
    """Train on `photographs` with the configuration "3dgs". Raises `Diverged`."""
    return FittedSplats(photographs, setting)
