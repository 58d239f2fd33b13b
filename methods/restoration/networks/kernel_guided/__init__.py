"""Kernel-guided restoration of defocused patches.

Y. Wei, Q. Li and W. Hou, "Image restoration model for microscopic defocused images based on blurring kernel guidance"
(Heliyon 10, 2024, doi 10.1016/j.heliyon.2024.e36151); no code of it is public. Its pair of networks is that of
A. Kaufman and R. Fattal, "Deblurring using analysis-synthesis networks pair" (CVPR 2020), called KF where it fills in
what the text leaves open. A classifier tells how much a patch is defocused, an extractor what kernel blurred it, and a
U-Net led by that kernel restores it.
"""

from methods.restoration.networks.kernel_guided.network import Guided, KernelGuided, KernelGuidedConfig

__all__ = ["Guided", "KernelGuided", "KernelGuidedConfig"]
