"""Our joint method: the lens as physics, learned from the photographs together with the scene."""
