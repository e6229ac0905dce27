"""Factors as pure functions: a secret, an answer and a time give a match or none."""
