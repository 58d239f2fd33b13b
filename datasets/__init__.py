"""What is photographed: the thin lens, cameras, captures on disk, and their synthesis in Blender."""
