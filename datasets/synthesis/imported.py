"""A model of the user's own in the studio: imported, frozen as it renders, scaled and centred.

1 Blender unit is 1 mm. Call this in a process of its own: it imports bpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import InputError
from datasets.synthesis.objects.model import bounding_sphere_centre
from datasets.synthesis.objects.stage import OBJECT_INDEX

_SURFACE_POINTS = 20_000

# Linear Rec.709 of a surface of which the file says nothing.
_GRAY = (0.4, 0.4, 0.4)

# Of meshes without normals of their own, edges sharper than this (rad) stay edges and the others are smoothed away.
_SHARP = np.radians(30)

# The fractal albedo: wavelength of its coarsest octave in radii of the object, its octaves, and its colours from the
# troughs to the crests: position and linear Rec.709.
_WAVELENGTH, _OCTAVES = 0.28, 5
_COLOURS = (
    (0.36, (0.020, 0.012, 0.010)),
    (0.45, (0.160, 0.060, 0.025)),
    (0.52, (0.420, 0.230, 0.090)),
    (0.57, (0.130, 0.150, 0.110)),
    (0.66, (0.850, 0.780, 0.620)),
)


@dataclass(frozen=True)
class Imported:
    """What has come into the scene: its bounding sphere has its centre at the origin.

    radius: of that sphere, mm. surface: points [P, 3] mm, evenly over it. colours: what the surface is painted with,
    of "materials", "vertex colours", "gray" and "fractal". digest: SHA-256 over the evaluated vertices and triangles,
    the file, and the pictures on it.
    """

    radius: float
    triangles: int
    surface: np.ndarray
    colours: tuple[str, ...]
    digest: str


@dataclass(frozen=True, eq=False)
class _Part:
    """A mesh of Blender, as evaluated, and its place [4, 4] in the world of the file.

    vertices [V, 3] in that world and triangles [T, 3].
    """

    mesh: Any
    place: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray


def import_model(path: Path, radius: float, texture: str, content: str, seed: int, scene: Any) -> Imported:
    """Add the model in the file `path` to a scene of `stage.prepare_scene`, `radius` mm being its bounding sphere's.

    What renders of the file's meshes (and curves and texts, as meshes) is taken with modifiers, instances and
    transforms as Blender evaluates them; cameras, lights, empties, worlds, hair and volumes are not. Scripts in the
    file are not run. texture: `own` or `fractal`, which `seed` varies. content: goes into the digest.

    Raises InputError if Blender cannot read the file, if it holds no faces, or none that make an object.
    """
    import bpy

    parts = _parts(path, scene)
    if not parts:
        raise InputError(f"The model {path} holds no mesh with faces, or is damaged.")
    seen = np.concatenate([part.vertices[np.unique(part.triangles)] for part in parts])
    with np.errstate(over="ignore"):
        low, high = seen.min(axis=0), seen.max(axis=0)
        middle, extent = (low + high) / 2, float((high - low).max())
    if not (np.isfinite(seen).all() and np.isfinite(extent)):
        raise InputError(f"The model {path} has vertices that are not finite numbers.")
    # A mesh of no size, far from the origin, may still spread over a few steps of single precision.
    if extent <= 1e-6 * float(np.abs(seen).max()):
        raise InputError(f"The model {path} has no extent: all its vertices lie in one place.")
    centre = middle + extent * bounding_sphere_centre(((seen - middle) / extent).astype(np.float32)).astype(np.float64)
    scale = radius / float(np.linalg.norm(seen - centre, axis=1).max())
    to_studio = np.diag([scale, scale, scale, 1.0])
    to_studio[:3, 3] = -scale * centre

    vertices = [((part.vertices - centre) * scale).astype(np.float32) for part in parts]
    corners = np.concatenate([points[part.triangles] for points, part in zip(vertices, parts, strict=True)])
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    if not areas.sum() > 1e-9 * radius**2:
        raise InputError(f"The model {path} has no surface: all its faces are degenerate.")

    holder = bpy.data.objects.new("model", None)
    scene.collection.objects.link(holder)
    fractal = _fractal(radius, seed) if texture == "fractal" else None
    meshes = list(dict.fromkeys(part.mesh for part in parts))  # instances share theirs
    colours = {_paint(mesh, fractal) for mesh in meshes}
    for part in parts:
        item = bpy.data.objects.new(part.mesh.name, part.mesh)
        # As the inverse of a parent a matrix may shear, too.
        item.parent, item.matrix_parent_inverse = holder, _matrix(to_studio @ part.place)
        item.pass_index = OBJECT_INDEX
        scene.collection.objects.link(item)
    pictures = [] if fractal else _pictures(path, meshes)

    state = hashlib.sha256(content.encode())
    for points, part in zip(vertices, parts, strict=True):
        state.update(points.tobytes())
        state.update(part.triangles.tobytes())
    for picture in pictures:
        state.update(hashlib.sha256(picture).digest())
    return Imported(radius, len(corners), _spread(corners, areas), tuple(sorted(colours)), state.hexdigest())


def _spread(corners: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Points [P, 3] float64, evenly over triangles [T, 3, 3] of these areas [T]; always the same ones."""
    rng = np.random.default_rng(0)
    upto = np.cumsum(areas, dtype=np.float64)
    strata = (np.arange(_SURFACE_POINTS) + rng.uniform(size=_SURFACE_POINTS)) / _SURFACE_POINTS
    chosen = np.minimum(np.searchsorted(upto, strata * upto[-1], side="right"), len(areas) - 1)
    a, b = rng.uniform(size=(2, _SURFACE_POINTS, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    first, second, third = np.moveaxis(corners[chosen].astype(np.float64), 1, 0)
    return np.asarray(first + a * (second - first) + b * (third - first))


# ---------------------------------------------------------------- the way in


def _parts(path: Path, scene: Any) -> list[_Part]:
    """The meshes that render of what the file holds, at the file's own scale; the scene stays as it was."""
    import bpy

    studio, world = set(bpy.data.objects), scene.world
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    _read(path, scene)
    imported = [item for item in bpy.data.objects if item not in studio]
    for mesh in {item.data for item in imported if item.type == "MESH"}:
        places = np.empty(3 * len(mesh.vertices), dtype=np.float32)
        mesh.vertices.foreach_get("co", places)
        if not np.isfinite(places).all():  # before the validation, which would make zeros of them
            raise InputError(f"The model {path} has vertices that are not finite numbers.")
        mesh.validate()
        if path.suffix.lower() in (".obj", ".ply", ".stl"):
            _smooth(mesh)
    _show_what_renders(imported)
    parts = list(_evaluated(studio))
    for item in imported:
        bpy.data.objects.remove(item)
    for other in [other for other in bpy.data.scenes if other != scene]:
        bpy.data.scenes.remove(other)
    scene.world = world
    return parts


def _read(path: Path, scene: Any) -> None:
    """Import the file into the scene. Raises InputError with what Blender says."""
    import bpy

    kind, file = path.suffix.lower().lstrip("."), str(path.absolute())
    try:
        if kind == "blend":
            _append(path, scene)
        elif kind in ("glb", "gltf"):
            bpy.ops.import_scene.gltf(filepath=file, disable_bone_shape=True)
        elif kind == "obj":
            bpy.ops.wm.obj_import(filepath=file, validate_meshes=False)
        elif kind == "ply":
            bpy.ops.wm.ply_import(filepath=file)
        elif kind == "stl":
            bpy.ops.wm.stl_import(filepath=file, use_mesh_validate=False)
        elif kind == "fbx":
            bpy.ops.wm.fbx_import(filepath=file, validate_meshes=False)
        else:
            bpy.ops.wm.usd_import(
                filepath=file,
                import_cameras=False,
                import_lights=False,
                import_volumes=False,
                create_world_material=False,
            )
    except (RuntimeError, OSError) as error:
        said = [line.strip().removeprefix("Error: ") for line in str(error).splitlines() if line.strip()]
        # The first line tells most, but for an importer in Python that failed, whose traceback ends with it.
        told = said[-1 if said[0].startswith("Python") else 0].rstrip(".") if said else "it does not say why"
        raise InputError(f"Blender cannot read the model {path} ({told}).") from None


def _append(path: Path, scene: Any) -> None:
    """Append what renders of the scene in a .blend, or, if it has none, all its objects."""
    import bpy

    with bpy.data.libraries.load(str(path.absolute()), link=False) as (there, here):
        scenes = list(there.scenes)
        if len(scenes) > 1:
            raise InputError(
                f"The model {path} holds {len(scenes)} scenes ({', '.join(scenes)}): save the one to photograph in "
                "a file of its own."
            )
        if scenes:
            here.scenes = scenes
        else:
            here.objects = list(there.objects)
    for library in bpy.data.libraries:
        if tuple(library.version[:2]) > tuple(bpy.app.version[:2]):
            theirs, ours = ".".join(map(str, library.version[:2])), bpy.app.version_string
            raise InputError(
                f"The model {path} was saved by Blender {theirs}, and this is Blender {ours}: export it as .glb there."
            )
    if scenes:
        scene.frame_set(here.scenes[0].frame_current)
        objects = list(_rendered(here.scenes[0].view_layers[0].layer_collection))
    else:
        objects = here.objects
    for item in dict.fromkeys(objects):
        scene.collection.objects.link(item)


def _rendered(layer: Any) -> Iterator[Any]:
    """Objects in the collections of a view layer that render."""
    if layer.exclude or layer.collection.hide_render:
        return
    yield from layer.collection.objects
    for child in layer.children:
        yield from _rendered(child)


def _show_what_renders(imported: Sequence[Any]) -> None:
    """Make what Blender evaluates now what it would render: visibility, modifiers, and levels of subdivision."""
    import bpy

    for collection in bpy.data.collections:
        collection.hide_viewport = collection.hide_render
    for item in imported:
        item.hide_viewport = item.hide_render
        for modifier in item.modifiers:
            modifier.show_viewport = modifier.show_render
            if modifier.type in ("SUBSURF", "MULTIRES"):
                modifier.levels = modifier.render_levels


def _evaluated(studio: set[Any]) -> Iterator[_Part]:
    """The meshes of all objects that are not the studio's."""
    import bpy

    graph = bpy.context.evaluated_depsgraph_get()
    made: dict[tuple[str, int], Any] = {}
    for instance in graph.object_instances:
        item, holder = instance.object, instance.parent or instance.object
        if item.type != "MESH" or not instance.show_self or holder.original in studio or item.original.hide_render:
            continue
        key = (item.original.name_full, item.data.as_pointer())
        if key not in made:
            made[key] = bpy.data.meshes.new_from_object(item, preserve_all_data_layers=True, depsgraph=graph)
        mesh, place = made[key], np.array(instance.matrix_world, dtype=np.float64)
        mesh.calc_loop_triangles()
        vertices = np.empty(3 * len(mesh.vertices), dtype=np.float32)
        triangles = np.empty(3 * len(mesh.loop_triangles), dtype=np.int32)
        mesh.vertices.foreach_get("co", vertices)
        mesh.loop_triangles.foreach_get("vertices", triangles)
        if len(triangles):
            there = vertices.reshape(-1, 3).astype(np.float64) @ place[:3, :3].T + place[:3, 3]
            yield _Part(mesh, place, there, triangles.reshape(-1, 3))


def _smooth(mesh: Any) -> None:
    """Smooth a mesh of which the file gives no normals, but for its sharp edges."""
    flat = np.empty(len(mesh.polygons), dtype=bool)
    mesh.polygons.foreach_get("use_smooth", flat)
    if not flat.any() and not mesh.has_custom_normals:
        mesh.shade_smooth()
        mesh.set_sharp_from_angle(angle=_SHARP)


def _matrix(place: np.ndarray) -> Any:
    from mathutils import Matrix

    return Matrix(place.tolist())


# ---------------------------------------------------------------- paint


def _paint(mesh: Any, fractal: Any) -> str:
    """Give a mesh its colours: `fractal` if that is a material, or else its own, its vertices', or gray; which."""
    if fractal is not None:
        mesh.materials.clear()
        mesh.materials.append(fractal)
        return "fractal"
    used = np.empty(len(mesh.polygons), dtype=np.int32)
    mesh.polygons.foreach_get("material_index", used)
    if any(i < len(mesh.materials) and mesh.materials[i] is not None for i in np.unique(used)):
        return "materials"
    material, surface = _surface(mesh.name)
    mesh.materials.clear()
    mesh.materials.append(material)
    if not mesh.color_attributes:
        surface.inputs["Base Color"].default_value = (*_GRAY, 1.0)
        return "gray"
    colour = material.node_tree.nodes.new("ShaderNodeVertexColor")
    colour.layer_name = (mesh.color_attributes.active_color or mesh.color_attributes[0]).name
    material.node_tree.links.new(colour.outputs["Color"], surface.inputs["Base Color"])
    return "vertex colours"


def _surface(name: str) -> tuple[Any, Any]:
    """A new material and its shader."""
    import bpy

    material = bpy.data.materials.new(name)
    surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = 0.6
    surface.inputs["Specular IOR Level"].default_value = 0.3
    return material, surface


def _fractal(radius: float, seed: int) -> Any:
    """A material of a stone's colours: noise from a quarter of the radius down to a few pixels, and dark pits."""
    material, surface = _surface("fractal")
    tree = material.node_tree
    nodes, links = tree.nodes, tree.links
    place = nodes.new("ShaderNodeNewGeometry")  # mm in the world, as the object is where it is for good
    moved = nodes.new("ShaderNodeVectorMath")
    moved.operation = "MULTIPLY_ADD"
    moved.inputs[1].default_value = (1 / radius,) * 3
    moved.inputs[2].default_value = tuple(np.random.default_rng([seed, 7]).uniform(-50, 50, 3))
    links.new(place.outputs["Position"], moved.inputs[0])
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 1 / _WAVELENGTH
    noise.inputs["Detail"].default_value = _OCTAVES
    noise.inputs["Roughness"].default_value = 0.72
    links.new(moved.outputs[0], noise.inputs["Vector"])
    ramp = nodes.new("ShaderNodeValToRGB")
    stops = ramp.color_ramp.elements
    while len(stops) < len(_COLOURS):
        stops.new(0.5)
    for stop, (position, colour) in zip(stops, _COLOURS, strict=True):
        stop.position, stop.color = position, (*colour, 1.0)
    links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    cells = nodes.new("ShaderNodeTexVoronoi")
    cells.inputs["Scale"].default_value = 12 / _WAVELENGTH
    links.new(moved.outputs[0], cells.inputs["Vector"])
    pits = nodes.new("ShaderNodeMapRange")
    pits.inputs["From Min"].default_value, pits.inputs["From Max"].default_value = 0.1, 0.45
    pits.inputs["To Min"].default_value, pits.inputs["To Max"].default_value = 0.25, 1.0
    links.new(cells.outputs["Distance"], pits.inputs["Value"])
    pitted = nodes.new("ShaderNodeVectorMath")
    pitted.operation = "MULTIPLY"
    links.new(ramp.outputs["Color"], pitted.inputs[0])
    links.new(pits.outputs["Result"], pitted.inputs[1])
    links.new(pitted.outputs[0], surface.inputs["Base Color"])
    return material


def _pictures(path: Path, meshes: Sequence[Any]) -> list[bytes]:
    """What the image files on these meshes hold. Raises InputError for one that cannot be read."""
    images = {}
    for material in (material for mesh in meshes for material in mesh.materials):
        for image in _images(material.node_tree) if material and material.node_tree else ():
            if image is None or not all(image.size):  # which makes Blender load it
                name = f"the picture {image.filepath or image.name}" if image else "a picture"
                raise InputError(
                    f"The model {path} is painted with {name}, which is not there or cannot be read: put it there, "
                    "or take --texture fractal."
                )
            images[image.name_full] = image
    return [held for name in sorted(images) for held in _held(images[name])]


def _images(tree: Any) -> Iterator[Any]:
    """Images from files in a tree of nodes and its groups; None for a node whose image Blender did not find."""
    for node in tree.nodes:
        if node.type == "GROUP" and node.node_tree is not None:
            yield from _images(node.node_tree)
        painted = node.type == "TEX_IMAGE" and any(output.is_linked for output in node.outputs)
        if painted and (node.image is None or node.image.source in ("FILE", "TILED")):
            yield node.image


def _held(image: Any) -> Iterator[bytes]:
    import bpy

    if image.packed_files:
        yield from (packed.packed_file.data for packed in image.packed_files)
        return
    file = bpy.path.abspath(image.filepath, library=image.library)
    numbers = [str(tile.number) for tile in image.tiles] if image.source == "TILED" else [""]
    for number in numbers:
        yield Path(file.replace("<UDIM>", number)).read_bytes()
