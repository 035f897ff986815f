"""Words that every part of Trimtab shares; only the standard library and msgspec stand below it."""
