"""What a notebook imports: one client over HTTP, and the verbs of each noun."""
