"""To and from the forms of other programs: COLMAP, nerfstudio, LLFF, and plain folders of photographs."""
