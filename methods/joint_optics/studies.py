"""What was tried for `joint-optics`, one change at a time. Imports nothing heavy: listing contestants stays instant."""

from methods.contestant import Study

STUDIES = {
    "lens": Study(
        title="What each part of the lens brings",
        rows={
            "one point (per-Gaussian circle of confusion)": (
                "joint-optics.lens_points=[1]",
                "joint-optics.lens_points_from=[0.0]",
            ),
            "five points, then nineteen, all at every step": (
                "joint-optics.lens_points=[5, 19]",
                "joint-optics.lens_points_from=[0.3, 0.9]",
                "joint-optics.fresh_points=0",
            ),
            "seven of seven": ("joint-optics.fresh_points=0",),
            "rates of the lens fall to a tenth, not a fiftieth": ("joint-optics.lens_decay=0.1",),
            "focus never searched for": ("joint-optics.search_at=[]",),
            "scene in sRGB": ("3dgs.light=srgb",),
            "full": (),
        },
    ),
    "candidates": Study(
        title="What was tried besides",
        rows={
            "pixels in focus weigh three times": ("joint-optics.focus_weight=2.0",),
            "relocation instead of densification": ("3dgs.densify=relocate",),
            "opacity penalty 0.01": ("3dgs.opacity_penalty=0.01",),
            "3D filter of 0.45 px": ("3dgs.smoothing=0.45",),
            "no axis finer than 0.3 px": ("3dgs.scale_floor=0.3",),
            "all rates fall to a tenth": ("3dgs.lr_decay=0.1",),
            "2,000 steps": ("3dgs.steps=2000",),
            "stop by every seventh photograph": ("joint-optics.early_stop=7",),
            "focal plane bent by a network": ("joint-optics.residual=0.1",),
            "focus searched for twice as far": ("joint-optics.search_reach=2.0", "joint-optics.search_steps=49"),
            "full": (),
        },
    ),
    "filter": Study(
        title="How wide a filter the pixel is",
        rows={
            "0.3 px², as in 3DGS": ("3dgs.dilation=0.3",),
            "0.05 px²": ("3dgs.dilation=0.05",),
            "full (0.1 px²)": (),
        },
    ),
}
