"""Assessments: what people, judges and code say of a trace."""
