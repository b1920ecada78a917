"""Coverage-guided fuzzing of what comes from outside; see README.md."""
