"""A package of somebody else's: one file per thing that Pareto Explorer lets others add."""
