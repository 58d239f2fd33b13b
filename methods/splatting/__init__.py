"""Gaussian splatting: the Gaussians, and three rasterizers behind one interface."""
