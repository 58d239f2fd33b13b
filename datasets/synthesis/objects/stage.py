"""The studio: Blender's settings and lights for macro renders, and the way of a `Model` into a scene.

1 Blender unit is 1 mm. Call these functions in a process of their own: they import bpy, and start a new scene.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datasets.synthesis.objects.model import Hairs, Model, Part

OBJECT_INDEX = 1  # pass index of everything that belongs to the object; 0 is background

# Direction to the light, half its size and its distance (both in object radii), radiance, and colour. Seen
# from -y (Blender's front), the key stands at the upper left. The softboxes are large and the sky is bright,
# so that no side of the object is black from any camera of a full turn.
_SOFTBOXES = (
    ("key", (-0.75, -0.55, 0.95), 2.6, 6.0, 5.2, (1.0, 0.96, 0.90)),
    ("fill", (0.95, -0.45, 0.35), 3.0, 7.0, 2.0, (0.88, 0.94, 1.0)),
    ("rim", (0.35, 1.0, 0.60), 2.2, 6.0, 4.0, (0.95, 0.98, 1.0)),
)
_ZENITH, _HORIZON, _NADIR = (0.62, 0.66, 0.72), (0.42, 0.43, 0.45), (0.20, 0.19, 0.18)


def prepare_scene(radius: float, threads: int = 0) -> Any:
    """An empty bpy scene, lit and set up for exact, repeatable Cycles renders on the CPU.

    radius: of the object's bounding sphere, mm (`Model.radius`); the lights are sized to it.
    threads: for rendering; 0 takes all cores. The caller adds the camera, and sets resolution, samples and
    seed for each render (after a change of `scene.cycles.*` call `scene.update_tag()`: persistent data
    otherwise keeps the old value). Renders write multilayer EXR: Combined, Depth, Position, Object Index.
    """
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.scale_length = 0.001
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_percentage = 100
    render.film_transparent = True
    render.use_persistent_data = True
    render.use_compositing = False
    render.use_sequencer = False
    render.dither_intensity = 0.0
    render.threads_mode = "FIXED" if threads else "AUTO"
    if threads:
        render.threads = threads
    render.image_settings.media_type = "MULTI_LAYER_IMAGE"  # must come before the file format
    render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    render.image_settings.color_depth = "32"
    render.image_settings.exr_codec = "NONE"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"

    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.pixel_filter_type = "BOX"  # a square photosite: a pixel is the integral over its own area
    cycles.use_denoising = False
    cycles.use_adaptive_sampling = False
    cycles.max_bounces = 4
    cycles.diffuse_bounces = 3
    cycles.glossy_bounces = 3
    cycles.transmission_bounces = 0
    cycles.volume_bounces = 0
    cycles.caustics_reflective = False
    cycles.caustics_refractive = False

    layer = scene.view_layers[0]
    layer.use_pass_z = True
    layer.use_pass_position = True
    layer.use_pass_object_index = True

    _add_sky(scene)
    for name, direction, size, distance, radiance, colour in _SOFTBOXES:
        _add_softbox(scene, name, direction, radius * size, radius * distance, radiance, colour)
    return scene


def to_blender(model: Model, scene: Any) -> list[Any]:
    """Adds the model to a bpy scene; gives its objects, all of pass index OBJECT_INDEX."""
    objects = [_mesh_object(part) for part in model.parts] + [_hair_object(hairs) for hairs in model.hairs]
    for item in objects:
        item.pass_index = OBJECT_INDEX
        scene.collection.objects.link(item)
    return objects


def _mesh_object(part: Part) -> Any:
    import bpy

    corners = part.faces.size
    mesh = bpy.data.meshes.new(part.name)
    mesh.vertices.add(len(part.vertices))
    mesh.vertices.foreach_set("co", part.vertices.ravel())
    mesh.loops.add(corners)
    mesh.loops.foreach_set("vertex_index", part.faces.ravel())
    mesh.polygons.add(len(part.faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    _set_albedo(mesh, "POINT", part.albedo)
    mesh.materials.append(_material(part.name, part.roughness, part.specular, part.metallic))
    return bpy.data.objects.new(part.name, mesh)


def _hair_object(hairs: Hairs) -> Any:
    import bpy

    strands, joints, _ = hairs.points.shape
    curves = bpy.data.hair_curves.new(hairs.name)
    curves.add_curves([joints] * strands)
    curves.points.foreach_set("position", hairs.points.ravel())
    radius = np.linspace(hairs.radius_root, hairs.radius_tip, joints, dtype=np.float32)
    curves.points.foreach_set("radius", np.tile(radius, strands))
    _set_albedo(curves, "CURVE", hairs.albedo)
    curves.materials.append(_material(hairs.name, hairs.roughness, specular=0.2, metallic=0.0))
    return bpy.data.objects.new(hairs.name, curves)


def _set_albedo(geometry: Any, domain: str, albedo: np.ndarray) -> None:
    attribute = geometry.attributes.new("albedo", "FLOAT_COLOR", domain)
    rgba = np.ones((len(albedo), 4), dtype=np.float32)
    rgba[:, :3] = albedo
    attribute.data.foreach_set("color", rgba.ravel())


def _material(name: str, roughness: float, specular: float, metallic: float) -> Any:
    import bpy

    material = bpy.data.materials.new(name)
    tree = material.node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = roughness
    surface.inputs["Specular IOR Level"].default_value = specular
    surface.inputs["Metallic"].default_value = metallic
    albedo = tree.nodes.new("ShaderNodeAttribute")
    albedo.attribute_name = "albedo"
    tree.links.new(albedo.outputs["Color"], surface.inputs["Base Color"])
    return material


def _add_sky(scene: Any) -> None:
    """A dome that brightens from the ground to the zenith, like the white card around a macro table."""
    import bpy

    world = bpy.data.worlds.new("studio")
    scene.world = world
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    direction = tree.nodes.new("ShaderNodeTexCoord")
    split = tree.nodes.new("ShaderNodeSeparateXYZ")
    height = tree.nodes.new("ShaderNodeMapRange")
    height.inputs["From Min"].default_value = -1.0
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements.new(0.5)
    for element, colour in zip(ramp.color_ramp.elements, (_NADIR, _HORIZON, _ZENITH), strict=True):
        element.color = (*colour, 1.0)
    tree.links.new(direction.outputs["Generated"], split.inputs[0])
    tree.links.new(split.outputs["Z"], height.inputs["Value"])
    tree.links.new(height.outputs["Result"], ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], background.inputs["Color"])


def _add_softbox(
    scene: Any,
    name: str,
    direction: tuple[float, float, float],
    half_size: float,
    distance: float,
    radiance: float,
    colour: tuple[float, float, float],
) -> None:
    """A square that glows evenly and faces the origin; no camera sees it, so it never hides the object."""
    import bpy
    from mathutils import Vector

    mesh = bpy.data.meshes.new(name)
    corners = [(-half_size, -half_size, 0), (half_size, -half_size, 0), (half_size, half_size, 0)]
    mesh.from_pydata([*corners, (-half_size, half_size, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new(name)
    tree = material.node_tree
    tree.nodes.clear()
    glow = tree.nodes.new("ShaderNodeEmission")
    glow.inputs["Color"].default_value = (*colour, 1.0)
    glow.inputs["Strength"].default_value = radiance
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])
    mesh.materials.append(material)
    light = bpy.data.objects.new(name, mesh)
    light.location = Vector(direction).normalized() * distance
    light.rotation_euler = (-light.location).to_track_quat("Z", "Y").to_euler()
    light.visible_camera = False
    scene.collection.objects.link(light)
