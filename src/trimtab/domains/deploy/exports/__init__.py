"""Endpoints for those who bring their own proxy or cluster: their routing as text, and their models as images."""
