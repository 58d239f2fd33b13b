"""The thin lens. Every optics formula of the project stands here, in millimetres and pixels.

Distances are measured from the lens along the optical axis. Symbols: focal length f, f-number N, focus
distance d0, depth d, image distance v.
"""

from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np

from datasets.errors import InputError

# Second moment of a uniform disk of radius r is r^2/4 per axis, so the Gaussian of equal variance has r/2;
# the one that blurs images (power falling as 1/frequency^2) most like the disk, in least squares, is wider.
SIGMA_PER_RADIUS_MOMENT = 0.5
SIGMA_PER_RADIUS_LEAST_SQUARES = 0.55


@dataclass(frozen=True)
class ThinLens:
    """An ideal lens of `focal_length` mm at `f_number`, focused at `focus_distance` mm, before a sensor of
    `pixel_pitch` mm per pixel.

    Raises InputError unless all four are finite, N > 0, pitch > 0 and focus_distance > focal_length > 0.
    """

    focal_length: float
    f_number: float
    focus_distance: float
    pixel_pitch: float

    def __post_init__(self) -> None:
        for name in ("focal_length", "f_number", "focus_distance", "pixel_pitch"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise InputError(f"The lens has {name} = {value}; it must be a positive number.")
        if self.focus_distance <= self.focal_length:
            raise InputError(
                f"The lens is focused at {self.focus_distance} mm, which is not beyond its focal length of "
                f"{self.focal_length} mm: no real image forms."
            )

    @property
    def magnification(self) -> float:
        """m = f / (d0 - f): size on the sensor over size in the focal plane."""
        return self.focal_length / (self.focus_distance - self.focal_length)

    @property
    def image_distance(self) -> float:
        """v = f d0 / (d0 - f) in mm: from the lens to the sensor (longer than f: focus breathing)."""
        return self.focal_length * (1.0 + self.magnification)

    @property
    def aperture_diameter(self) -> float:
        """D = f / N in mm."""
        return self.focal_length / self.f_number

    @property
    def aperture_radius(self) -> float:
        """D / 2 in mm."""
        return self.aperture_diameter / 2.0

    @property
    def focal_length_px(self) -> float:
        """fx = fy = v / pitch in px: the pinhole focal length of the focused lens."""
        return self.image_distance / self.pixel_pitch

    @property
    def coc_scale(self) -> float:
        """K = (D/2) fx in mm px; all that photographs tell of the aperture (r = K (1/d0 - 1/d))."""
        return self.aperture_radius * self.focal_length_px

    def focused_at(self, focus_distance: float) -> "ThinLens":
        """The same lens focused at another distance (mm)."""
        return replace(self, focus_distance=focus_distance)

    def coc_diameter_mm(self, depth: np.ndarray | float) -> np.ndarray:
        """Circle-of-confusion diameter on the sensor, mm: c = D f |d - d0| / (d (d0 - f)).

        Equation 1 of the seed paper with its A read as the aperture diameter (as the f-number its units
        do not match). `depth` in mm, > 0, any shape.
        """
        depth = np.asarray(depth, dtype=np.float64)
        d0, f = self.focus_distance, self.focal_length
        return self.aperture_diameter * f * np.abs(depth - d0) / (depth * (d0 - f))

    def coc_radius(self, depth: np.ndarray | float) -> np.ndarray:
        """Signed circle-of-confusion radius in px, r = K (1/d0 - 1/d); > 0 behind the focal plane.

        `depth` in mm, > 0, any shape; the ideal lens spreads a point over a uniform disk of radius |r|.
        """
        return self.coc_scale * (1.0 / self.focus_distance - 1.0 / np.asarray(depth, dtype=np.float64))

    def depth_from_coc(self, radius: np.ndarray | float) -> np.ndarray:
        """Depth in mm at which the signed CoC radius is `radius` px; inf where no finite depth is."""
        inverse = 1.0 / self.focus_distance - np.asarray(radius, dtype=np.float64) / self.coc_scale
        return np.where(inverse > 0, 1.0 / np.where(inverse > 0, inverse, 1.0), inf)

    def depth_of_field(self, max_radius: float) -> tuple[float, float]:
        """Nearest and farthest depth (mm) with |r| <= `max_radius` px; the farthest may be inf."""
        near, far = self.depth_from_coc(np.array([-max_radius, max_radius]))
        return float(near), float(far)


def outlined(coc: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`coc` [H, W] where it is `known`, elsewhere that of the nearest known pixel: outlines are partly covered."""
    from scipy.ndimage import distance_transform_edt

    if not known.any():
        return coc
    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return coc[rows, columns]
