"""How a lens blurs: operators, the lens, and where a photograph is in focus."""
