"""Making captures: recipes, rigs, and Blender as an exact thin-lens camera."""
