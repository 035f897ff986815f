"""Records: runs, experiments and logged models whole, as they are brought in from elsewhere and taken out again."""
