"""The seed paper's method: Gaussians and a network that predicts the blur of every pixel, trained together."""
