"""The stories that span domains: an alarm leads to a retraining, a gate, a canary, a promotion or a way back."""
