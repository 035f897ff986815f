"""An endpoint's model as a container image: the context to build it from, what is in it, and proof of both."""
