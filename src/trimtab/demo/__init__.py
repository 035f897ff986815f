"""The demonstration: a year of real flights through the whole loop (`trimtab demo`)."""
