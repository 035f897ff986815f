"""Where runs come from: one module for each kind of foreign store."""
