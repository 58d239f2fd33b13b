"""How restorers are trained on pairs of photographs and sharp twins."""
