"""Procedural macro objects: numpy recipes (`seed`, `beetle`), and the studio that Blender renders them in."""
