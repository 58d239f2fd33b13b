"""Run by test_thin_lens.py in a process of its own: photographs glowing disks, prints how far off they are.

The camera is the worker's, the settings are the studio's. A disk that faces the camera is blurred by a plain
convolution, so second moments add up: r^2/4 of the circle of confusion, a^2/4 of the disk itself and 1/12 of
the square pixel, per axis.
"""

import sys
from pathlib import Path

import bpy
import numpy as np

from datasets.cameras import Camera, look_at
from datasets.optics import ThinLens
from datasets.synthesis import develop, worker
from datasets.synthesis.objects import stage

POSE = look_at(np.array([90.0, -120.0, 80.0]), np.array([2.0, 3.0, -1.0]))


def add_disk(scene, camera, pixel, depth, radius_px):
    """A disk of radius_px (as seen) that faces the camera at `pixel` and `depth` mm."""
    angle = np.linspace(0, 2 * np.pi, 512, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius_px * depth / camera.fx
    corners = camera.unproject(np.asarray(pixel), depth) + circle @ camera.c2w[:3, :2].T
    mesh = bpy.data.meshes.new("disk")
    mesh.from_pydata(corners.tolist(), [], [list(range(len(corners)))])
    material = bpy.data.materials.new("glow")
    material.node_tree.nodes.clear()
    glow = material.node_tree.nodes.new("ShaderNodeEmission")
    output = material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("disk", mesh))


def moments(light):
    """Centroid (x, y) in px and mean second moment per axis of an image [H, W]."""
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    cx, cy = (light * x).sum() / light.sum(), (light * y).sum() / light.sum()
    second = (light * ((x - cx) ** 2 + (y - cy) ** 2)).sum() / light.sum() / 2
    return cx, cy, second


def new_scene():
    scene = stage.prepare_scene(radius=5.0)
    worker.set_up(scene, most_samples=512)
    return scene


def camera_of(lens, width, height):
    return Camera(width, height, lens.focal_length_px, lens.focal_length_px, width / 2, height / 2, POSE)


def coc_errors(folder, focus_distance, f_number, radius_px=20.0, disk_px=8.0):
    """Relative errors of the CoC, of the worker's camera and of two naive ones; two disks near and two far."""
    lens = ThinLens(60.0, f_number, focus_distance, 0.01)
    camera = camera_of(lens, 320, 240)
    scene = new_scene()
    signs = {(80.3, 59.6): 1, (239.8, 60.1): -1, (80.0, 180.4): -1, (240.2, 179.7): 1}
    for pixel, sign in signs.items():
        add_disk(scene, camera, pixel, float(lens.depth_from_coc(sign * radius_px)), disk_px)

    def naive():
        scene.camera.data.lens = lens.focal_length
        scene.camera.data.dof.aperture_fstop = lens.f_number / 1000

    def half_naive():
        scene.camera.data.dof.aperture_fstop = lens.f_number / 1000

    errors = {}
    for name, change in {"exact": lambda: None, "naive": naive, "half_naive": half_naive}.items():
        worker.set_camera(scene, camera, lens, defocus=True)
        change()
        path = folder / f"{name}.exr"
        worker.render(scene, path, 512 if name == "exact" else 64, seed=1)
        light = develop.read_render(path)[0][..., 0].astype(np.float64)
        scale = scene.camera.data.lens / lens.image_distance
        errors[name] = {}
        for (x, y), sign in signs.items():
            rows = slice(0, 120) if y < 120 else slice(120, 240)
            columns = slice(0, 160) if x < 160 else slice(160, 320)
            second = moments(light[rows, columns])[2]
            radius = 2 * np.sqrt(second - (scale * disk_px) ** 2 / 4 - 1 / 12)
            errors[name][f"{x:.0f},{y:.0f},{'far' if sign > 0 else 'near'}"] = radius / radius_px - 1
    return errors


def bladed_radius(folder, corners, radius_px=20.0, disk_px=8.0):
    """Circumradius over that of the round CoC, from the second moment of a disk out of focus through an aperture of
    so many corners: that of a regular polygon is (2 + cos(2 pi / n)) / 12 of its square per axis."""
    lens = ThinLens(60.0, 2.8, 180.0, 0.01)
    camera = camera_of(lens, 120, 120)
    scene = new_scene()
    add_disk(scene, camera, (60.0, 60.0), float(lens.depth_from_coc(radius_px)), disk_px)
    worker.set_camera(scene, camera, lens, defocus=True, blades=corners)
    path = folder / f"blades{corners}.exr"
    worker.render(scene, path, 512, seed=3)
    second = moments(develop.read_render(path)[0][..., 0].astype(np.float64))[2] - disk_px**2 / 4 - 1 / 12
    return float(np.sqrt(12 * second / (2 + np.cos(2 * np.pi / corners))) / radius_px)


def pinhole_errors(folder, width, height):
    """How far disks lie from where the camera's intrinsics put them (px), and how wrong their depth is (mm)."""
    lens = ThinLens(60.0, 2.8, 180.0, 0.02)
    camera = camera_of(lens, width, height)
    scene, rng = new_scene(), np.random.default_rng(width)
    disks = []
    for x in range(25, width - 24, 50):
        for y in range(25, height - 24, 50):
            pixel, depth = np.array([x, y]) + rng.uniform(-8, 8, 2), 180 + rng.uniform(-4, 4)
            add_disk(scene, camera, pixel, depth, 4.0)
            disks.append((x, y, pixel, depth))
    worker.set_camera(scene, camera, lens, defocus=False)
    path = folder / f"pinhole{width}.exr"
    worker.render(scene, path, 128, seed=2)
    rgb, _, depths = develop.read_render(path)
    off, deep = [], []
    for x, y, pixel, depth in disks:
        window = slice(y - 25, y + 25), slice(x - 25, x + 25)
        cx, cy, _ = moments(rgb[window][..., 0].astype(np.float64))
        off.append(np.hypot(cx + x - 25 - pixel[0], cy + y - 25 - pixel[1]))
        column, row = pixel.astype(int)
        deep.append(abs(depths[row, column] - depth))
    return {"disks": len(disks), "px": max(off), "mean_px": float(np.mean(off)), "depth_mm": float(max(deep))}


if __name__ == "__main__":
    emit = worker.claim_stdout()
    folder = Path(sys.argv[1])
    emit(
        "measured",
        coc={f"m={60 / (d0 - 60):.2f}, N={n}": coc_errors(folder, d0, n) for d0, n in ((180.0, 2.8), (120.0, 5.6))},
        bladed={corners: bladed_radius(folder, corners) for corners in (3, 6)},
        pinhole={f"{w}x{h}": pinhole_errors(folder, w, h) for w, h in ((400, 300), (300, 401))},
    )
