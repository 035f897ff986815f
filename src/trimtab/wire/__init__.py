"""Foreign protocols, translated to our services."""
