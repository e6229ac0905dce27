"""Content to findings and masks: pure functions from bytes to records, and from records to masked bytes."""
