"""The ledger: an append-only, sealed record of every decision. Writing here; verifying and reports in its files."""

from gateway.ledger.writing import Ledger, LedgerUnavailable

__all__ = ["Ledger", "LedgerUnavailable"]
