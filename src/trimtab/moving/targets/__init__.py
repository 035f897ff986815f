"""Where runs go: one module for each foreign format."""
