"""Training pairs: random objects that share no form with the benchmark's, photographed by the same exact lens."""
