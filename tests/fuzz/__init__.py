"""Random programs over the whole surface, checked against NumPy, differences, and the engine's own other ways."""
