"""Changes that might repair a suspected function: one module for each sort of mistake, all given a `Site`."""
