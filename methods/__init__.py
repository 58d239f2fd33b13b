"""Who competes: one short file per contestant, on shared cores for splatting, defocus and restoration."""
