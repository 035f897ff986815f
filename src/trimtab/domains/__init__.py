"""The capabilities, in tiers: a domain may call those below it through their face; siblings are strangers."""
