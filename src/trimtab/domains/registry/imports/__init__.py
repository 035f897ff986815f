"""Registered models brought in from elsewhere, with the numbers and times of their versions."""
