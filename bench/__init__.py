"""The contest: command line, plan, runner, evaluation, provenance, performance."""
