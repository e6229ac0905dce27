"""A step-up gateway: a reverse proxy that counts the persons whose records a caller takes."""
