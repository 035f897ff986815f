"""Pure numeric code: one algorithm a file, with its paper; numpy, scipy, standard library, no I/O."""
