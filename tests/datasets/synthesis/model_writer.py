"""Writes small models of every kind with Blender, in a process of its own: python model_writer.py FOLDER.

The slab is 2 x 1 x 0.5, far from the origin, turned, red on one half and green on the other.
"""

import os
import sys

import bpy
import numpy as np

HOSTILE = "open({path!r}, 'w').write('x')"


def main(folder: str) -> None:
    os.chdir(folder)
    slab()
    bpy.ops.export_scene.gltf(filepath=file("slab.glb"), export_format="GLB")
    bpy.ops.export_scene.gltf(filepath=file("slab.gltf"), export_format="GLTF_SEPARATE")
    bpy.ops.wm.obj_export(filepath=file("slab.obj"), path_mode="COPY")
    bpy.ops.wm.stl_export(filepath=file("slab.stl"))
    bpy.ops.export_scene.fbx(filepath=file("slab.fbx"), path_mode="COPY", embed_textures=True)
    for kind in ("usd", "usda", "usdc", "usdz"):
        bpy.ops.wm.usd_export(filepath=file(f"slab.{kind}"))
    bpy.ops.wm.save_as_mainfile(filepath=file("slab.blend"), compress=True)
    bpy.ops.wm.save_as_mainfile(filepath=file("plain.blend"), compress=False)
    bpy.ops.wm.ply_export(filepath=file("slab.ply"), export_colors="LINEAR")
    scene()
    hostile()


def slab():
    """A slab in the scene, with a texture for formats with textures, and colours of its vertices for PLY."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_cube_add(size=1, location=(5, -3, 2), rotation=(0, 0, 0.5), scale=(2, 1, 0.5))
    item = bpy.context.object
    image = bpy.data.images.new("halves", 8, 8)
    pixels = np.zeros((8, 8, 4), dtype=np.float32)
    pixels[:, :4, 0] = pixels[:, 4:, 1] = pixels[:, :, 3] = 1
    image.pixels = pixels.ravel()
    image.filepath_raw, image.file_format = file("halves.png"), "PNG"
    image.save()
    corners, layer = item.data.loops, item.data.uv_layers.active
    for corner, uv in zip(corners, layer.data, strict=True):
        x, y, _ = item.data.vertices[corner.vertex_index].co
        uv.uv = (0.25 + (x > 0) * 0.5, 0.3 + 0.4 * (y > 0))
    material = bpy.data.materials.new("halves")
    nodes, links = material.node_tree.nodes, material.node_tree.links
    picture = nodes.new("ShaderNodeTexImage")
    picture.image = image
    surface = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    links.new(picture.outputs["Color"], surface.inputs["Base Color"])
    item.data.materials.append(material)
    colour = item.data.color_attributes.new("Col", "FLOAT_COLOR", "POINT")
    for vertex, value in zip(item.data.vertices, colour.data, strict=True):
        value.color = (1, 0, 0, 1) if vertex.co.x < 0 else (0, 1, 0, 1)
    return item


def scene() -> None:
    """A .blend of what renders, a cube subdivided once and an instance of another, and of much that does not."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    here = bpy.context.scene
    bpy.ops.mesh.primitive_cube_add(size=1)
    cube = bpy.context.object
    levels = cube.modifiers.new("levels", "SUBSURF")
    levels.subdivision_type, levels.levels, levels.render_levels = "SIMPLE", 0, 1
    cube.modifiers.new("shown only", "ARRAY").show_render = False
    hidden = bpy.data.objects.new("hidden", cube.data.copy())
    hidden.hide_render = True
    here.collection.objects.link(hidden)
    for name, setting in (("unrendered", "hide_render"), ("excluded", "")):
        collection = bpy.data.collections.new(name)
        here.collection.children.link(collection)
        collection.objects.link(bpy.data.objects.new(name, cube.data.copy()))
        if setting:
            setattr(collection, setting, True)
    bpy.context.view_layer.layer_collection.children["excluded"].exclude = True
    bpy.ops.object.collection_instance_add(collection="excluded", location=(3, 0, 0))
    bpy.ops.object.light_add(type="SUN", location=(90, 0, 0))
    bpy.ops.object.camera_add(location=(0, 90, 0))
    bpy.ops.wm.save_as_mainfile(filepath=file("scene.blend"))
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(cube)
    bpy.ops.wm.save_as_mainfile(filepath=file("scenes.blend"))


def hostile() -> None:
    """A .blend whose text registers itself and whose driver calls Python; each would write a file."""
    item = slab()
    text = bpy.data.texts.new("register.py")
    text.write(HOSTILE.format(path=file("text.ran")))
    text.use_module = True
    # Written last, so that Blender never evaluates it here; the name it calls is one that only Python knows.
    item.driver_add("location", 0).driver.expression = f"__import__('os').mkdir({file('driver.ran')!r}) or 1.0"
    bpy.ops.wm.save_as_mainfile(filepath=file("hostile.blend"))


def file(name: str) -> str:
    return os.path.abspath(name)


if __name__ == "__main__":
    main(sys.argv[1])
