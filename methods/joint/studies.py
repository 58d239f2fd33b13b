"""The seed paper's ablations of its method, section 4.3. Imports nothing, so that listing contestants stays instant."""

from methods.contestant import Study

STUDIES = {
    "components": Study(
        title="What each part of the joint method brings (seed paper, Table 3)",
        rows={
            "w/o stages": ("joint.stages=false",),
            "w/o mask": ("joint.mask=false",),
            "w/o BlurNet": ("joint.blurnet=false",),
            "w/o depth": ("joint.depth=false",),
            "full": (),
        },
        data="seed paper, Table 3, average of 8",
        published={
            "w/o stages": {"psnr": 28.32, "ssim": 0.890, "lpips": 0.107},
            "w/o mask": {"psnr": 30.95, "ssim": 0.908, "lpips": 0.107},
            "w/o BlurNet": {"psnr": 31.76, "ssim": 0.930, "lpips": 0.081},
            "w/o depth": {"psnr": 31.56, "ssim": 0.918, "lpips": 0.101},
            "full": {"psnr": 32.50, "ssim": 0.934, "lpips": 0.077},
        },
    ),
    "kernel-size": Study(
        title="The size K of the kernel (seed paper, Fig. 9; K = 6 is the method as it is)",
        rows={
            "K = 2": ("joint.kernel_radius=2",),
            "K = 4": ("joint.kernel_radius=4",),
            "K = 6": (),
            "K = 8": ("joint.kernel_radius=8",),
        },
    ),
}
