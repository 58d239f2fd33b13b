"""Restoration in image space: one photograph in, one sharper photograph out, nothing known of the scene in 3D.

`defocus_map` estimates the blur of every pixel from the photograph alone; `richardson_lucy` removes it.
"""
