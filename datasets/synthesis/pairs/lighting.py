"""The lamps and the sky of a take. Blender's process alone calls these functions."""

from __future__ import annotations

from math import pi
from typing import Any

from datasets.synthesis.pairs.takes import Sky, Take

LAMPS = 3


def hang_lamps(scene: Any) -> list[Any]:
    """Three lamps in place of the softboxes of `stage.prepare_scene`, which are meshes: moving one of those means
    sorting all triangles anew for each take."""
    import bpy

    for item in list(scene.objects):
        bpy.data.objects.remove(item)
    lamps = [bpy.data.objects.new(f"lamp {i}", bpy.data.lights.new(f"lamp {i}", "AREA")) for i in range(LAMPS)]
    # A sky this even is best met by chance; a map of where it is bright would be drawn anew for each take.
    scene.world.cycles.sampling_method = "NONE"
    for lamp in lamps:
        scene.collection.objects.link(lamp)
    return lamps


def relight(scene: Any, lamps: list[Any], take: Take, radius: float) -> None:
    """Light an object of `radius` mm as `take` wants it."""
    from mathutils import Vector

    for item, lamp in zip(lamps, take.lamps, strict=True):
        item.location = Vector(lamp.direction) * lamp.distance * radius
        item.rotation_euler = item.location.to_track_quat("Z", "Y").to_euler()
        item.data.size = 2 * lamp.half_size * radius
        strength = max(lamp.radiance)
        item.data.color = [value / strength for value in lamp.radiance]
        item.data.energy = strength * pi * item.data.size**2  # Lambert's law: radiance is power over pi and area
    _paint_sky(scene.world, take.sky)


def _paint_sky(world: Any, sky: Sky) -> None:
    ramp = next(node for node in world.node_tree.nodes if node.type == "VALTORGB").color_ramp
    for element, colour in zip(ramp.elements, (sky.nadir, sky.horizon, sky.zenith), strict=True):
        element.color = (*colour, 1.0)
