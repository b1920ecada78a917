"""`make mutants`: small mistakes in the core, and which nets show them."""
